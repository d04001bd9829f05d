"""Going on with one survivor, whose log is changed while it is stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from gridledger import framing
from gridledger.errors import GridLedgerError
from gridledger.incarnation import NoLog
from services.orderer.chain import entry_of
from services.orderer.opening import open_orderer
from services.orderer.raft.interface import Membership
from services.orderer.raft.messages import Entry, EntryKind, HardState
from services.orderer.raft.wal import Wal
from services.orderer.raft.wal_records import GroupWrite
from services.orderer.recovery import main, recover
from services.orderer.settings import OrdererSettings
from tests.support.orderer_folder import CHANNEL, lone_orderer
from tests.support.paper import NOW_US, PaperNetwork, genesis_block
from tests.support.waiting import eventually

THREE = Membership(frozenset(("orderer1", "orderer2", "orderer3")))


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


async def survivor(folder: Path, paper: PaperNetwork) -> OrdererSettings:
    """One of three, with a block in its store and two entries in its log, of which one is known to be committed."""
    settings = lone_orderer(folder, paper)
    wal = Wal(settings.data / "raft", settings.raft.segment_bytes)
    entries = tuple(Entry(n, 3, EntryKind.DATA, entry_of(NOW_US, [b"%d" % n])) for n in (1, 2))
    wal.write([GroupWrite(CHANNEL, created=THREE, entries=entries, hard_state=HardState(7, "orderer2", 1))])
    wal.close()
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        await eventually(lambda: _height(orderer, 2), within_s=10, what="the committed entry is a block")
    return settings


async def _height(orderer: object, height: int) -> bool:
    return orderer.describe(CHANNEL)["height"] == height  # type: ignore[attr-defined, no-any-return]


async def test_a_survivor_leads_alone_with_all_that_is_in_its_log(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = await survivor(tmp_path, paper)
    lines = recover(settings, force=True)
    assert len(lines) == 1
    assert lines[0].startswith(f"{CHANNEL}: the last block kept is 2 (1 in the log, those up to 1, hash ")
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        await eventually(lambda: _height(orderer, 3), within_s=10, what="the log is made into blocks")
        status = orderer.consensus.status(CHANNEL)
        assert (status.membership, status.leader) == (Membership(frozenset(("orderer1",))), "orderer1")
        assert status.term > 7


async def test_without_force_nothing_is_changed(
    tmp_path: Path, paper: PaperNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = await survivor(tmp_path, paper)
    before = {path: path.read_bytes().rstrip(b"\0") for path in settings.data.glob("raft/*.wal")}
    assert main(["--config", str(tmp_path / "config.json")]) == 1
    said = capsys.readouterr()
    assert "the last block kept is 2" in said.out
    assert said.err.startswith("error: nothing was changed")
    assert {path: path.read_bytes().rstrip(b"\0") for path in settings.data.glob("raft/*.wal")} == before


async def test_a_survivor_that_runs_or_has_no_log_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper)
    with pytest.raises(NoLog):
        recover(replace_data(settings, tmp_path / "elsewhere"), force=True)
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)):
        with pytest.raises(GridLedgerError, match="in use by another process"):
            recover(settings, force=True)


def replace_data(settings: OrdererSettings, folder: Path) -> OrdererSettings:
    return settings.model_copy(update={"data": folder})


async def test_a_survivor_goes_on_with_the_channels_that_it_joined(tmp_path: Path, paper: PaperNetwork) -> None:
    """Each under the name by which its Raft group knows it."""
    settings = lone_orderer(tmp_path, paper)
    config = replace(paper.config, channel="shard2", orderers={"orderer2": paper.config.orderers["orderer2"]})
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        await orderer.participation.join(framing.pack([genesis_block(config).to_bytes()]))
    assert len(recover(settings, force=True)) == 2
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1)) as orderer:
        voters = {name: orderer.consensus.status(name).membership.voters for name in (CHANNEL, "shard2")}
    assert voters == {CHANNEL: {"orderer1"}, "shard2": {"orderer1#0badcafe"}}
