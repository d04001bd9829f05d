"""A peer's machine in the simulated world, from the gateway's queue to the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from random import Random

from gridledger.backoff import Backoff
from gridledger.errors import NotFoundError
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.errors import StorageFull
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.memory_store import MemoryReader, MemoryStore
from gridledger.ledger.snapshot import Snapshot as LedgerSnapshot
from gridledger.ledger.store import CommitBatch
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.events import CommittedBlock
from services.peer.committer.buffer import BlockBuffer
from services.peer.committer.chain_committer import ChainCommitter
from services.peer.committer.messages import BlockCommitted, CommitterReport
from services.peer.committer.orderers import HttpOrderers
from services.peer.committer.source import BlockSource
from services.peer.gateway.ordering_queue import OrderingQueue
from services.peer.gateway.other_nodes import OtherNodes
from services.peer.settings import OrderingLimits
from tests.simulation.world.disk import Mount
from tests.simulation.world.life import Life
from tests.simulation.world.machines import CHANNEL, Machine, Surroundings
from tests.simulation.world.oracle import require

QUEUE = OrderingLimits(timeout_s=8.0, request_timeout_s=2.0, max_batch=20)


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
