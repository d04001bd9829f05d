"""Channels that a peer joins and leaves while it runs, with committers that are processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import framing
from gridledger.channel_record import ChannelRecord
from gridledger.errors import PermissionDeniedError
from gridledger.participating import Participating
from gridledger.protocol import Block, ConfigUpdate
from gridledger.protocol.errors import ChannelUnknown
from gridledger.protocol.joining import BadJoinBlock, ConfigBlock, OtherChannel
from services.peer import metrics
from services.peer.committer.child import CommitterFailed
from services.peer.committers import Committers
from services.peer.opening import open_peer
from services.peer.peer import Peer
from services.peer.settings import CommitterLimits, PeerSettings
from tests.support.paper import NOW_US, PaperNetwork, genesis_block

FIRST, SECOND, THIRD = "shard1", "shard2", "shard3"


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


class Edge:
    """The TLS side of a peer's edge."""

    def __init__(self) -> None:
        self.roots = ""

    def extend_roots(self, pem: str) -> None:
        self.roots += pem


def genesis_of(paper: PaperNetwork, channel: str, *peers: str) -> Block:
    nodes = {name: paper.config.peers[name] for name in peers or paper.config.peers}
    return genesis_block(replace(paper.config, channel=channel, peers=nodes))


def body(*blocks: Block) -> bytes:
    return framing.pack(block.to_bytes() for block in blocks)


def peer_folder(folder: Path, paper: PaperNetwork, *channels: str) -> PeerSettings:
    """The settings of peer1, with the channels' genesis blocks."""
    paper.organisations["Org1MSP"].furnish(paper.peers["peer1"], folder / "msp")
    (folder / "roots.pem").write_text(paper.config.msps.roots_pem())
    (folder / "genesis").mkdir()
    for channel in channels:
        (folder / "genesis" / f"{channel}.genesis").write_bytes(genesis_of(paper, channel).to_bytes())
    return PeerSettings(
        name="peer1",
        mspid="Org1MSP",
        host="127.0.0.1",
        port=1,
        data=folder / "data",
        identity=folder / "msp",
        genesis=folder / "genesis",
        roots=folder / "roots.pem",
        channels=list(channels),
        committer=CommitterLimits(map_bytes=64 * 1024 * 1024),
    )


@asynccontextmanager
async def running(settings: PeerSettings) -> AsyncIterator[tuple[Peer, Committers]]:
    async with open_peer(settings, Edge()) as (peer, committers):
        watching = asyncio.create_task(committers.run())
        await asyncio.sleep(0)
        try:
            yield peer, committers
        finally:
            ended = watching.done()
            watching.cancel()
            await asyncio.wait((watching,))
        assert not ended, "all committers run"


def node(peer: Peer) -> Participating:
    return peer.participation


async def test_a_channel_is_joined_left_and_each_is_kept(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = peer_folder(tmp_path, paper)
    genesis = genesis_of(paper, SECOND)
    async with running(settings) as (peer, _):
        assert node(peer).channels() == []
        told = await node(peer).join(body(genesis))
        assert told == {"name": SECOND, "status": "active", "consensusRelation": "other", "height": 1}
        assert await node(peer).join(body(genesis)) == told, "again is no error"
        assert peer.channels[SECOND].config.channel == SECOND
        assert peer.status(peer.channels.all())["channels"][SECOND]["standing"] == "peer"
        assert isinstance(peer.tls, Edge)
        assert peer.channels[SECOND].config.msps.roots_pem() in peer.tls.roots
    async with running(settings) as (peer, _):
        assert node(peer).channels() == [SECOND]
        await node(peer).leave(SECOND, force=False)
        assert not (settings.ledger_directory / SECOND).exists()
        measured = [sample.labels["channel"] for found in metrics.HEIGHT.collect() for sample in found.samples]
        assert SECOND not in measured
        with pytest.raises(ChannelUnknown):
            await node(peer).leave(SECOND, force=False)
        with pytest.raises(ChannelUnknown):
            peer.queues[SECOND]
    async with running(settings) as (peer, _):
        assert node(peer).channels() == []


async def test_a_channel_that_is_left_may_come_back_as_another(tmp_path: Path, paper: PaperNetwork) -> None:
    async with running(peer_folder(tmp_path, paper)) as (peer, _):
        for peers in (("peer1",), ("peer1", "peer2")):
            await node(peer).join(body(genesis_of(paper, SECOND, *peers)))
            assert tuple(peer.channels[SECOND].ledger.config().peers) == peers
            reading = peer.channels[SECOND].ledger.snapshot()
            await node(peer).leave(SECOND, force=False)
            assert reading.height == 1, "who reads is not disturbed"


async def test_who_leaves_a_shared_process_leaves_the_others_in_it(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = peer_folder(tmp_path, paper, FIRST, SECOND)
    async with running(settings) as (peer, committers):
        before = committers._processes[FIRST]
        assert committers._processes[SECOND] is before
        await node(peer).join(body(genesis_of(paper, THIRD)))
        joined = committers._processes[THIRD]
        assert joined is not before
        await node(peer).leave(SECOND, force=False)
        after = committers._processes[FIRST]
        assert (after.channels, committers._processes[THIRD]) == ([FIRST], joined)
        await node(peer).leave(THIRD, force=False)
        assert committers._processes == {FIRST: after}
    async with running(settings) as (peer, _):
        assert node(peer).channels() == [FIRST], "one of the settings stays left"


async def test_a_committer_that_ends_by_itself_is_noticed(tmp_path: Path, paper: PaperNetwork) -> None:
    """Also one that was started at run time."""
    async with open_peer(peer_folder(tmp_path, paper, FIRST), Edge()) as (peer, committers):
        watching = asyncio.create_task(committers.run())
        await asyncio.sleep(0)
        await node(peer).join(body(genesis_of(paper, SECOND)))
        process = committers._processes[SECOND]._process
        assert process is not None
        process.kill()
        with pytest.raises(CommitterFailed, match="signal 9"):
            async with asyncio.timeout(20):
                await watching


async def test_another_channel_of_the_same_name_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    async with running(peer_folder(tmp_path, paper, FIRST)) as (peer, _):
        with pytest.raises(OtherChannel, match="another genesis block"):
            await node(peer).join(body(genesis_of(paper, FIRST, "peer2")))
        with pytest.raises(BadJoinBlock):
            await node(peer).join(b"")
        node(peer).check_admin(paper.identity(paper.admins["Org1MSP"]))
        with pytest.raises(PermissionDeniedError):
            node(peer).check_admin(paper.identity(paper.admins["Org2MSP"]))


async def test_a_join_that_fails_leaves_nothing(
    tmp_path: Path, paper: PaperNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = peer_folder(tmp_path, paper)

    async def add(_committers: Committers, _channel: str) -> None:
        (settings.ledger_directory / SECOND).mkdir()
        raise CommitterFailed("it does not start")

    async with running(settings) as (peer, _):
        with monkeypatch.context() as patched:
            patched.setattr(Committers, "add", add)
            with pytest.raises(CommitterFailed):
                await node(peer).join(body(genesis_of(paper, SECOND)))
        assert not (settings.ledger_directory / SECOND).exists()
        assert ChannelRecord(settings.data).channels([]) == []
        assert (await node(peer).join(body(genesis_of(paper, SECOND))))["height"] == 1


async def test_a_newer_config_block_is_kept_and_followed(tmp_path: Path, paper: PaperNetwork) -> None:
    settings, genesis = peer_folder(tmp_path, paper, FIRST), genesis_of(paper, FIRST)
    config = ConfigBlock.of(genesis).config
    update = ConfigUpdate.build(replace(config, sequence=1), paper.all_admins, time_us=NOW_US)
    newer = Block.build(
        channel=FIRST, number=9, previous_hash="0" * 64, timestamp_us=NOW_US, envelopes=[update.to_bytes()]
    )
    async with running(settings) as (peer, committers):
        before = committers._processes[FIRST]
        await node(peer).join(body(genesis, newer))
        assert committers._processes[FIRST] is not before
        assert ChannelRecord(settings.data).config_block(FIRST) == newer.to_bytes()
        with pytest.raises(BadJoinBlock):
            await node(peer).join(body(genesis, genesis_of(paper, SECOND)))
    async with running(settings) as (peer, _):
        assert node(peer).channels() == [FIRST]


async def test_what_was_being_left_is_removed_at_the_next_start(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = peer_folder(tmp_path, paper, FIRST)
    async with running(settings):
        assert (settings.ledger_directory / FIRST).exists()
    ChannelRecord(settings.data).leave(FIRST)
    async with running(settings) as (peer, _):
        assert node(peer).channels() == []
        assert not (settings.ledger_directory / FIRST).exists()
        assert ChannelRecord(settings.data).leaving() == []


async def test_a_peer_that_no_config_had_yet_says_so(tmp_path: Path, paper: PaperNetwork) -> None:
    settings = peer_folder(tmp_path, paper)
    async with running(settings) as (peer, _):
        assert (await node(peer).join(body(genesis_of(paper, SECOND, "peer2"))))["status"] == "onboarding"
        channel = peer.channels[SECOND]
        channel.config = paper.config
        peer.on_config(channel)
        assert node(peer).told(SECOND)["status"] == "active"
    async with running(settings) as (peer, _):
        assert node(peer).told(SECOND)["status"] == "removed", "the config that had it is not the present one"
        assert peer.channels[SECOND].standing == "removed"
