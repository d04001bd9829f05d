"""A whole orderer, alone on its channel: what its disk does to it."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from gridledger.errors import CorruptionError, OtherFormat
from gridledger.incarnation import Incarnation, NoLog
from services.orderer.opening import open_orderer
from tests.support.failing_disk import run_with_failing_flushes
from tests.support.orderer_folder import lone_orderer
from tests.support.paper import NOW_US, PaperNetwork


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


_ORDERER = """
import asyncio, sys, time
from pathlib import Path
from random import Random
from gridledger.settings import load_settings
from services.orderer.chain import entry_of
from services.orderer.opening import open_orderer
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


@pytest.mark.parametrize("lost", ["data", "data/raft", "data/incarnation.json"])
async def test_an_orderer_without_its_log_does_not_start(tmp_path: Path, paper: PaperNetwork, lost: str) -> None:
    """It was let in under its name: 164 of 175 acknowledged transactions were gone from two orderers."""
    settings = lone_orderer(tmp_path, paper)
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        assert orderer.describe("shard1")["height"] == 1
    path = tmp_path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for _ in range(2):
        with pytest.raises(NoLog, match=r"orderer1 has lost its log.*gridledger orderer readmit orderer1"):
            async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)):
                pass


async def test_a_crash_while_the_first_log_is_begun_leaves_it_to_be_begun(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper)
    assert not Incarnation.read(settings.data, "orderer1").begun
    for _ in range(2):
        async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
            assert orderer.describe("shard1")["voters"] == ["orderer1"]
        assert Incarnation.read(settings.data, "orderer1").begun
        Incarnation("orderer1", "0badcafe").write(settings.data)


async def test_another_orderers_data_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper)
    Incarnation("orderer2", "0badcafe").write(settings.data)
    with pytest.raises(CorruptionError, match="is of orderer2, and this is orderer1"):
        async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)):
            pass


async def test_the_folder_of_an_older_version_is_one_line(tmp_path: Path, paper: PaperNetwork) -> None:
    """As commit 8b6a057 left it: a mark without a checksum, and no incarnation."""
    settings = lone_orderer(tmp_path, paper)
    shutil.rmtree(settings.data)
    blocks = settings.data / "blocks" / "shard1"
    blocks.mkdir(parents=True)
    (blocks / "synced.json").write_bytes(b'{"height":1,"applied":0,"config_block":0,"_end":90}')
    with pytest.raises(OtherFormat, match=r"GridLedger 0\.1\.0 up to commit 8b6a057 reads"):
        async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)):
            pass
