"""A seeded world of Raft servers: one virtual clock, one source of chance, and everything that can go wrong.

The same seed gives the same run, event by event. ``World(seed).run()`` raises what was violated.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from services.orderer.raft.errors import MembershipRefused, ProposalDropped, RaftBusy
from services.orderer.raft.interface import ChangeKind, Membership, MembershipChange
from services.orderer.raft.messages import Kind, Message, pack_batch_header, pack_message, unpack_batch
from services.orderer.raft.wal_records import GroupRecord
from tests.simulation.raft_oracle import Oracle, require
from tests.simulation.raft_server import GROUP, Server

_PROMISES = frozenset({Kind.VOTE, Kind.VOTE_REPLY, Kind.APPEND, Kind.APPEND_REPLY})
FAR = 400 * 24 * 3600 * 1000
"""How far a clock jumps: 400 days."""
_MOST_MESSAGES = 60_000  # some ten times what a busy run needs


@dataclass(frozen=True)
class Faults:
    """How hostile a run is: chances per message, and per fault step (about every 100 units of time, 10 ticks).

    ``treachery`` is the chance that a server crashes the moment it has sent a vote, a request for one, an append or its
    acknowledgement, and is back at once: whatever it promised, it must have kept on disk. ``clock`` is the chance that
    the clock of one server, always the same, jumps ahead, back or behind.
    """

    loss: float = 0.0
    duplication: float = 0.0
    longest_delay: int = 5
    crash: float = 0.0
    treachery: float = 0.0
    slowest_save: int = 60
    partition: float = 0.0
    membership: float = 0.0
    transfer: float = 0.0
    compaction: float = 0.3
    clock: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random) -> Faults:
        """Some runs are calm in one respect and wild in another."""
        return cls(
            loss=chance.choice((0, 0, 0.05, 0.2)),
            duplication=chance.choice((0, 0.05, 0.2)),
            longest_delay=chance.choice((2, 20, 80, 250)),
            crash=chance.choice((0, 0.05, 0.2, 0.4)),
            treachery=chance.choice((0, 0, 0.01, 0.05)),
            slowest_save=chance.choice((3, 60, 60, 150)),
            partition=chance.choice((0, 0.1, 0.4)),
            membership=chance.choice((0, 0, 0.3)),
            transfer=chance.choice((0, 0.1)),
            compaction=chance.choice((0, 0.3, 0.8)),
            clock=chance.choice((0, 0, 0.2)),
        )


class World:
    """Servers, the network between them, a client that proposes, and the faults."""

    def __init__(self, seed: int, *, servers: int | None = None, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)
        self.faults = faults or Faults.drawn(self.random)
        self.oracle = Oracle()
        self.now = 0
        self.trace: list[str] = []
        self._sequence = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._cut: set[tuple[str, str]] = set()
        self._proposed = 0
        self._sent = 0
        self._calm = False
        count = servers or self.random.choice((1, 2, 3, 3, 3, 5))
        spare = 2 if self.faults.membership else 0
        names = [f"n{number}" for number in range(1, count + spare + 1)]
        members = Membership(frozenset(names[:count]))
        self.wild: set[bytes] = set()
        """What was proposed under a clock that was ahead: the others must not let it in."""
        self._victim = names[0] if count > 2 and not self.faults.membership else None
        self.servers: dict[str, Server] = {}
        for name in names:
            self.servers[name] = Server(name, self, members)
        self.after(5, self._client)
        self.after(100, self._fault_step)

    # surroundings of a server

    @property
    def slowest_save(self) -> int:
        """How long a save may take."""
        return 10 if self._calm else self.faults.slowest_save

    def after(self, delay: int, action: Callable[[], None]) -> None:
        """Let something happen later."""
        self._sequence += 1
        heapq.heappush(self._events, (self.now + delay, self._sequence, action))

    def durable(self) -> dict[str, GroupRecord]:
        """What each server's disk holds."""
        return {name: server.record for name, server in self.servers.items()}

    def send(self, message: Message) -> None:
        """Carry a message, as bytes, or lose it, delay it, double it."""
        chance, faults = self.random, self.faults
        copies = 1 if chance.random() >= faults.duplication or self._calm else 2
        self._sent += 1
        require(self._sent < _MOST_MESSAGES, "messages multiply without end")
        packed = pack_batch_header(message.sender) + pack_message(GROUP, message)
        for _ in range(copies):
            if self._calm or chance.random() >= faults.loss:
                delay = chance.randint(1, 3 if self._calm else faults.longest_delay)
                self.after(delay, lambda: self._deliver(message.sender, message.to, packed))
        if message.kind in _PROMISES and not message.reject and not self._calm and chance.random() < faults.treachery:
            sender = self.servers[message.sender]
            self.after(0, lambda: self._crash(sender, back_after=chance.choice((1, 1, 100))))

    def _deliver(self, sender: str, to: str, packed: bytes) -> None:
        if (sender, to) in self._cut or to not in self.servers:
            return
        for _, message in unpack_batch(packed, to)[1]:
            self.servers[to].receive(message)

    # the run

    def run(self, until: int = 6000) -> None:
        """Faults until then, then calm, in which the group must come to rest."""
        self._run_until(until)
        self._heal()
        self._run_until(until + 4000)
        self._require_progress()

    def _run_until(self, end: int) -> None:
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = end

    def note(self, said: str) -> None:
        """Remember what happened, for a person who replays the seed."""
        self.trace.append(f"{self.now:6d} {said}")

    def leader(self) -> Server | None:
        """The leader of the highest term that is up."""
        leaders = [server for server in self.servers.values() if server.up and server.core.is_leader]
        return max(leaders, key=lambda server: server.core.term, default=None)

    def _client(self) -> None:
        self.after(self.random.randint(1, 60), self._client)
        leaders = [server for server in self.servers.values() if server.up and server.core.is_leader]
        for server in leaders:  # two may think they lead; both are asked
            for _ in range(self.random.choice((1, 1, 5))):
                self._propose(server)

    def _propose(self, server: Server) -> None:
        self._proposed += 1
        data = b"value %d at %d" % (self._proposed, server.time) + b"." * self.random.choice((0, 0, 0, 100))
        try:
            index, term = server.core.propose(data)
            if server.clock_off > 0:
                self.wild.add(data)
        except (ProposalDropped, RaftBusy):
            return
        server.look()
        self._await(server, server.life, index, term, data)

    def _await(self, server: Server, life: int, index: int, term: int, data: bytes) -> None:
        """What a client of ``propose`` sees: acknowledged when the proposer commits its entry."""
        if server.life != life or (
            self.oracle.committed[index - 1 : index] and (self.oracle.committed[index - 1].term != term)
        ):
            return
        log = server.core.log
        if log.commit >= index:
            if log.term(index) == term:
                self.oracle.acknowledged.add(data)
            return
        self.after(20, lambda: self._await(server, life, index, term, data))

    # faults

    def _fault_step(self) -> None:
        if self._calm:
            return
        self.after(self.random.randint(20, 180), self._fault_step)
        chance, faults = self.random, self.faults
        names = sorted(self.servers)
        if chance.random() < faults.crash:
            self._crash(self.servers[chance.choice(names)])
        if chance.random() < faults.partition:
            self._partition(names)
        if chance.random() < faults.membership:
            self._change_membership(names)
        leader = self.leader()
        if leader is not None and chance.random() < faults.transfer:
            self._try(lambda: leader.core.transfer(chance.choice(sorted(leader.core.membership.voters))))
            leader.look()
        if self._victim is not None and faults.clock and chance.random() < faults.clock:
            self.servers[self._victim].clock_off = chance.choice((FAR, 0, -FAR))
            self.note(f"the clock of {self._victim} is off by {self.servers[self._victim].clock_off}")
        for server in self.servers.values():
            if server.up and chance.random() < faults.compaction:
                server.compact()

    def _crash(self, server: Server, back_after: int | None = None) -> None:
        if not server.up:
            return
        self.note(f"crash {server.name}")
        server.crash()
        pause = self.random.choice((1, 50, 400, 1500)) if back_after is None else back_after
        self.after(pause, lambda: None if server.up else server.start())

    def _partition(self, names: list[str]) -> None:
        chance = self.random
        kind = chance.choice(("heal", "halves", "one-way", "leader"))
        self._cut = set()
        if kind == "halves":
            side = {name for name in names if chance.random() < 0.5}
            self._cut = {(a, b) for a in names for b in names if (a in side) != (b in side)}
        elif kind == "one-way":
            victim = chance.choice(names)
            self._cut = {(victim, name) for name in names}
        elif kind == "leader" and (leader := self.leader()) is not None:
            self._cut = {pair for name in names for pair in ((leader.name, name), (name, leader.name))}
        self.note(f"partition {kind} {sorted(self._cut)[:4]}")

    def _change_membership(self, names: list[str]) -> None:
        leader = self.leader()
        if leader is not None:
            change = MembershipChange(self.random.choice(list(ChangeKind)), self.random.choice(names))
            self.note(f"{leader.name}: {change.kind.name} {change.node_id}")
            self._try(lambda: leader.core.propose_membership(change))
            leader.look()

    @staticmethod
    def _try(action: Callable[[], object]) -> None:
        try:
            action()
        except (MembershipRefused, ProposalDropped):
            return

    def _heal(self) -> None:
        self.note("heal")
        self._calm = True
        self._cut = set()
        for server in self.servers.values():
            if not server.up:
                server.start()

    # the end

    def _require_progress(self) -> None:
        """Liveness: a leader, a last proposal committed, every member with all of it applied and nothing lost."""
        leader = self.leader()
        require(leader is not None, "no leader in the calm after the faults")
        if leader is None:
            return
        last = len(self.oracle.committed)
        self._propose(leader)
        self._run_until(self.now + 600)
        require(len(self.oracle.committed) > last, "a proposal in the calm was not committed")
        members = leader.core.membership.everyone
        applied = {name: len(self.servers[name].applied) for name in members}
        require(min(applied.values()) >= last, f"not all caught up to {last}: {applied}")
        values = {entry.data for entry in self.oracle.committed}
        require(not self.wild & values, "what was proposed under a clock far ahead is in the history")
        require(self.oracle.acknowledged <= values, "an acknowledged proposal is not in the history")
