"""A simulated server: the real core and the real record format, a disk that loses what was not synced, a slow state
machine, and crashes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.orderer.raft.core import RaftCore, Ready
from services.orderer.raft.interface import Membership, RaftSettings, Snapshot
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import Entry, HardState, Message
from services.orderer.raft.wal_records import GroupRecord, GroupWrite, pack_writes, replay
from tests.simulation.raft_oracle import Oracle, require

GROUP = "channel"
MOST_AHEAD = 100
"""How far an entry's time may lie ahead of a server's clock."""
SETTINGS = RaftSettings(
    election_ticks=10,
    heartbeat_ticks=2,
    max_append_bytes=150,
    max_inflight_appends=4,
    max_inflight_bytes=2000,
    max_unapplied_bytes=4000,
    max_apply_bytes=400,
    trailing_entries=3,
    trailing_bytes=1000,
)


class Surroundings(Protocol):
    """What a server needs of the world."""

    random: random.Random
    oracle: Oracle
    now: int

    @property
    def slowest_save(self) -> int: ...

    def after(self, delay: int, action: Callable[[], None]) -> None: ...

    def send(self, message: Message) -> None: ...

    def durable(self) -> dict[str, GroupRecord]: ...


def time_of(data: bytes) -> int:
    """The proposer's clock in what the world proposes, ``value N at T``."""
    return int(data.rstrip(b".").rpartition(b" ")[2])


def digest(entries: Sequence[Entry]) -> bytes:
    """A snapshot's data: what another server's copy must amount to."""
    return hashlib.sha256(repr([(e.index, e.term, e.data) for e in entries]).encode()).digest()


@dataclass
class Server:
    """One server. ``batches`` is its disk, batch by batch as synced; ``applied`` its state machine, of which the first
    ``applied_durable`` entries survive any crash and the rest may."""

    name: str
    world: Surroundings
    members: Membership
    batches: list[bytes] = field(default_factory=list)
    applied: list[Entry] = field(default_factory=list)
    applied_durable: int = 0
    up: bool = False
    life: int = 0
    clock_off: int = 0
    core: RaftCore = field(init=False)

    def __post_init__(self) -> None:
        self.batches.append(pack_writes([GroupWrite(GROUP, created=self.members)]))
        self.record = GroupRecord(self.members)
        self._waiting: list[tuple[GroupWrite, Ready | None]] = []
        self._writing: list[tuple[GroupWrite, Ready | None]] = []
        self._applying = False
        self.start()

    def start(self) -> None:
        """Begin from what the disk holds."""
        groups: dict[str, GroupRecord] = {}
        for batch in self.batches:
            replay(batch, groups)
        record = self.record = groups[GROUP]
        record.check(GROUP)
        log = RaftLog(
            record.membership,
            snapshot=record.snapshot,
            entries=list(record.entries),
            commit=record.hard_state.commit,
            applied=len(self.applied),
        )
        require(len(self.applied) <= log.last_index, f"{self.name} applied what its disk does not hold")
        seed = self.world.random.getrandbits(32)
        self.core = RaftCore(self.name, log, record.hard_state, SETTINGS, random.Random(seed), accepts=self._accepts)
        self._waiting, self._writing, self._applying = [], [], False
        self.up = True
        self.life += 1
        self._in_life(self.world.random.randint(1, 12), self._tick)
        self.look()

    @property
    def time(self) -> int:
        """What this server's clock shows."""
        return self.world.now + self.clock_off

    def _accepts(self, data: bytes) -> bool:
        return time_of(data) <= self.time + MOST_AHEAD

    def crash(self) -> None:
        """Lose all that is not durable; of the batch being written all or nothing survives, of the state machine a
        part."""
        self.up = False
        self.life += 1
        chance = self.world.random
        if self._writing and chance.random() < 0.5:
            self._persist([write for write, _ in self._writing])
        del self.applied[chance.randint(self.applied_durable, len(self.applied)) :]

    def _in_life(self, delay: int, action: Callable[[], None]) -> None:
        """Do it later, unless a crash comes between."""
        life = self.life
        self.world.after(delay, lambda: action() if self.life == life else None)

    def _tick(self) -> None:
        self._in_life(self.world.random.randint(8, 12), self._tick)
        self.core.tick()
        self.look()

    def receive(self, message: Message) -> None:
        """A message has arrived."""
        if self.up:
            self.core.step(message)
            self.look()

    def look(self) -> None:
        """Do what the core has ready, and let the oracle look."""
        ready = self.core.ready()
        self.world.oracle.saw_entries(self.core, ready.entries)
        self._send(ready.messages)
        if ready.save:
            write = GroupWrite(
                GROUP,
                snapshot=ready.snapshot,
                reset=ready.snapshot is not None,
                entries=ready.entries,
                hard_state=ready.hard_state,
            )
            self._waiting.append((write, ready))
        self._write()
        self.world.oracle.check(self.name, self.core, self.world.durable())
        log = self.core.log
        if not self._applying and (log.next_snapshot() is not None or self.core.next_committed()):
            self._applying = True
            self._in_life(self.world.random.choice((0, 1, 5, 40)), self._apply)

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.world.oracle.saw_message(message)
            self.world.send(message)

    # the disk

    def _write(self) -> None:
        if self._waiting and not self._writing:
            self._writing, self._waiting = self._waiting, []
            self._in_life(self.world.random.choice((1, 3, self.world.slowest_save)), self._written)

    def _persist(self, writes: list[GroupWrite]) -> None:
        batch = pack_writes(writes)
        self.batches.append(batch)
        replay(batch, {GROUP: self.record})

    def _written(self) -> None:
        jobs, self._writing = self._writing, []
        self._persist([write for write, _ in jobs])
        for _, ready in jobs:
            if ready is not None:
                self.core.advance(ready)
                self._send(ready.after_save)
        self.look()

    # the state machine

    def _apply(self) -> None:
        self._applying = False
        snapshot = self.core.log.next_snapshot()
        if snapshot is not None:
            self._install(snapshot)
        else:
            for entry in self.core.next_committed():
                require(entry.index == len(self.applied) + 1, f"{self.name} applied {entry.index} out of order")
                self.world.oracle.applied(self.name, entry)
                self.applied.append(entry)
        self.core.applied_to(len(self.applied))
        self.look()

    def _install(self, snapshot: Snapshot) -> None:
        self.applied = self.world.oracle.committed[: snapshot.index]
        require(digest(self.applied) == snapshot.data, f"{self.name} got a snapshot of another history")
        self.applied_durable = snapshot.index

    def compact(self) -> None:
        """Take a snapshot of what is applied."""
        log = self.core.log
        if log.applied > (log.snapshot.index if log.snapshot else 0) and log.pending_snapshot is None:
            self.applied_durable = len(self.applied)
            snapshot = self.core.compact(digest(self.applied))
            self._waiting.append((GroupWrite(GROUP, snapshot=snapshot), None))
            self.look()

    @property
    def hard_state(self) -> HardState:
        """Term and vote as the disk has them."""
        return self.record.hard_state
