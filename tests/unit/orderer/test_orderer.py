"""A whole orderer, alone on its channel: what its disk does to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.failing_disk import run_with_failing_flushes
from tests.support.orderer_folder import lone_orderer
from tests.support.paper import PaperNetwork


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


_ORDERER = """
import asyncio, sys, time
from pathlib import Path
from random import Random
from gridledger.settings import load_settings
from services.orderer.chain import entry_of
from services.orderer.orderer import open_orderer
from services.orderer.settings import OrdererSettings
settings = load_settings(OrdererSettings, Path(sys.argv[1]))
async def run():
    async with open_orderer(settings, clock_us=lambda: time.time_ns() // 1000, random=Random(1)) as orderer:
        running = asyncio.create_task(orderer.run())
        while not orderer.consensus.leadership("shard1").ready:
            await asyncio.sleep(0)
        await orderer.consensus.propose("shard1", entry_of(1, [b"x"]))
        fail_flushes()
        WORK
        await running
asyncio.run(run())
"""


@pytest.mark.parametrize(
    ("work", "file"),
    [
        ('asyncio.create_task(orderer.consensus.compact("shard1"))', "blocks.dat"),
        ('asyncio.create_task(orderer.consensus.propose("shard1", entry_of(1, [b"y"])))', "0000000000000001.wal"),
    ],
)
def test_an_orderer_stops_when_a_flush_fails(tmp_path: Path, paper: PaperNetwork, work: str, file: str) -> None:
    """The kernel fails it, in the block store or in the log. The mark was moved at the end, as if all were durable."""
    lone_orderer(tmp_path, paper)
    mark = tmp_path / "data" / "blocks" / "shard1" / "synced.json"
    done = run_with_failing_flushes(_ORDERER.replace("WORK", work), tmp_path / "config.json")
    assert f"{file}: Input/output error: what the disk holds is unknown, and nothing more is written" in done
    assert b'"height":1,' in mark.read_bytes()
