"""Whole ``RaftNode``s of several groups in a virtual loop: what the core's simulation leaves out. Proposals and their
answers, one log for all groups, the applier, automatic snapshots, outboxes, and crashes between any of their steps."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gridledger.errors import GridLedgerError
from services.orderer.raft.errors import ProposalDropped
from services.orderer.raft.interface import CommittedEntry, Leadership, Link, RaftSettings, Snapshot
from services.orderer.raft.node import RaftNode
from services.orderer.raft.wal_records import GroupRecord, GroupWrite, pack_writes, replay
from tests.simulation.raft_oracle import require

SETTINGS = RaftSettings(
    tick_s=0.01,
    max_append_bytes=200,
    max_inflight_appends=4,
    max_apply_bytes=300,
    max_node_outbox_bytes=6000,
    max_batch_bytes=1500,
    proposal_timeout_s=1.0,
    send_timeout_s=0.05,
    snapshot_entries=25,
    trailing_entries=5,
    stop_grace_s=0.01,
)
GROUPS = ("alpha", "beta", "gamma")


@dataclass
class History:
    """One group's one true sequence of applied entries, and what its proposers were told."""

    entries: list[CommittedEntry] = field(default_factory=list)
    acknowledged: set[bytes] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)

    def digest(self, count: int) -> bytes:
        """A snapshot's data: how many entries, and a hash of them."""
        text = repr([(e.index, e.term, e.data) for e in self.entries[:count]])
        return b"%d %s" % (count, hashlib.sha256(text.encode()).hexdigest().encode())


class Disk:
    """A node's log: batches that were synced. Survives its node."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []


class SlowWriter:
    """``Writer`` on a Disk, as slow as chance has it; a crash keeps all or nothing of the batch under way."""

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        self._disk = disk
        self._chance = chance
        self._under_way: bytes | None = None
        self.groups: dict[str, GroupRecord] = {}
        for batch in disk.batches:
            replay(batch, self.groups)
        for name, record in self.groups.items():
            record.check(name)

    def submit(self, writes: Sequence[GroupWrite], done: Callable[[Exception | None], None]) -> None:
        require(self._under_way is None, "two writes under way")
        self._under_way = pack_writes(writes)
        delay = self._chance.choice((0.0001, 0.001, 0.02))
        asyncio.get_running_loop().call_later(delay, self._finish, done)

    def _finish(self, done: Callable[[Exception | None], None]) -> None:
        if self._under_way is not None:
            self._disk.batches.append(self._under_way)
            self._under_way = None
            done(None)

    def crash(self) -> None:
        """No more will be written."""
        if self._under_way is not None and self._chance.random() < 0.5:
            self._disk.batches.append(self._under_way)
        self._under_way = None

    def crowded(self) -> list[str]:
        return [GROUPS[0]] if self._chance.random() < 0.02 else []

    async def close(self) -> None:
        self.crash()


class Machine:
    """A group's state machine on one node: durable up to ``kept``, the rest as a crash has it."""

    def __init__(self, world: NodeWorld, node: str, group: str) -> None:
        self.world = world
        self.name = f"{node}/{group}"
        self.history = world.histories[group]
        self.entries: list[CommittedEntry] = []
        self.applied = self.kept = 0

    def crash(self) -> None:
        """Lose some of what was not made durable."""
        survivors = self.world.chance.randint(self.kept, len(self.entries))
        del self.entries[survivors:]
        self.applied = max(self.entries[-1].index if self.entries else 0, self.floor)

    floor = 0

    async def apply(self, entries: Sequence[CommittedEntry]) -> None:
        if self.world.chance.random() < 0.2:
            await asyncio.sleep(0.03)
        for entry in entries:
            require(entry.index > self.applied, f"{self.name} applied {entry.index} again")
            position = len(self.entries)
            if position == len(self.history.entries):
                self.history.entries.append(entry)
            require(self.history.entries[position] == entry, f"{self.name} applied another entry {entry.index}")
            self.entries.append(entry)
            self.applied = entry.index

    async def take_snapshot(self) -> bytes:
        self.kept, self.floor = len(self.entries), self.applied
        return self.history.digest(len(self.entries))

    async def install_snapshot(self, snapshot: Snapshot) -> None:
        await asyncio.sleep(self.world.chance.choice((0.0, 0.05, 0.3)))
        count = int(snapshot.data.split()[0])
        require(self.history.digest(count) == snapshot.data, f"{self.name} got a snapshot of another history")
        require(count >= len(self.entries), f"{self.name} was thrown back by a snapshot")
        self.entries = self.history.entries[:count]
        self.kept, self.floor = count, snapshot.index
        self.applied = snapshot.index

    def leadership_changed(self, leadership: Leadership) -> None:
        """Ready to lead means: all of former terms is applied here."""
        if leadership.ready:
            former = [entry for entry in self.history.entries if entry.term < leadership.term]
            require(len(self.entries) >= len(former), f"{self.name} is ready to lead and lacks committed entries")


class NodeWorld:
    """Nodes, their disks and machines, the network and the clients."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names = [f"n{number}" for number in range(1, self.chance.choice((1, 3, 3, 5)) + 1)]
        self.histories = {group: History() for group in GROUPS}
        self.disks = {name: Disk() for name in self.names}
        self.machines = {(name, group): Machine(self, name, group) for name in self.names for group in GROUPS}
        self.nodes: dict[str, RaftNode] = {}
        self._writers: dict[str, SlowWriter] = {}
        self._cut: set[tuple[str, str]] = set()
        self._loss = self.chance.choice((0.0, 0.02, 0.2))
        self._delay = self.chance.choice((0.0005, 0.005, 0.04))
        self._calm = False
        self._proposed = 0
        self.lives = 0

    # the network

    def transport(self, sender: str) -> Wire:
        """The transport of one life of a node."""
        self.lives += 1
        return Wire(self, sender, self.lives)

    async def carry(self, wire: Wire, to: str, payload: bytes) -> None:
        """Lose it, refuse it, or deliver it after a while; order is kept only by chance."""
        await asyncio.sleep(self.chance.random() * self._delay / 4)
        if (wire.sender, to) in self._cut or to not in self.nodes or wire.life != self._life_of(wire.sender):
            raise ConnectionError("cut off")
        if not self._calm and self.chance.random() < self._loss:
            return
        copies = 2 if not self._calm and self.chance.random() < 0.02 else 1
        for _ in range(copies):
            delay = self.chance.random() * (0.001 if self._calm else self._delay)
            asyncio.get_running_loop().call_later(delay, self._deliver, wire.sender, to, payload)

    def _life_of(self, name: str) -> int:
        node = self.nodes.get(name)
        wire = node._transport if node is not None else None
        return wire.life if isinstance(wire, Wire) else 0

    def _deliver(self, sender: str, to: str, payload: bytes) -> None:
        node = self.nodes.get(to)
        if node is not None and (sender, to) not in self._cut:
            node.receive(lambda _: sender, payload)

    # nodes

    async def start(self, name: str) -> None:
        """Begin a node's next life from its disk and its machines."""
        self._writers[name] = SlowWriter(self.disks[name], self.chance)
        chance = random.Random(self.chance.getrandbits(32))
        node = RaftNode(name, self._writers[name], self.transport(name), SETTINGS, chance)
        self.nodes[name] = node
        for group in GROUPS:
            machine = self.machines[name, group]
            await node.add_group(group, self.names, machine, applied=machine.applied)

    async def crash(self, name: str) -> None:
        """Stop a node where it stands."""
        node = self.nodes.pop(name)
        self._writers[name].crash()
        await node.stop()
        for group in GROUPS:
            self.machines[name, group].crash()

    # clients and faults

    async def run(self) -> None:
        """Faults for a while, then calm, then everything must be everywhere."""
        await asyncio.gather(*(self.start(name) for name in self.names))
        clients = [asyncio.create_task(self._client(group)) for group in GROUPS for _ in range(3)]
        for _ in range(self.chance.randint(5, 25)):
            await asyncio.sleep(self.chance.random() * 0.3)
            await self._fault()
        self._calm, self._cut = True, set()
        for name in self.names:
            if name not in self.nodes:
                await self.start(name)
        await asyncio.sleep(1.0)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self._require_agreement()
        for node in self.nodes.values():
            require(not node._failure.done(), "a node has failed")
            await node.stop()

    async def _fault(self) -> None:
        chance = self.chance
        kind = chance.choice(("crash", "crash", "cut", "heal", "transfer", "none"))
        if kind == "crash":
            name = chance.choice(self.names)
            if name in self.nodes:
                await self.crash(name)
                if chance.random() < 0.5:
                    await self.start(name)
            else:
                await self.start(name)
        elif kind == "cut":
            side = {name for name in self.names if chance.random() < 0.5}
            self._cut = {(a, b) for a in self.names for b in self.names if (a in side) != (b in side)}
        elif kind == "heal":
            self._cut = set()
        elif kind == "transfer":
            await self._transfer(chance.choice(GROUPS), chance.choice(self.names))

    async def _transfer(self, group: str, to: str) -> None:
        for node in list(self.nodes.values()):
            if group in node.groups() and node.leadership(group).is_self:
                try:
                    await node.transfer_leadership(group, to)
                except GridLedgerError:
                    return
                return

    async def _client(self, group: str) -> None:
        """Proposes at whoever is up, and remembers what it was told."""
        history = self.histories[group]
        while True:
            await asyncio.sleep(self.chance.random() * 0.02)
            running = [node for node in self.nodes.values() if group in node.groups()]
            if not running:
                continue
            self._proposed += 1
            data = b"%s %d" % (group.encode(), self._proposed)
            try:
                await self.chance.choice(running).propose(group, data)
                history.acknowledged.add(data)
            except ProposalDropped as error:
                if error.details["outcome"] == "lost":
                    history.refused.add(data)
            except GridLedgerError:
                continue

    # the end

    async def _require_agreement(self) -> None:
        for group, history in self.histories.items():
            leaders = [node for node in self.nodes.values() if node.leadership(group).is_self]
            require(len(leaders) == 1, f"{group}: {len(leaders)} leaders in the calm")
            before = len(history.entries)
            await leaders[0].propose(group, b"last of " + group.encode())
            await asyncio.sleep(0.5)
            require(len(history.entries) > before, f"{group}: nothing was applied in the calm")
            for name in self.names:
                entries = self.machines[name, group].entries
                require(entries == history.entries, f"{name}/{group}: {len(entries)} of {len(history.entries)} applied")
            applied = [entry.data for entry in history.entries]
            require(len(applied) == len(set(applied)), f"{group}: a proposal was applied twice")
            require(history.acknowledged <= set(applied), f"{group}: an acknowledged proposal is lost")
            require(not history.refused & set(applied), f"{group}: a proposal said to be lost was applied")


@dataclass
class Wire:
    """The transport of one life of one node."""

    world: NodeWorld
    sender: str
    life: int

    def link(self, _group: str, to: str) -> Link:
        """See ``Transport``."""
        return Link(to)

    async def send(self, link: Link, payload: bytes) -> None:
        """See ``Transport``."""
        await self.world.carry(self, link.to, payload)
