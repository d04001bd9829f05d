"""Cores under a test's hand: one alone (``server``, ``drive``), or several with a network and disks (``Rig``)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence

from services.orderer.raft.core import RaftCore, Ready
from services.orderer.raft.interface import Membership, RaftSettings, Snapshot
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import Entry, EntryKind, HardState, Kind, Message

SETTINGS = RaftSettings(election_ticks=10, heartbeat_ticks=1, trailing_entries=0)
_MOST_STEPS = 10_000


def entries(terms: Iterable[int], first: int = 1) -> tuple[Entry, ...]:
    """Entries of these terms from an index on; equal index and term, equal data."""
    return tuple(Entry(i, t, EntryKind.DATA, b"%d/%d" % (i, t)) for i, t in enumerate(terms, first))


def server(
    name: str = "a",
    voters: Sequence[str] = ("a", "b", "c"),
    log: Iterable[int] = (),
    *,
    term: int | None = None,
    vote: str | None = None,
    commit: int = 0,
    applied: int = 0,
    learners: Sequence[str] = (),
    snapshot: Snapshot | None = None,
    settings: RaftSettings = SETTINGS,
) -> RaftCore:
    """A server as it starts from a disk: a log of entries of these terms, a term (the log's last) and a vote."""
    found = entries(log, snapshot.index + 1 if snapshot else 1)
    members = Membership(frozenset(voters), frozenset(learners))
    raft_log = RaftLog(members, snapshot=snapshot, entries=found, commit=commit, applied=applied)
    state = HardState(raft_log.last_term if term is None else term, vote, commit)
    return RaftCore(name, raft_log, state, settings, random.Random(name))


def drive(core: RaftCore) -> list[Message]:
    """Do all that a core has ready, saves too; the messages that it sent, in order."""
    sent: list[Message] = []
    for _ in range(_MOST_STEPS):
        ready = core.ready()
        sent += ready.messages
        if not ready.save:
            return sent
        core.advance(ready)
        sent += ready.after_save
    raise AssertionError("a core never comes to rest")


def tell(core: RaftCore, message: Message) -> list[Message]:
    """Give a core a message; what it sends."""
    core.step(message)
    return drive(core)


def tick(core: RaftCore, count: int) -> list[Message]:
    """Let ticks pass; what it sends."""
    sent: list[Message] = []
    for _ in range(count):
        core.tick()
        sent += drive(core)
    return sent


def win(core: RaftCore, *others: str) -> RaftCore:
    """Make a core leader by pre-votes and votes of others (all voters), and forget what it sent."""
    core.campaign()
    drive(core)
    others = others or tuple(sorted(core.membership.voters - {core.node_id}))
    for kind in (Kind.PRE_VOTE_REPLY, Kind.VOTE_REPLY):
        term = core.term + 1 if kind is Kind.PRE_VOTE_REPLY else core.term
        for other in others:
            core.step(Message(kind, other, core.node_id, term))
            drive(core)
    assert core.is_leader
    return core


def append(
    term: int,
    after: int,
    after_term: int,
    terms: Iterable[int] = (),
    *,
    commit: int = 0,
    sender: str = "b",
    to: str = "a",
) -> Message:
    """An append of entries of these terms behind (after, after_term)."""
    sent = entries(terms, after + 1)
    return Message(Kind.APPEND, sender, to, term, after, after_term, commit=commit, entries=sent)


def acknowledge(core: RaftCore, sender: str, index: int) -> list[Message]:
    """A follower holds the leader's log up to index."""
    return tell(core, Message(Kind.APPEND_REPLY, sender, core.node_id, core.term, index))


def of_kind(messages: Iterable[Message], *kinds: Kind) -> list[Message]:
    """The messages of these kinds."""
    return [message for message in messages if message.kind in kinds]


def log_of(core: RaftCore) -> list[int]:
    """The terms of the entries that a core holds."""
    log = core.log
    return [log.term(index) or 0 for index in range(log.first_index, log.last_index + 1)]


class Rig:
    """Servers, the messages between them, and their disks. Nothing moves but by ``settle``, in a fixed order.

    ``cut`` are servers that nothing reaches or leaves. The saves of servers in ``slow`` wait for ``save``.
    """

    def __init__(self, *cores: RaftCore) -> None:
        self.cores = {core.node_id: core for core in cores}
        self.network: deque[Message] = deque()
        self.cut: set[str] = set()
        self.slow: set[str] = set()
        self.saving: dict[str, deque[Ready]] = {name: deque() for name in self.cores}
        self.applied: dict[str, list[Entry]] = {name: [] for name in self.cores}
        self.installed: dict[str, list[Snapshot]] = {name: [] for name in self.cores}
        self.sent: list[Message] = []

    def __getitem__(self, name: str) -> RaftCore:
        return self.cores[name]

    def settle(self) -> None:
        """Carry messages, save and apply until nothing is left to do."""
        for _ in range(_MOST_STEPS):
            for name in self.cores:
                self._look(name)
            if not self.network:
                return
            message = self.network.popleft()
            if message.to in self.cores and not {message.sender, message.to} & self.cut:
                self.cores[message.to].step(message)
        raise AssertionError("the servers never come to rest")

    def tick(self, count: int = 1, *names: str) -> None:
        """Ticks on these servers (all), each settled."""
        for _ in range(count):
            for name in names or tuple(self.cores):
                self.cores[name].tick()
            self.settle()

    def lead(self, name: str) -> RaftCore:
        """Let a server campaign once no leader keeps the others from listening; it must win."""
        for core in self.cores.values():
            if core.node_id not in self.cut and core.node_id != name:
                core._become_follower(core.term, None)
        self.cores[name].campaign()
        self.settle()
        assert self.cores[name].is_leader
        return self.cores[name]

    def save(self, name: str) -> None:
        """A slow server's oldest save is durable."""
        ready = self.saving[name].popleft()
        self.cores[name].advance(ready)
        self._post(ready.after_save)

    def _look(self, name: str) -> None:
        core = self.cores[name]
        ready = core.ready()
        self._post(ready.messages)
        if ready.save:
            self.saving[name].append(ready)
        while self.saving[name] and name not in self.slow:
            self.save(name)
            self._look(name)
        self._apply(name)

    def _apply(self, name: str) -> None:
        core = self.cores[name]
        snapshot = core.log.next_snapshot()
        if snapshot is not None:
            self.installed[name].append(snapshot)
            core.applied_to(snapshot.index)
        while found := core.next_committed():
            self.applied[name] += found
            core.applied_to(found[-1].index)

    def _post(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.sent.append(message)
            self.network.append(message)
