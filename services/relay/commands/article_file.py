"""A chain in the article's form, written block by block."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from services.relay.article import ArticleCapture, Block, block_hash, capture_block, genesis_block, next_proof

_LENGTH_DIGITS = 12


class ArticleFile:
    """Writes ``{"1_length": ..., "2_chain": [...]}``. The length, which stands first, is filled in at the end."""

    def __init__(self, file: BinaryIO, relay: str) -> None:
        self._file, self._relay = file, relay
        self._last: Block | None = None
        self._file.write(b'{"1_length": ')
        self._length_at = file.tell()
        self._file.write(b" " * _LENGTH_DIGITS + b', "2_chain": [')

    def add(self, page: list[dict[str, Any]]) -> None:
        """Write the blocks of captures, as ListCaptures gives them with their texts."""
        for item in page:
            self._add(item)

    def _add(self, item: dict[str, Any]) -> None:
        time_us = int(item["time_us"])
        last = self._last or self._write(genesis_block(time_us))
        capture = ArticleCapture(self._relay, str(item["server"]), str(item["text"]), time_us)
        self._write(capture_block(last["1_Index"] + 1, next_proof(last["3_proof"]), block_hash(last), capture))

    def close(self) -> None:
        """Write what stands behind the last block, and the length."""
        last = self._last or self._write(genesis_block(0))
        self._file.write(b"\n]}\n")
        self._file.seek(self._length_at)
        self._file.write(str(last["1_Index"]).encode())

    def _write(self, block: Block) -> Block:
        self._file.write(b"\n" if self._last is None else b",\n")
        self._file.write(json.dumps(block, ensure_ascii=False).encode())
        self._last = block
        return block
