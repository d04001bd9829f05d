"""The article's chain of a relay, as long as its confirmed captures on the ledger, kept as a file of its links.

A block stands for the first CaptureConfirmed of a minute, in the ledger's order, so the chain only grows, and is the
same at every server. The file has one record of fixed size a block: which capture, and the block's proof and hashes.
Texts are the ledger's, and are read when they are asked for. A file that is missing or damaged is made anew from there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from struct import Struct
from typing import Any, Final, Protocol

from gridledger.backoff import Backoff
from gridledger.client import ChaincodeEvent
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import CorruptionError, GridLedgerError, UnavailableError
from services.relay.article import (
    FIRST_PROOF,
    ArticleCapture,
    Block,
    block_hash,
    capture_block,
    first_proof_from,
    genesis_block,
    is_proof,
)

CONFIRMED: Final = "CaptureConfirmed"
_LINK: Final = Struct(">32s32sQQQQ32s32s")
_CRC: Final = Struct(">I")
_SIZE: Final = _LINK.size + _CRC.size
_FLAGS: Final = os.O_RDWR | os.O_CREAT
_SLICE, _PAUSE_S = 2000, 0.004
"""A proof is looked for in slices of so many hashes (some 2 ms), with a pause behind each: other work goes on."""
_READ_AT_ONCE: Final = 8
_RETRY_S: Final = (0.5, 30.0)

_log = logging.getLogger(__name__)


class ChainLedger(Protocol):
    """What the chain asks of the ledger."""

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        """GetCapture."""


Events = Callable[[int], AsyncIterator[ChaincodeEvent]]
"""The CaptureConfirmed events from a block on."""


@dataclass(frozen=True, slots=True)
class Link:
    """A block of the chain without its text. ``ledger_block`` is where the ledger confirmed the capture."""

    relay: str
    server: str
    minute: int
    ledger_block: int
    time_us: int
    proof: int
    previous: bytes
    own: bytes

    def packed(self) -> bytes:
        """The record of the file."""
        numbers = (self.minute, self.ledger_block, self.time_us, self.proof)
        data = _LINK.pack(self.relay.encode(), self.server.encode(), *numbers, self.previous, self.own)
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def unpacked(cls, data: bytes) -> Link | None:
        """The link of a record; None where it is damaged."""
        if len(data) != _SIZE or _CRC.unpack(data[_LINK.size :])[0] != zlib.crc32(data[: _LINK.size]):
            return None
        relay, server, *numbers, previous, own = _LINK.unpack(data[: _LINK.size])
        minute, ledger_block, time_us, proof = numbers
        names = (relay.rstrip(b"\0").decode("ascii", "replace"), server.rstrip(b"\0").decode("ascii", "replace"))
        return cls(*names, minute, ledger_block, time_us, proof, previous, own)


class ChainForm:
    """The chain, and how it grows. :meth:`run` follows the ledger; the rest answers from what is there, with texts that
    are read through ``page``."""

    def __init__(
        self,
        path: Path,
        relay: str,
        ledger: ChainLedger,
        events: Events,
        genesis_us: Callable[[], Any],
        *,
        page: ChainLedger | None = None,
        disk: Disk = SYSTEM_DISK,
        random: Random | None = None,
    ) -> None:
        self._path = path
        self._relay = relay
        self._ledger = ledger
        self._events = events
        self._read_genesis_us = genesis_us
        self._disk = disk
        self._random = random or SystemRandom()
        self._page = ledger if page is None else page
        self._genesis: Block | None = None
        self._descriptor = -1
        self._count = 0
        self._last: Link | None = None
        self._seen: dict[int, int] = {}
        self.newest: int | None = None
        """The newest confirmed minute."""
        self.fault: str | None = None

    @property
    def length(self) -> int:
        """Blocks, the genesis included; 0 as long as the ledger has not been asked for that."""
        return 0 if self._genesis is None else self._count + 1

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    # growing

    async def run(self) -> None:
        """Follow the ledger until this is cancelled; what fails is tried again."""
        backoff = Backoff(*_RETRY_S, self._random)
        while True:
            try:
                if self._genesis is None:
                    self._open(genesis_block(await self._read_genesis_us()))
                async for event in self._events(0 if self._last is None else self._last.ledger_block):
                    await self._take(event)
                    self.fault = None
                    backoff.succeeded()
            except (GridLedgerError, OSError) as error:
                if self.fault is None:
                    _log.warning("the article's chain does not grow now", extra={"why": str(error)})
                self.fault = str(error)
            await asyncio.sleep(backoff.failed())

    async def _take(self, event: ChaincodeEvent) -> None:
        told = event.payload
        relay, minute = str(told["relay"]), int(told["minute"])
        if relay != self._relay or self._is_seen(minute):
            return
        capture = await self._ledger.get_capture(relay, minute)
        found = ArticleCapture(relay, str(told["by"]), _text_of_record(capture), capture["time_us"])
        if self._genesis is None:
            raise UnavailableError("the chain's genesis is not known yet")
        previous = block_hash(self._genesis) if self._last is None else self._last.own.hex()
        proof = await _proof_after(FIRST_PROOF if self._last is None else self._last.proof)
        block = capture_block(self._count + 2, proof, previous, found)
        own = bytes.fromhex(block_hash(block))
        numbers = (minute, event.block, found.time_us, proof)
        self._append(Link(relay, found.server, *numbers, bytes.fromhex(previous), own))

    def _append(self, link: Link) -> None:
        # Not flushed: what a power loss takes is made anew.
        self._disk.pwrite(self._descriptor, (link.packed(),), self._count * _SIZE)
        self._note(link)

    def _note(self, link: Link) -> None:
        hour, minute = divmod(link.minute, 60)
        self._seen[hour] = self._seen.get(hour, 0) | 1 << minute
        self.newest = max(link.minute, self.newest or 0)
        self._last = link
        self._count += 1

    def _is_seen(self, minute: int) -> bool:
        return bool(self._seen.get(minute // 60, 0) >> minute % 60 & 1)

    def _open(self, genesis: Block) -> None:
        """Read the file's links as far as they hold together, and cut off the rest."""
        self._disk.make_folder(self._path.parent)
        content = self._disk.read(self._path) if self._disk.exists(self._path) else b""
        self.close()
        self._descriptor = self._disk.open(self._path, _FLAGS, 0o600)
        previous, proof = bytes.fromhex(block_hash(genesis)), FIRST_PROOF
        for start in range(0, len(content), _SIZE):
            link = Link.unpacked(content[start : start + _SIZE])
            if (
                link is None
                or link.relay != self._relay
                or link.previous != previous
                or not is_proof(link.proof, proof)
            ):
                _log.warning("the article's chain is made anew from block %d on", self._count + 2)
                break
            self._note(link)
            previous, proof = link.own, link.proof
        self._disk.truncate(self._descriptor, self._count * _SIZE)
        self._genesis = genesis

    # answering

    async def blocks(self, first: int, limit: int) -> list[Block]:
        """The blocks from index ``first`` on (the genesis has 1), at most so many, with the ledger's texts.

        Raises :class:`CorruptionError` where a text is not the one that the chain's hash is of.
        """
        if self._genesis is None:
            raise UnavailableError(f"the chain is not known yet: {self.fault or 'the ledger has not answered'}")
        wanted = range(max(1, first), min(self._count + 1, first + limit - 1) + 1)
        found = [self._genesis] if 1 in wanted else []
        links = [(index, self._link(index)) for index in wanted if index > 1]
        for start in range(0, len(links), _READ_AT_ONCE):
            found += await self._with_texts(links[start : start + _READ_AT_ONCE])
        return found

    async def check(self, first: int, limit: int) -> dict[str, Any]:
        """Whether these blocks hold: proofs, hashes, the ledger's texts. ``fault`` names the first that does not."""
        answer: dict[str, Any] = {"valid": True, "length": self.length, "from": first, "checked": 0, "fault": None}
        try:
            blocks = await self.blocks(first, limit)
        except CorruptionError as error:
            return answer | {"valid": False, "fault": error.message}
        before = self._before(first)
        for block in blocks:
            if before is not None:
                own, proof = before
                if block["4_previous_hash"] != own or not is_proof(block["3_proof"], proof):
                    return answer | {"valid": False, "fault": f"block {block['1_Index']} does not follow its previous"}
            before = (block_hash(block), block["3_proof"])
            answer["checked"] += 1
        return answer | {"head": None if before is None else before[0]}

    def _before(self, first: int) -> tuple[str, int] | None:
        """Hash and proof of the block before index ``first``."""
        if first <= 1 or self._genesis is None:
            return None
        if first == 2:  # noqa: PLR2004 - the block behind the genesis
            return block_hash(self._genesis), FIRST_PROOF
        if first > self._count + 2:
            return None
        link = self._link(first - 1)
        return link.own.hex(), link.proof

    def _link(self, index: int) -> Link:
        link = Link.unpacked(self._disk.pread(self._descriptor, _SIZE, (index - 2) * _SIZE))
        if link is None:
            raise CorruptionError(f"{self._path}: the record of block {index} is damaged; stop, delete the file, start")
        return link

    async def _with_texts(self, links: Sequence[tuple[int, Link]]) -> list[Block]:
        captures = await asyncio.gather(*(self._page.get_capture(link.relay, link.minute) for _, link in links))
        found = []
        for (index, link), capture in zip(links, captures, strict=True):
            told = ArticleCapture(link.relay, link.server, _text_of_record(capture), link.time_us)
            block = capture_block(index, link.proof, link.previous.hex(), told)
            if block_hash(block) != link.own.hex():
                raise CorruptionError(
                    f"block {index}: the ledger's text of {link.relay}, minute {link.minute}, is not the chain's"
                )
            found.append(block)
        return found


async def _proof_after(previous: int) -> int:
    start = 1
    while (found := first_proof_from(start, _SLICE, previous)) is None:
        start += _SLICE
        await asyncio.sleep(_PAUSE_S)
    return found


def _text_of_record(capture: dict[str, Any]) -> str:
    record = capture["record"]
    if record is None:
        raise UnavailableError(f"minute {capture['minute']} is not shown as confirmed by this peer yet")
    return str(record["text"])
