"""The machines of the simulated world: orderers and peers, from their disks' first start to their last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any, Protocol

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.errors import NotFoundError
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.errors import StorageFull
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.memory_store import MemoryReader, MemoryStore
from gridledger.ledger.snapshot import Snapshot as LedgerSnapshot
from gridledger.ledger.store import CommitBatch
from gridledger.protocol import acls
from gridledger.protocol.block import Block, BlockHeader
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.events import CommittedBlock
from gridledger.web.plain_routes import PlainRoute
from services.orderer.deliver import deliver
from services.orderer.membership import hear_announcement
from services.orderer.opening import open_orderer
from services.orderer.orderer import Orderer
from services.orderer.other_orderers import JOIN_PATH
from services.orderer.raft.interface import Leadership, Snapshot
from services.orderer.routes import plain_routes
from services.orderer.settings import OrdererSettings
from services.peer.committer.buffer import BlockBuffer
from services.peer.committer.chain_committer import ChainCommitter
from services.peer.committer.messages import BlockCommitted, CommitterReport
from services.peer.committer.orderers import HttpOrderers
from services.peer.committer.source import BlockSource
from services.peer.gateway.ordering_queue import OrderingQueue
from services.peer.gateway.other_nodes import OtherNodes
from services.peer.settings import OrderingLimits
from tests.simulation.world.disk import Mount, PowerLost, SimulatedDisk
from tests.simulation.world.life import Life, WorldLoop
from tests.simulation.world.network import Network
from tests.simulation.world.oracle import WorldOracle, require
from tests.support.paper import NOW_US

CHANNEL = "shard1"
QUEUE = OrderingLimits(timeout_s=8.0, request_timeout_s=2.0, max_batch=20)


class Surroundings(Protocol):
    """What a machine needs of the world."""

    chance: Random
    loop: WorldLoop
    network: Network
    oracle: WorldOracle
    genesis: Block
    faulty: bool

    def note(self, said: str) -> None: ...

    def fired(self, kind: str) -> None: ...

    def fail(self, said: str) -> None: ...

    def saw_time(self, header: BlockHeader) -> None: ...

    def machine_ended(self, machine: Machine, error: BaseException) -> None: ...

    def power_lost(self, machine: Machine) -> None: ...


class Machine:
    """One machine: its disk, its clock, and the life that it leads now, if it is up.

    ``excuse`` says why its process may end by itself or refuse to start; ``gone`` that it never comes back.
    """

    def __init__(self, name: str, world: Surroundings) -> None:
        self.name = name
        self.world = world
        self.disk = SimulatedDisk(
            Random(world.chance.getrandbits(64)), lambda said: world.note(f"{name}: {said}"), world.fired
        )
        self.clock_off_us = 0
        self.life: Life | None = None
        self.mount: Mount | None = None
        self.running: asyncio.Task[None] | None = None
        self.excuse = ""
        self.gone = False
        self.at_rest = asyncio.Event()
        """Not about to end."""
        self.at_rest.set()

    def clock_us(self) -> int:
        """Microseconds since 1970 by this machine's clock."""
        return NOW_US + int(self.world.loop.time() * 1_000_000) + self.clock_off_us

    def start(self) -> None:
        """Begin the next life."""
        require(self.life is None, f"{self.name} is up")
        life = self.life = Life(self.name, self.world.loop)
        mount = self.mount = self.disk.mount(lambda: self._power_lost(life))
        self.world.note(f"{self.name} starts")
        self.running = life.do(self._live(life, mount))

    def _power_lost(self, life: Life) -> None:
        life.cut_off = True
        self.world.power_lost(self)

    async def _live(self, life: Life, mount: Mount) -> None:
        try:
            await self.work(life, mount)
        except (PowerLost, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            if not life.cut_off:
                self.world.network.services.pop(self.name, None)
                self.world.machine_ended(self, error)

    async def work(self, life: Life, mount: Mount) -> None:
        """What its processes do."""
        raise NotImplementedError

    async def end(self, *, power: bool) -> None:
        """Kill its processes, with ``power`` by taking the power from the machine."""
        life, mount = self.life, self.mount
        if life is None or mount is None:
            return
        self.life = None
        self.at_rest.clear()
        self.world.network.services.pop(self.name, None)
        self.world.note(f"{self.name} {'loses power' if power else 'ends'}")
        life.cut_off = mount.dead = True
        await life.end()
        if power:
            self.disk.lose_power()
        else:
            self.disk.release()
        self.at_rest.set()

    async def stop(self) -> None:
        """Have its processes stop in order."""
        life, running, mount = self.life, self.running, self.mount
        if life is None or running is None or mount is None or life.cut_off:
            return
        self.world.network.services.pop(self.name, None)
        running.cancel()
        await asyncio.wait((running,), timeout=5.0)
        if self.life is life:
            await self.end(power=False)


class OrdererMachine(Machine):
    """An orderer, whole but for its HTTP edge."""

    def __init__(self, world: Surroundings, settings: OrdererSettings) -> None:
        super().__init__(settings.name, world)
        self.settings = settings
        self.orderer: Orderer | None = None
        self.rotten = False
        self.furnished = False

    async def work(self, life: Life, mount: Mount) -> None:
        world = self.world
        if not self.furnished:
            self.furnished = True
            Incarnation(self.name, "0badcafe").write(self.settings.data, mount)
            if world.faulty and world.chance.random() < 0.1:
                mount.lose_power_at = world.chance.randrange(30)
        async with open_orderer(
            self.settings, clock_us=self.clock_us, random=Random(world.chance.getrandbits(64)), disk=mount
        ) as orderer:
            chain = orderer.channels[CHANNEL].chain
            if not self.rotten:
                world.oracle.saw_store(self.name, chain.store)
            count, lead = chain.on_block, chain.on_leadership

            def on_block(header: Any, envelopes: int) -> None:
                count(header, envelopes)
                if not life.cut_off:
                    world.note(f"{self.name} has block {header.number} {header.hash[:12]} of {envelopes}")
                    self._checked(world.oracle.saw_block, self.name, header)
                    self._checked(world.saw_time, header)

            def on_leadership(leadership: Leadership) -> None:
                lead(leadership)
                if leadership.is_self and not life.cut_off:
                    world.note(f"{self.name} leads term {leadership.term}")
                    self._checked(world.oracle.saw_leader, self.name, leadership.term)

            install = chain.install_snapshot

            async def install_snapshot(snapshot: Snapshot) -> None:
                await install(snapshot)
                if not life.cut_off:
                    world.fired("snapshot from another orderer")

            chain.on_block, chain.on_leadership = on_block, on_leadership
            chain.install_snapshot = install_snapshot  # type: ignore[method-assign]
            if chain.leadership is not None:
                on_leadership(chain.leadership)
            self.orderer = orderer
            world.network.services[self.name] = (life, OrdererService(orderer))
            await orderer.run()

    @property
    def broken(self) -> str | None:
        """Why its channel has stopped, None where it has not."""
        if self.orderer is None or self.name not in self.world.network.services:
            return None
        return self.orderer.consensus.status(CHANNEL).broken

    def _checked(self, check: Callable[..., None], *args: Any) -> None:
        try:
            check(*args)
        except AssertionError as violated:
            self.world.fail(str(violated))

    @property
    def leads(self) -> bool:
        """Whether it is up and takes itself for the leader."""
        if self.life is None or self.orderer is None or self.name not in self.world.network.services:
            return False
        return self.orderer.consensus.leadership(CHANNEL).is_self


class OrdererService:
    """An orderer's answers, as its routes give them."""

    def __init__(self, orderer: Orderer) -> None:
        self._orderer = orderer
        self._broadcast: PlainRoute = plain_routes(orderer)[0]

    async def answer(self, caller: Certificate, path: str, body: bytes | None, params: Mapping[str, str]) -> bytes:
        del params
        identity = self._orderer.authenticate(caller)
        if path == f"/channels/{CHANNEL}/broadcast" and body is not None:
            return await _call(self._broadcast, path, identity, body)
        if path == f"/channels/{CHANNEL}":
            self._orderer.authorise(CHANNEL, identity, acls.DELIVER)
            return jsontext.dumps(self._orderer.describe(CHANNEL))
        if path.startswith(f"/channels/{CHANNEL}/blocks/") and path.endswith("/hash"):
            chain = self._orderer.authorise(CHANNEL, identity, acls.DELIVER).chain
            chain.check()
            return jsontext.dumps({"hash": chain.header(int(path.split("/")[-2])).hash})
        if path == f"/channels/{CHANNEL}/progress" and body is not None:
            channel = self._orderer.authorise(CHANNEL, identity, acls.DELIVER)
            report = jsontext.loads(body)
            channel.sequencer.report_height(report["peer"], report["height"])
            return b""
        if path == JOIN_PATH and body is not None:
            asked = jsontext.loads(body)
            state = hear_announcement(self._orderer, caller, asked["channel"], asked["node"], asked["applied"])
            return jsontext.dumps({"state": state})
        raise NotFoundError(f"no route {path}")

    async def stream(self, caller: Certificate, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        allowed = partial(self._orderer.authorise, CHANNEL, self._orderer.authenticate(caller), acls.DELIVER)
        chain = allowed().chain
        require(path == f"/channels/{CHANNEL}/deliver", f"no stream {path}")
        count = int(params["count"]) if "count" in params else None
        limit = self._orderer.settings.limits.stream_chunk_bytes
        first = int(params["from"])
        async for chunk in deliver(chain, first, count=count, max_chunk_bytes=limit, allowed=allowed):
            yield chunk

    def receive(self, caller: Certificate, batch: bytes) -> None:
        orderer = self._orderer
        orderer.authenticate(caller)
        orderer.raft_senders.check(caller)
        orderer.consensus.receive(partial(orderer.raft_senders.name_in, caller), batch)


async def _call(route: PlainRoute, path: str, caller: Any, body: bytes) -> bytes:
    """Call a plain route as the HTTP edge does."""
    answer: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            answer.append(message["body"])

    scope = {"method": "POST", "path": path, "query_string": b"", "headers": [], "state": {"caller": caller}}
    await route(scope, receive, send)
    return b"".join(answer)


class LedgerDisk:
    """A peer's ledger as one life has it: a ``StateStore`` whose commits are durable, whole or not there at all."""

    def __init__(self, tables: MemoryStore, mount: Mount, chance: Random) -> None:
        self._tables = tables
        self._mount = mount
        self._chance = chance

    def commit(self, batch: CommitBatch) -> None:
        if self._mount.disk.full:
            self._mount.disk.fired("full disk")
            raise StorageFull("no space for the ledger: No space left on device")
        if self._mount.lose_power_at == 0 and self._chance.random() < 0.5:
            self._tables.commit(batch)  # it was just durable, and nobody was told
        self._mount.begin("commit")
        self._tables.commit(batch)

    def reader(self) -> MemoryReader:
        return self._tables.reader()

    def size_bytes(self) -> int:
        return self._tables.size_bytes()

    def close(self) -> None:
        """Nothing is kept open."""


class PeerMachine(Machine):
    """A peer from its gateway's queue to its ledger: its committer is here, its endorser is not."""

    def __init__(self, world: Surroundings, identity: SigningIdentity) -> None:
        super().__init__(identity.name, world)
        self.identity = identity
        self.tables = MemoryStore()
        self.height = 1
        """How many blocks it has told of."""
        self.ledger: Ledger | None = None
        self.queue: OrderingQueue | None = None
        self.commits: asyncio.Event = asyncio.Event()

    def wipe(self) -> None:
        """Give it an empty disk."""
        self.tables = MemoryStore()
        self.height = 1

    async def work(self, life: Life, mount: Mount) -> None:
        world = self.world
        random = Random(world.chance.getrandbits(64))
        ledger = Ledger(CHANNEL, LedgerDisk(self.tables, mount, random))
        await asyncio.to_thread(commit_genesis, ledger.store, world.genesis)
        self._look_up(ledger)
        nodes = OtherNodes(self.identity)
        nodes.follow([ledger.config()])
        queue = OrderingQueue(
            CHANNEL,
            lambda: list(ledger.config().orderers),
            lambda orderer, body, timeout_s: nodes.broadcast(orderer, CHANNEL, body, timeout_s),
            QUEUE,
            clock=world.loop.time,
            random=random,
        )

        async def tell(report: CommitterReport) -> None:
            if isinstance(report, BlockCommitted) and not life.cut_off:
                world.note(f"{self.name} committed {report.block.number} {report.block.commit_hash[:12]}")
                try:
                    world.oracle.saw_commit(self.name, report.block, self.height)
                except AssertionError as violated:
                    world.fail(str(violated))
                self.height = report.block.number + 1
                if report.block.config_changed:
                    nodes.follow([ledger.config()])
                self.commits.set()
                self.commits = asyncio.Event()

        orderers = HttpOrderers(CHANNEL, self.name, self.identity, "")
        buffer = BlockBuffer(1024 * 1024)
        source = BlockSource(
            CHANNEL,
            ledger.height,
            orderers,
            buffer,
            backoff=Backoff(0.05, 2.0, random),
            stall_s=3.0,
            clock=world.loop.time,
            random=random,
            tell=lambda orderer, reason: world.note(f"{self.name} follows {orderer} {reason}"),
        )
        committer = ChainCommitter(
            BlockCommitter(ledger),
            source,
            buffer,
            orderers,
            ThreadPoolExecutor(1),  # of which the loop starts no thread
            tell=tell,
            clock=world.loop.time,
            backoff=Backoff(0.05, 2.0, random),
            max_blocks=32,
            max_bytes=1024 * 1024,
            progress_interval_s=0.1,
        )
        self.ledger, self.queue = ledger, queue
        world.network.services[self.name] = (life, _Nothing())
        try:
            await committer.run()
        finally:
            await queue.close()

    def _look_up(self, ledger: Ledger) -> None:
        """What was committed before a crash and not told is told now, and nothing that was told is gone."""
        with ledger.snapshot() as snapshot:
            require(snapshot.height >= self.height, f"{self.name} told of {self.height} blocks, has {snapshot.height}")
            for number in range(self.height, snapshot.height):
                self.world.oracle.saw_commit(self.name, _committed(snapshot, number), number)
            self.height = snapshot.height

    async def order(self, tx_id: str, envelope: bytes) -> None:
        """What the gateway does with an envelope: queue it and wait until it is ordered; raises why it is not."""
        queue = self.queue
        assert queue is not None
        pending = queue.add(tx_id, envelope)
        try:
            await pending.ordered
        finally:
            queue.discard(pending)


def _committed(snapshot: LedgerSnapshot, number: int) -> CommittedBlock:
    """A block of a ledger, as the committer told of it or would have."""
    block, metadata = snapshot.block(number), snapshot.metadata(number)
    return CommittedBlock(
        channel=CHANNEL,
        number=number,
        hash=block.header.hash,
        timestamp_us=block.header.timestamp_us,
        commit_hash=metadata.commit_hash,
        tx_ids=tuple(parse_envelope(envelope).tx_id for envelope in block.envelopes),
        codes=metadata.codes,
        events=(),
        config_changed=False,
    )


class _Nothing:
    """Peers are asked nothing here."""

    async def answer(self, caller: Certificate, path: str, body: bytes | None, params: Mapping[str, str]) -> bytes:
        raise NotFoundError("a peer is asked nothing")

    async def stream(self, caller: Certificate, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        raise NotFoundError("a peer is asked nothing")
        yield b""

    def receive(self, caller: Certificate, batch: bytes) -> None:
        raise NotFoundError("a peer is asked nothing")
