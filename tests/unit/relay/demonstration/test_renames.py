"""The relay's log of its captures, read as it grows."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridledger.errors import UnavailableError
from services.relay.demonstration.renames import Rename, Renames


def line(minute: int) -> bytes:
    told = {"name": "26 07 2026 02 24.txt", "minute": minute, "sha256": f"{minute:064d}", "renamed_us": minute * 10}
    return json.dumps(told).encode() + b"\n"


def test_what_is_written_whole_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "renames.jsonl"
    renames = Renames(file, 5.0)
    renames.look()
    assert renames.all == {}
    file.write_bytes(line(7) + line(8)[:20])
    renames.look()
    assert renames.all == {7: Rename(7, f"{7:064d}", 70)}
    file.write_bytes(line(7) + line(8))
    renames.look()
    assert renames.all.keys() == {7, 8}


async def test_a_minute_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "renames.jsonl"
    renames = Renames(file, 5.0)
    newest, waiting = asyncio.create_task(renames.newest()), asyncio.create_task(renames.until(9))
    await asyncio.sleep(0)
    file.write_bytes(line(8))
    async with asyncio.timeout(5):
        assert await newest == 8
    assert not waiting.done()
    file.write_bytes(line(8) + line(9))
    async with asyncio.timeout(5):
        assert (await waiting).renamed_us == 90


async def test_a_relay_that_completes_no_more_is_told(tmp_path: Path) -> None:
    renames = Renames(tmp_path / "renames.jsonl", 0.05)
    for waiting in (renames.newest(), renames.until(9)):
        with pytest.raises(UnavailableError, match=r"completed no capture within 0.05 s"):
            await waiting
