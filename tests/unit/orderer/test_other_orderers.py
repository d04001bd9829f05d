"""Raft's batches between orderers: a real server on a socket with mutual TLS, and the streams to it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gridledger import framing
from gridledger.errors import GridLedgerError, InputError, MalformedFrames
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import Organisation
from gridledger.transport.node_client import NodeClient, WrongNode
from gridledger.web import Limits, ServerSettings, TLSFiles, WebServer, by_certificate, create_app
from services.orderer import other_orderers as module
from services.orderer import routes
from services.orderer.block_store import BlockStore
from services.orderer.chain import Chain
from services.orderer.lives import Lives, RestoredOrderer
from services.orderer.orderer import Channel, Orderer
from services.orderer.other_orderers import RAFT_PATH, STREAM_BYTES, STREAM_S, OtherOrderers
from services.orderer.raft.interface import Leadership, Link, RaftSettings
from services.orderer.routes import make_router
from services.orderer.settings import OrdererLimits, OrdererSettings
from tests.support.paper import PaperNetwork, PaperOrganisation
from tests.support.processes import free_ports
from tests.support.waiting import eventually


class Received:
    """The consensus engine's ear: what came, from whom."""

    def __init__(self) -> None:
        self.batches: list[tuple[str | None, bytes]] = []

    def receive(self, name_in: Callable[[str], str | None], payload: bytes) -> None:
        self.batches.append((name_in("shard1"), payload))

    def leadership(self, group: str) -> Leadership:
        return Leadership(group, 1, "orderer1", is_self=False, ready=False)


class Net:
    """orderer2 as a server in this process; orderer1 as who sends."""

    def __init__(self, folder: Path, limits: OrdererLimits) -> None:
        self.port = free_ports(1)[0]
        self.paper = PaperNetwork(urls={"orderer2": f"https://127.0.0.1:{self.port}"})
        self.roots = self.paper.config.msps.roots_pem()
        self.received = Received()
        self.requests = 0
        self.home = folder / "msp"
        self.paper.organisations["OrdererMSP"].furnish(self.paper.orderers["orderer2"], self.home)
        store = BlockStore.open(folder / "blocks")
        self.chain = Chain.open(store, self.paper.genesis, self.paper.orderers["orderer2"], cast("Any", None))
        settings = OrdererSettings.model_construct(name="orderer2", mspid="OrdererMSP", limits=limits)
        channel = Channel(self.chain, *[cast("Any", None)] * 4)
        self.orderer = Orderer(
            settings,
            cast("Any", self.received),
            {self.paper.channel: channel},
            certificate=self.paper.orderers["orderer2"].certificate,
            local=LocalMSP.open(self.home, "OrdererMSP"),
            clock_us=lambda: time.time_ns() // 1000,
            peek=cast("Any", None),
            lives=Lives(folder),
        )
        self.senders: list[OtherOrderers] = []
        self.server: WebServer | None = None

    async def start(self) -> None:
        app = create_app("orderer", by_certificate(self.orderer.authenticate), Limits(max_body_bytes=1024 * 1024))
        app.include_router(make_router(self.orderer))
        tls = TLSFiles(self.home / "cert.pem", self.home / "key.pem", [self.roots])
        self.server = WebServer(app, ServerSettings("127.0.0.1", self.port, tls))
        await self.server.start()

    def folder_of(self, identity: SigningIdentity) -> Path:
        """Where the server takes its certificate from at its next start: this identity's."""
        self.home = self.home.with_name(f"msp-{identity.fingerprint[:8]}")
        return self.home

    async def stop(self) -> None:
        if self.server is not None:
            self.server.stop()
            await self.server.wait()
            self.server = None

    def sender(self, identity: SigningIdentity | None = None) -> OtherOrderers:
        identity = identity or self.paper.orderers["orderer1"]
        made = OtherOrderers("orderer1", identity, self.roots, timeout_s=5.0, random=random.Random(1))
        made.follow(self.chain.config)
        self.senders.append(made)
        return made

    async def arrived(self, count: int) -> list[bytes]:
        async def enough() -> bool:
            return len(self.received.batches) >= count

        await eventually(enough, within_s=10, what=f"{count} batches")
        return [payload for _, payload in self.received.batches]


@asynccontextmanager
async def net(folder: Path, limits: OrdererLimits | None = None) -> AsyncIterator[Net]:
    made = Net(folder, limits or OrdererLimits())
    await made.start()
    try:
        yield made
    finally:
        for transport in made.senders:
            await transport.close()
        await made.stop()
        made.chain.store.close()


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that streams were carried by."""
    begun: list[str] = []
    real = NodeClient.upload

    async def upload(self: NodeClient, path: str, chunks: AsyncIterator[bytes], **options: Any) -> bytes:
        begun.append(path)
        return await real(self, path, chunks, **options)

    monkeypatch.setattr(NodeClient, "upload", upload)
    return begun


def to_orderer2(sender: OtherOrderers, channel: str = "shard1") -> Link:
    return sender.link(channel, "orderer2")


async def send_until_refused(sender: OtherOrderers, payload: bytes) -> None:
    """An answer comes a while after what it answers."""
    async with asyncio.timeout(10):
        while True:
            await sender.send(to_orderer2(sender), payload)


def life(start: int, word: str = "0badcafe") -> str:
    return f"5f3a01c2-{start}-{word}"


async def test_an_orderer_restored_from_an_older_backup_is_heard_no_more(tmp_path: Path) -> None:
    """It has forgotten what it acknowledged, and would vote for a leader without it."""
    async with net(tmp_path) as there:
        for start in (3, 4):
            sender = there.sender()
            sender.life = life(start)
            await sender.send(to_orderer2(sender), b"batch")
            await there.arrived(start - 2)
        for older in (life(4, "0badf00d"), life(3)):
            sender = there.sender()
            sender.life = older
            with pytest.raises(RestoredOrderer, match="orderer1 comes back in an older state"):
                await send_until_refused(sender, b"batch")
        assert len(there.received.batches) == 2
        root = there.paper.config.msps.msps["OrdererMSP"].roots[0].fingerprint
        assert Lives(tmp_path)._known == {f"orderer1 {root}": life(4)}


async def test_a_namesake_of_another_channel_tells_nothing_of_an_orderers_lives(tmp_path: Path) -> None:
    """It heard the life of the true one, whose streams were refused for good once it told a newer one."""
    known = Lives(tmp_path)
    await known.hear("orderer1", "root", life(3))
    await known.hear("orderer1", "another root", life(10**14))
    await known.hear("orderer1", "root", life(4))
    with pytest.raises(RestoredOrderer):
        await known.hear("orderer1", "root", life(3))


async def test_what_is_known_of_others_lives_outlasts_a_restart(tmp_path: Path) -> None:
    await Lives(tmp_path).hear("orderer1", "root", life(7))
    known = Lives(tmp_path)
    await known.hear("orderer1", "root", life(7))
    await known.hear("orderer2", "root", life(1))
    with pytest.raises(RestoredOrderer):
        await known.hear("orderer1", "root", life(6))
    await known.hear("orderer1", "root", life(8))
    await known.hear(
        "orderer1", "root", "00000000-1-0badcafe"
    )  # another incarnation, of which Raft's membership judges
    for wrong in ("x", "5f3a01c2-1", life(10**20), "5f3a01c2-1-0badcafe\n"):
        with pytest.raises(InputError):
            await known.hear("orderer1", "root", wrong)


async def test_a_life_that_could_not_be_written_is_not_known(tmp_path: Path) -> None:
    """The next stream with it would pass, and after a restart an older one too."""
    folder = tmp_path / "unmounted"
    known = Lives(folder)
    for _ in range(2):
        with pytest.raises(OSError, match="No such file"):
            await known.hear("orderer1", "root", life(3))
    folder.mkdir()
    await known.hear("orderer1", "root", life(3))
    assert Lives(folder)._known == {"orderer1 root": life(3)}


async def test_batches_arrive_in_order_over_one_request(tmp_path: Path, uploads: list[str]) -> None:
    async with net(tmp_path) as made:
        sender = made.sender()
        sent = [b"", b"x", *(bytes([n]) * n * 100 for n in range(1, 40)), b"y" * 300_000]
        for payload in sent:
            await sender.send(to_orderer2(sender), payload)
        assert await made.arrived(len(sent)) == sent
        assert {name for name, _ in made.received.batches} == {"orderer1"}
        assert uploads == [RAFT_PATH]


async def test_a_stream_that_is_old_or_long_is_followed_by_the_next(
    tmp_path: Path, uploads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STREAM_BYTES", 10_000)
    monkeypatch.setattr(module, "STREAM_S", 0.2)
    async with net(tmp_path) as made:
        sender = made.sender()
        sent = [b"%d" % n * 500 for n in range(100)]
        for payload in sent:
            await sender.send(to_orderer2(sender), payload)
        assert await made.arrived(100) == sent
        long = len(uploads)
        assert long > 3

        async def old() -> bool:
            return sender._streams[to_orderer2(sender)]._request.done()

        await eventually(old, within_s=5, what="an old stream ended")
        await sender.send(to_orderer2(sender), b"after")
        assert (await made.arrived(101))[-1] == b"after"
        assert len(uploads) == long + 1


async def test_who_is_no_orderer_is_refused(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        sender = made.sender(made.paper.clients["Org1MSP"])
        with pytest.raises(GridLedgerError) as caught:
            await send_until_refused(sender, b"x")
        assert (caught.value.status, caught.value.code) == (403, "PERMISSION_DENIED")
        assert made.received.batches == []


async def test_an_orderer_that_the_configuration_drops_is_cut_off(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        sender = made.sender()
        await sender.send(to_orderer2(sender), b"before")
        await made.arrived(1)
        nodes = {name: node for name, node in made.chain.config.orderers.items() if name != "orderer1"}
        made.chain.config = replace(made.paper.config, orderers=nodes)
        with pytest.raises(GridLedgerError) as caught:
            await send_until_refused(sender, b"after")
        assert caught.value.status == 403
        assert [payload for _, payload in made.received.batches] == [b"before"]


async def test_a_restart_is_told_once_and_then_forgotten(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        sender = made.sender()
        await sender.send(to_orderer2(sender), b"1")
        await made.arrived(1)
        started = asyncio.get_running_loop().time()
        await made.stop()
        assert asyncio.get_running_loop().time() - started < 3  # an open stream holds no stop up
        with pytest.raises(GridLedgerError):
            await sender.send(to_orderer2(sender), b"lost")
        await made.start()
        await sender.send(to_orderer2(sender), b"2")
        assert await made.arrived(2) == [b"1", b"2"]


async def test_an_unknown_or_absent_orderer_is_told(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        sender = made.sender()
        with pytest.raises(GridLedgerError, match="no orderer named"):
            await sender.send(sender.link("shard1", "orderer9"), b"x")
        await made.stop()
        with pytest.raises(GridLedgerError):
            await sender.send(to_orderer2(sender), b"x")


async def test_a_send_that_is_given_up_ends_its_stream(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        sender = made.sender()
        await sender.send(to_orderer2(sender), b"1")
        sending = asyncio.create_task(sender.send(to_orderer2(sender), b"x"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        given_up = sender._streams.get(to_orderer2(sender))
        await sender.send(to_orderer2(sender), b"2")
        assert given_up is None

        async def came() -> bool:
            return ("orderer1", b"2") in made.received.batches

        await eventually(came, within_s=10, what="the next batch")


async def test_a_batch_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    async with net(tmp_path, OrdererLimits(max_raft_body_bytes=1000)) as made:
        sender = made.sender()
        with pytest.raises(GridLedgerError) as caught:
            await send_until_refused(sender, b"x" * 1001)
        assert caught.value.code == MalformedFrames.code
        assert made.received.batches == []


def test_a_stream_keeps_within_the_edges_bounds() -> None:
    assert STREAM_BYTES + RaftSettings().max_batch_bytes + 1024 * 1024 <= OrdererLimits().max_raft_body_bytes
    assert Limits().request_timeout_s > STREAM_S


async def test_raft_talks_to_nobody_with_another_certificate(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        await made.stop()
        ordering = made.paper.organisations["OrdererMSP"]
        for who in (ordering.issue("orderer2", "orderer"), ordering.issue("mallory", "client")):
            who.save(made.folder_of(who))
            await made.start()
            sender = made.sender()
            with pytest.raises(WrongNode, match="this is not orderer2"):
                await send_until_refused(sender, b"x")
            await made.stop()
        assert made.received.batches == []


async def test_raft_follows_a_renewed_certificate(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        await made.stop()
        sender = made.sender()
        renewed = made.paper.organisations["OrdererMSP"].issue("orderer2", "orderer")
        renewed.save(made.folder_of(renewed))
        await made.start()
        with pytest.raises(WrongNode):
            await send_until_refused(sender, b"x")
        config = made.chain.config
        node = replace(config.orderers["orderer2"], certificate=renewed.certificate)
        sender.follow(replace(config, orderers={**config.orderers, "orderer2": node}))
        await sender.send(to_orderer2(sender), b"1")
        assert await made.arrived(1) == [b"1"]


async def test_a_late_orderer_fetches_blocks_after_a_renewal(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        await made.stop()
        ordering = made.paper.organisations["OrdererMSP"]
        for role in ("client", "orderer"):
            who = ordering.issue("orderer2", role)
            who.save(made.folder_of(who))
            await made.start()
            link = made.sender()._blocks.of("shard1")["orderer2"]
            records = link.frames("/channels/shard1/deliver", params={"from": "0", "count": "1"})
            if role == "orderer":
                assert len([record async for record in records]) == 1
            else:
                with pytest.raises(WrongNode):
                    await anext(aiter(records))
            await made.stop()


async def test_an_orderer_without_the_blocks_it_claims_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its heartbeats kept the stream alive, and whoever waited for its blocks, for ever."""
    monkeypatch.setattr(module, "BLOCK_WITHIN_S", 0.3)
    async with net(tmp_path) as made:
        monkeypatch.setattr(made.orderer, "describe", lambda _: {"height": 2**40})
        async with asyncio.timeout(10):
            assert await made.sender().peek("shard1", 1) == ()


async def test_blocks_without_end_are_taken_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 0

    async def endless(*_: object, **__: object) -> AsyncIterator[bytes]:
        while True:
            yield framing.frame(bytes(size))
            await asyncio.sleep(0)

    monkeypatch.setattr(routes, "deliver", endless)
    async with net(tmp_path) as made, asyncio.timeout(20):
        monkeypatch.setattr(made.orderer, "describe", lambda _: {"height": 5})
        size = 100
        assert len(await made.sender().peek("shard1", 1)) == 4
        monkeypatch.setattr(made.orderer, "describe", lambda _: {"height": 2**40})
        size = module.FETCH_BYTES // 3
        assert len(await made.sender().peek("shard1", 1)) == 4


async def test_a_channels_config_moves_no_other_channels_link(tmp_path: Path) -> None:
    """The admins of one channel could cut the orderers of all: the newest address held for every channel."""
    async with net(tmp_path) as made:
        foreign = PaperOrganisation("OrdererMSP")
        thief = foreign.issue("orderer2", "orderer")
        config = made.chain.config
        elsewhere = replace(config.orderers["orderer2"], url="https://thief.example:1", certificate=thief.certificate)
        stolen = replace(
            config,
            channel="shard2",
            organisations={
                **config.organisations,
                "OrdererMSP": Organisation("OrdererMSP", (foreign.root,), kind="orderer"),
            },
            orderers={"orderer2": elsewhere},
        )
        moved = replace(config.orderers["orderer2"], url="https://127.0.0.1:1")
        sender = made.sender()
        own, blocks = to_orderer2(sender), sender._blocks.of("shard1")["orderer2"]
        sender.follow(stolen)
        sender.follow(replace(config, channel="shard3", orderers={"orderer2": moved}))
        sender.follow(replace(config, channel="shard4"))
        links = [to_orderer2(sender, channel) for channel in ("shard1", "shard2", "shard3", "shard4")]
        assert links[0] == links[3] == own
        assert len(set(links)) == 3
        assert sender._blocks.of("shard1")["orderer2"] is blocks
        with pytest.raises(GridLedgerError):
            await sender.send(links[2], b"nowhere")
        await sender.send(own, b"1")
        assert await made.arrived(1) == [b"1"]


async def test_a_link_is_given_up_with_the_last_channel_that_uses_it(tmp_path: Path) -> None:
    async with net(tmp_path) as made:
        sender, config = made.sender(), made.chain.config
        own = to_orderer2(sender)
        await sender.send(own, b"1")
        await made.arrived(1)
        moved = replace(config.orderers["orderer2"], url="https://127.0.0.1:1")
        sender.follow(replace(config, channel="shard2"))
        sender.follow(replace(config, sequence=config.sequence + 1, orderers={"orderer2": moved}))
        await sender.send(own, b"2")
        assert await made.arrived(2) == [b"1", b"2"]
        sender.follow(replace(config, channel="shard2", sequence=config.sequence + 1, orderers={"orderer2": moved}))
        with pytest.raises(GridLedgerError, match="no orderer named"):
            await sender.send(own, b"3")
        assert own not in sender._streams
