"""Channels that an orderer joins and leaves while it runs, and what of it outlives a crash."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger import framing
from gridledger.channel_record import ChannelRecord
from gridledger.disk import Piece, SystemDisk
from gridledger.errors import ConflictError, DiskFailed, GridLedgerError, PermissionDeniedError, SettingsError
from gridledger.incarnation import Incarnation, NoLog
from gridledger.participating import Participating
from gridledger.protocol import Block, ConfigUpdate, Organisation
from gridledger.protocol.errors import ChannelUnknown
from gridledger.protocol.joining import BadJoinBlock, ConfigBlock, OtherChannel
from services.orderer import metrics
from services.orderer.chain import entry_of
from services.orderer.errors import ChannelStopped
from services.orderer.opening import open_orderer
from services.orderer.orderer import Orderer
from services.orderer.participation import StillOrderer
from services.orderer.settings import OrdererSettings
from tests.support.orderer_folder import CHANNEL, lone_orderer
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, genesis_block
from tests.support.waiting import until

SECOND = "shard2"
NEW_ID = "orderer1#0badcafe"


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


def genesis_of(paper: PaperNetwork, channel: str = SECOND, orderers: Sequence[str] = ("orderer1",)) -> Block:
    nodes = {name: paper.config.orderers[name] for name in orderers}
    return genesis_block(replace(paper.config, channel=channel, orderers=nodes))


def body(*blocks: Block) -> bytes:
    return framing.pack(block.to_bytes() for block in blocks)


@asynccontextmanager
async def running(settings: OrdererSettings, disk: SystemDisk | None = None) -> AsyncIterator[Orderer]:
    async with open_orderer(settings, clock_us=lambda: NOW_US, random=Random(1), disk=disk or SystemDisk()) as orderer:
        task = asyncio.create_task(orderer.run())
        try:
            yield orderer
        finally:
            task.cancel()
            await asyncio.wait((task,))


def node(orderer: Orderer) -> Participating:
    return orderer.participation


def logs(orderer: Orderer) -> list[str]:
    """Of which channels it has a Raft log."""
    consensus: Any = orderer.consensus
    return sorted({*consensus.groups(), *consensus._writer.groups})


async def order(orderer: Orderer, channel: str) -> None:
    """Have a block made."""
    await until(lambda: orderer.consensus.leadership(channel).ready, within_s=10)
    before = orderer.channels[channel].chain.height
    await orderer.consensus.propose(channel, entry_of(NOW_US, [b"x"]))
    assert await orderer.channels[channel].chain.wait_beyond(before, 10)


async def test_a_channel_is_joined_and_kept(tmp_path: Path, paper: PaperNetwork) -> None:
    settings, genesis = lone_orderer(tmp_path, paper), genesis_of(paper)
    async with running(settings) as orderer:
        told = await node(orderer).join(body(genesis))
        assert (told["status"], told["consensusRelation"], told["height"]) == ("active", "consenter", 1)
        await order(orderer, SECOND)
        assert (await node(orderer).join(body(genesis)))["height"] == 2, "again is no error"
    async with running(settings) as orderer:
        await order(orderer, SECOND)
        assert orderer.channels[SECOND].chain.height == 3
        await order(orderer, CHANNEL)
        assert node(orderer).channels() == [CHANNEL, SECOND]


async def test_a_joined_channel_that_lost_its_log_is_not_begun_anew(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper).model_copy(update={"channels": []})
    async with running(settings) as orderer:
        await node(orderer).join(body(genesis_of(paper)))
    shutil.rmtree(settings.data / "raft")
    with pytest.raises(NoLog):
        async with running(settings):
            pass


async def test_another_channel_of_the_same_name_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    async with running(lone_orderer(tmp_path, paper)) as orderer:
        other = genesis_of(PaperNetwork())
        await node(orderer).join(body(genesis_of(paper)))
        with pytest.raises(OtherChannel, match="another genesis block"):
            await node(orderer).join(body(other))
        with pytest.raises(OtherChannel):
            await node(orderer).join(body(genesis_of(paper, CHANNEL, ("orderer1", "orderer2"))))


async def test_what_is_no_genesis_block_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    genesis = genesis_of(paper)
    later = Block.build(
        channel=SECOND, number=1, previous_hash="0" * 64, timestamp_us=NOW_US, envelopes=genesis.envelopes
    )
    wrong = Block(genesis.header, (genesis.envelopes[0], b"x"))
    outside = genesis_of(paper, "../shard2")
    async with running(lone_orderer(tmp_path, paper)) as orderer:
        for given in (b"", b"x", body(later), body(wrong), body(outside), body(genesis, genesis_of(paper, CHANNEL))):
            with pytest.raises(BadJoinBlock):
                await node(orderer).join(given)
        assert node(orderer).channels() == [CHANNEL]


async def test_an_orderer_that_a_channel_has_leaves_by_force_alone(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper)
    async with running(settings) as orderer:
        await node(orderer).join(body(genesis_of(paper)))
        await order(orderer, SECOND)
        with pytest.raises(StillOrderer, match="force"):
            await node(orderer).leave(SECOND, force=False)
        left = orderer.channels[SECOND]
        waiting = asyncio.create_task(left.chain.wait_beyond(left.chain.height, 30))
        await asyncio.sleep(0)
        await node(orderer).leave(SECOND, force=True)
        async with asyncio.timeout(5):
            await waiting
        with pytest.raises(ChannelStopped, match="orderer1 has left it"):
            left.chain.check()
        with pytest.raises(ChannelUnknown):
            await node(orderer).leave(SECOND, force=True)
        measured = [sample.labels["channel"] for found in metrics.HEIGHT.collect() for sample in found.samples]
        assert CHANNEL in measured
        assert SECOND not in measured
        assert list((settings.data / "blocks" / SECOND).iterdir()) == []
        await order(orderer, CHANNEL)
    async with running(settings) as orderer:
        assert node(orderer).channels() == [CHANNEL]
        assert logs(orderer) == [CHANNEL]


async def test_a_channel_of_the_settings_that_was_left_stays_left(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper)
    async with running(settings) as orderer:
        await node(orderer).leave(CHANNEL, force=True)
    async with running(settings) as orderer:
        assert node(orderer).channels() == []


async def test_who_comes_back_to_a_channel_is_another_member(tmp_path: Path, paper: PaperNetwork) -> None:
    """Its votes under its first name are forgotten; under its second one it comes back only if it was not a member."""
    genesis = genesis_of(paper)
    async with running(lone_orderer(tmp_path, paper)) as orderer:
        await node(orderer).join(body(genesis))
        await node(orderer).leave(SECOND, force=True)
        told = await node(orderer).join(body(genesis))
        assert orderer.channels[SECOND].raft_id == NEW_ID
        assert told["status"] == "onboarding"
        await node(orderer).leave(SECOND, force=True)
        with pytest.raises(ConflictError, match="readmit"):
            await node(orderer).join(body(genesis))


@pytest.mark.parametrize(("since_us", "raft_id"), [(NOW_US - 1, "orderer1"), (NOW_US, NEW_ID)])
async def test_a_readmitted_orderer_begins_only_what_is_newer(
    tmp_path: Path, paper: PaperNetwork, since_us: int, raft_id: str
) -> None:
    """An older channel its lost life may have begun and voted in."""
    settings = lone_orderer(tmp_path, paper).model_copy(update={"channels": []})
    Incarnation("orderer1", "0badcafe", joins=True, since_us=since_us).write(settings.data)
    async with running(settings) as orderer:
        await node(orderer).join(body(genesis_of(paper, orderers=("orderer1", "orderer2"))))
        assert orderer.channels[SECOND].raft_id == raft_id
        voters = {"orderer1", "orderer2"} if raft_id == "orderer1" else {"orderer2"}
        assert orderer.consensus.status(SECOND).membership.voters == voters


async def test_an_orderer_that_is_to_be_added_waits_as_a_follower(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper).model_copy(update={"channels": []})
    async with running(settings) as orderer:
        assert node(orderer).channels() == []
        told = await node(orderer).join(body(genesis_of(paper, orderers=("orderer2", "orderer3"))))
        assert (told["status"], told["consensusRelation"]) == ("onboarding", "follower")
        await node(orderer).leave(SECOND, force=False)
        assert node(orderer).channels() == []


async def test_an_orderer_that_a_config_had_is_told_as_removed(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper).model_copy(update={"channels": []})
    async with running(settings) as orderer:
        await node(orderer).join(body(genesis_of(paper, orderers=("orderer2", "orderer3"))))
        chain = orderer.channels[SECOND].chain
        chain.on_config(replace(chain.config, orderers=paper.config.orderers))
    async with running(settings) as orderer:
        told = node(orderer).told(SECOND)
        assert (told["status"], told["consensusRelation"]) == ("removed", "follower")


async def test_only_the_organisations_own_admins_change_its_channels(tmp_path: Path, paper: PaperNetwork) -> None:
    async with running(lone_orderer(tmp_path, paper)) as orderer:
        node(orderer).check_admin(paper.identity(paper.orderer_admin))
        for other in (paper.admins["Org1MSP"], paper.orderers["orderer2"]):
            with pytest.raises(PermissionDeniedError):
                node(orderer).check_admin(paper.identity(other))


async def test_the_roots_of_who_joins_are_trusted_at_the_edge(tmp_path: Path, paper: PaperNetwork) -> None:
    class Edge:
        def __init__(self) -> None:
            self.roots = ""

        def extend_roots(self, pem: str) -> None:
            self.roots += pem

    edge, newcomer = Edge(), PaperOrganisation("Org7MSP")
    async with open_orderer(
        lone_orderer(tmp_path, paper), clock_us=lambda: NOW_US, random=Random(1), tls=edge
    ) as orderer:
        chain = orderer.channels[CHANNEL].chain
        assert edge.roots == chain.config.msps.roots_pem()
        joined = {**chain.config.organisations, "Org7MSP": Organisation("Org7MSP", (newcomer.root,))}
        later = replace(chain.config, sequence=1, organisations=joined)
        chain.on_config(later)
        assert edge.roots.endswith(later.msps.roots_pem())


def config_block(paper: PaperNetwork, genesis: Block, number: int = 1, **changes: Any) -> Block:
    """A config block that follows a genesis block, or stands further ahead."""
    config = ConfigBlock.of(genesis).config
    update = ConfigUpdate.build(replace(config, sequence=1, **changes), paper.all_admins, time_us=NOW_US)
    return Block.build(
        channel=config.channel,
        number=number,
        previous_hash=genesis.header.hash,
        timestamp_us=NOW_US,
        envelopes=[update.to_bytes()],
    )


def moved(paper: PaperNetwork, genesis: Block, number: int = 1) -> Block:
    """The config block by which orderer2 is elsewhere."""
    orderers = ConfigBlock.of(genesis).config.orderers
    node2 = replace(orderers["orderer2"], url="https://localhost:4711")
    return config_block(paper, genesis, number, orderers={**orderers, "orderer2": node2})


def url_of(orderer: Orderer, name: str = "orderer2") -> str:
    """Where an orderer looks for another one."""
    return orderer.raft_senders.config_of(SECOND).orderers[name].url


async def test_who_joins_by_a_newer_config_block_looks_where_it_says(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = lone_orderer(tmp_path, paper).model_copy(update={"channels": []})
    genesis = genesis_of(paper, orderers=("orderer2", "orderer3"))
    async with running(settings) as orderer:
        await node(orderer).join(body(genesis, moved(paper, genesis, 7)))
        assert url_of(orderer) == "https://localhost:4711"
        assert orderer.channels[SECOND].config.sequence == 0
    async with running(settings) as orderer:
        assert url_of(orderer) == "https://localhost:4711"


async def test_a_newer_config_block_renews_the_addresses(tmp_path: Path, paper: PaperNetwork) -> None:
    """For one that was down while the others moved; also by a file beside the genesis block."""
    settings = lone_orderer(tmp_path, paper).model_copy(update={"channels": [SECOND]})
    genesis = genesis_of(paper, orderers=("orderer1", "orderer2"))
    (settings.genesis / f"{SECOND}.genesis").write_bytes(genesis.to_bytes())
    async with running(settings) as orderer:
        before = url_of(orderer)
        await node(orderer).join(body(genesis, moved(paper, genesis)))
        assert url_of(orderer) == "https://localhost:4711" != before
    (settings.data / "channels" / f"{SECOND}.config").unlink()
    async with running(settings) as orderer:
        assert url_of(orderer) == before
    (settings.genesis / f"{SECOND}.config").write_bytes(moved(paper, genesis).to_bytes())
    async with running(settings) as orderer:
        assert url_of(orderer) == "https://localhost:4711"
    (settings.genesis / f"{SECOND}.config").write_bytes(b"x")
    with pytest.raises(SettingsError, match=r"shard2\.config is no newer config block of shard2"):
        async with running(settings):
            pass


async def test_a_chain_that_leads_to_another_config_block_stops(tmp_path: Path, paper: PaperNetwork) -> None:
    settings, genesis = lone_orderer(tmp_path, paper), genesis_of(paper)
    other = config_block(paper, genesis, 2)
    async with running(settings) as orderer:
        await node(orderer).join(body(genesis, other))
        await order(orderer, SECOND)
        await orderer.consensus.propose(SECOND, entry_of(NOW_US, [b"y"]))
        await until(lambda: node(orderer).told(SECOND)["status"] == "failed", within_s=10)
        assert "is not the config block that this node was given" in str(orderer.consensus.status(SECOND).broken)
        assert orderer.channels[SECOND].chain.height == 2
        await order(orderer, CHANNEL)


async def test_a_config_block_that_is_not_the_chains_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    genesis = genesis_of(paper)
    async with running(lone_orderer(tmp_path, paper)) as orderer:
        await node(orderer).join(body(genesis))
        await order(orderer, SECOND)
        with pytest.raises(BadJoinBlock, match="is not the config block"):
            await node(orderer).join(body(genesis, config_block(paper, genesis)))


class Crashing(SystemDisk):
    """A disk under a process that ends before its ``steps``-th change."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def _step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise OSError(5, "the process has ended")

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        self._step()
        super().pwrite(descriptor, pieces, offset)

    def replace(self, old: Path, new: Path) -> None:
        self._step()
        super().replace(old, new)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)


@pytest.mark.parametrize("act", ["join", "leave"])
async def test_a_crash_leaves_a_channel_joined_or_not(tmp_path: Path, paper: PaperNetwork, act: str) -> None:
    """At each step; then the orderer starts, and what it has it serves."""
    outcomes = []
    for steps in range(60):
        folder = tmp_path / str(steps)
        folder.mkdir()
        settings = lone_orderer(folder, paper)
        disk = Crashing(10**6)
        whole = False
        try:
            async with running(settings, disk) as orderer:
                if act == "leave":
                    await node(orderer).join(body(genesis_of(paper)))
                    await order(orderer, SECOND)
                disk.steps = steps
                if act == "join":
                    await node(orderer).join(body(genesis_of(paper)))
                else:
                    await node(orderer).leave(SECOND, force=True)
                whole = True
                disk.steps = 10**6
        except (OSError, GridLedgerError, DiskFailed):
            assert not whole
        async with running(settings) as orderer:
            there = SECOND in node(orderer).channels()
            if there:
                await order(orderer, SECOND)
                assert orderer.channels[SECOND].chain.height >= (2 if act == "join" else 3)
            else:
                assert logs(orderer) == [CHANNEL]
            assert ChannelRecord(settings.data).leaving() == []
        outcomes.append(there)
        if whole:
            break
    assert whole, "all steps were seen"
    assert outcomes[0] is (act == "leave")
    assert outcomes[-1] is (act == "join")
    assert outcomes == sorted(outcomes, reverse=act == "leave")
