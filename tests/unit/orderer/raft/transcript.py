"""Golden transcripts: a text file of commands to a few cores, each followed by what it must print.

A line that begins with "> " is a command, what follows up to the next one or a line of "# comment" is its output. The
network of a transcript carries nothing by itself: messages lie in it until ``deliver`` or ``drop``; disks finish a save
when ``saved`` says so; ``settle`` does all that is left in a fixed order.

    group a b c              servers a, b, c, which are the voters; ``server d`` adds one that is not
    tick a 3                 ticks
    campaign a               an election timeout
    lead a [b c ...]         campaign and settle (among these), without showing the messages
    elect a b c              the same up to a's election; nobody hears of it
    propose a text           a proposal on a
    change a add-voter d     a membership change on a (add-voter, add-learner, remove)
    transfer a b             leadership transfer
    ready a                  what a has ready; its messages go into the network, its save begins
    saved a                  a's oldest save is durable; what waited for it goes into the network
    deliver a b              all messages from a to b; ``drop a b`` loses them; ``deliver`` alone: all
    settle [a b ...]         ready, saved, deliver and apply among these (default all) until nothing is left
    apply a                  apply what is committed
    compact a                a snapshot of what is applied
    repeat a b append        the last append (or other kind) that a sent b once more
    crash a                  lose what is not saved, start again
    log a, status a          show
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gridledger.errors import GridLedgerError
from services.orderer.raft.core import RaftCore, Ready
from services.orderer.raft.interface import ChangeKind, Membership, MembershipChange, RaftSettings
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import Entry, EntryKind, Kind, Message, unpack_membership
from services.orderer.raft.wal_records import GroupRecord, GroupWrite, pack_writes, replay

_SETTINGS = RaftSettings(max_inflight_appends=3, trailing_entries=0, max_append_bytes=200)


def _show_membership(membership: Membership) -> str:
    learners = f" learners {' '.join(sorted(membership.learners))}" if membership.learners else ""
    return f"voters {' '.join(sorted(membership.voters))}{learners}"


def _show_entry(entry: Entry) -> str:
    if entry.kind is EntryKind.EMPTY:
        what = "-"
    elif entry.kind is EntryKind.MEMBERSHIP:
        what = f"({_show_membership(unpack_membership(entry.data))})"
    else:
        what = entry.data.decode()
        what = what if len(what) < 20 else f"{what[:8]}... of {len(what)}"
    return f"{entry.index}/{entry.term} {what}"


def _show_message(message: Message) -> str:
    said = f"{message.sender}->{message.to} {message.kind.name} term {message.term}"
    kind = message.kind
    if kind is Kind.APPEND:
        said += f" after {message.index}/{message.log_term} commit {message.commit}"
        said += f" [{', '.join(_show_entry(entry) for entry in message.entries)}]"
    elif kind in (Kind.VOTE, Kind.PRE_VOTE):
        said += f" log ends {message.index}/{message.log_term}" + (" for a transfer" if message.transfer else "")
    elif kind is Kind.APPEND_REPLY and not message.reject:
        said += f" up to {message.index}"
    elif kind in (Kind.COMMIT, Kind.HEARTBEAT):
        said += f" commit {message.commit} match {message.index}"
    elif kind is Kind.DECLINE:
        said += f" at {message.index}"
    elif message.snapshot is not None:
        said += f" {message.snapshot.index}/{message.snapshot.term} {_show_membership(message.snapshot.membership)}"
    if message.reject:
        said += " refused"
        if kind is Kind.APPEND_REPLY and message.index:
            said += f" after {message.index}, try {message.hint}/{message.log_term}"
    return said


class _Server:
    """A core, its disk (records as the log writes them) and the saves that are under way."""

    def __init__(self, name: str, members: Membership) -> None:
        self.name = name
        self.disk = [pack_writes([GroupWrite("g", created=members)])]
        self.applied = 0
        self.start()

    def start(self) -> None:
        groups: dict[str, GroupRecord] = {}
        for batch in self.disk:
            replay(batch, groups)
        record = groups["g"]
        log = RaftLog(
            record.membership,
            snapshot=record.snapshot,
            entries=record.entries,
            commit=record.hard_state.commit,
            applied=self.applied,
        )
        self.core = RaftCore(self.name, log, record.hard_state, _SETTINGS, random.Random(self.name))
        self.saving: list[Ready] = []

    def saved(self) -> list[Message]:
        ready = self.saving.pop(0)
        write = GroupWrite(
            "g",
            snapshot=ready.snapshot,
            reset=ready.snapshot is not None,
            entries=ready.entries,
            hard_state=ready.hard_state,
        )
        self.disk.append(pack_writes([write]))
        self.core.advance(ready)
        return ready.after_save


class Transcript:
    """Runs a transcript's commands."""

    def __init__(self) -> None:
        self.servers: dict[str, _Server] = {}
        self.members = Membership(frozenset())
        self.network: list[Message] = []
        self.delivered: list[Message] = []
        self.lines: list[str] = []

    def run(self, text: str) -> str:
        """The transcript with every command's real output in place."""
        lines: list[str] = []
        for line in text.splitlines():
            if line.startswith("> "):
                self.lines = []
                self._command(*line[2:].split())
                lines += [line, *(f"  {said}" for said in self.lines)]
            elif line.startswith("#") or not line.strip():
                lines.append(line)
        return "\n".join(lines) + "\n"

    def _command(self, name: str, *args: str) -> None:
        command: Callable[..., None] = getattr(self, f"do_{name}")
        try:
            command(*args)
        except GridLedgerError as error:
            self.lines.append(f"{type(error).__name__}: {error.message}")

    def do_group(self, *names: str) -> None:
        self.members = Membership(frozenset(names))
        for name in names:
            self.do_server(name)

    def do_server(self, name: str) -> None:
        self.servers[name] = _Server(name, self.members)

    def do_tick(self, name: str, count: str = "1") -> None:
        for _ in range(int(count)):
            self.servers[name].core.tick()
        self._show(name)

    def do_campaign(self, name: str) -> None:
        self.servers[name].core.campaign()
        self._show(name)

    def do_propose(self, name: str, text: str) -> None:
        index, term = self.servers[name].core.propose(text.encode())
        self.lines.append(f"{index}/{term}")

    def do_change(self, name: str, kind: str, node: str) -> None:
        change = MembershipChange(ChangeKind[kind.upper().replace("-", "_")], node)
        index, term = self.servers[name].core.propose_membership(change)
        self.lines.append(f"{index}/{term}")

    def do_transfer(self, name: str, to: str) -> None:
        self.servers[name].core.transfer(to)

    def do_ready(self, name: str) -> None:
        server = self.servers[name]
        ready = server.core.ready()
        self._send(ready.messages)
        if ready.save:
            server.saving.append(ready)
            state = ready.hard_state
            parts = [f"term {state.term} vote {state.vote or '-'} commit {state.commit}"] if state else []
            parts += [f"snapshot {ready.snapshot.index}/{ready.snapshot.term}"] if ready.snapshot else []
            parts += [f"[{', '.join(_show_entry(entry) for entry in ready.entries)}]"] if ready.entries else []
            self.lines.append(f"{name} saves {' '.join(parts)}")
            self.lines += [f"  then {_show_message(message)}" for message in ready.after_save]

    def do_lead(self, name: str, *others: str) -> None:
        self.do_campaign(name)
        self.do_settle(*((name, *others) if others else ()))
        self.lines.clear()
        self.do_status(name)

    def do_elect(self, name: str, *others: str) -> None:
        self.do_drop()
        core = self.servers[name].core
        for step in range(30):
            if core.is_leader:
                break
            if step % 10 == 0:
                core.campaign()
            for server in (name, *others):
                self.do_ready(server)
                while self.servers[server].saving:
                    self.do_saved(server)
            self.network = [m for m in self.network if m.to in (name, *others)]
            self.do_deliver()
        self.do_drop()
        self.lines.clear()
        self._show(name)

    def do_saved(self, name: str) -> None:
        if not self.servers[name].saving:
            self.lines.append("nothing is being saved")
            return
        messages = self.servers[name].saved()
        self.lines.append(f"{name} saved")
        self._send(messages)

    def _send(self, messages: list[Message]) -> None:
        self.network += messages
        counts = Counter(_show_message(message) for message in messages)
        self.lines += [f"{said}, {count} times" if count > 1 else said for said, count in counts.items()]

    def _take(self, sender: str, to: str) -> list[Message]:
        taken = [m for m in self.network if sender in ("", m.sender) and to in ("", m.to)]
        self.network = [m for m in self.network if m not in taken]
        return taken

    def do_deliver(self, sender: str = "", to: str = "") -> None:
        for message in self._take(sender, to):
            if message.to in self.servers:
                self.delivered.append(message)
                self.servers[message.to].core.step(message)

    def do_repeat(self, sender: str, to: str, kind: str) -> None:
        kinds = (message for message in reversed(self.delivered) if message.kind.name == kind.upper())
        self.servers[to].core.step(next(m for m in kinds if (m.sender, m.to, m.reject) == (sender, to, False)))

    def do_drop(self, sender: str = "", to: str = "") -> None:
        self._take(sender, to)

    def do_settle(self, *names: str) -> None:
        """Messages to or from others are lost."""
        chosen = names or tuple(self.servers)
        for _ in range(100):
            before = len(self.lines)
            for name in chosen:
                self.do_ready(name)
                while self.servers[name].saving:
                    self.do_saved(name)
            self.network = [m for m in self.network if m.sender in chosen and m.to in chosen]
            quiet = not self.network
            self.do_deliver()
            for name in chosen:
                self.do_apply(name)
            if quiet and len(self.lines) == before:
                return
        raise AssertionError("does not settle")

    def do_apply(self, name: str) -> None:
        server = self.servers[name]
        snapshot = server.core.log.next_snapshot()
        if snapshot is not None:
            self.lines.append(f"{name} installs snapshot {snapshot.index}/{snapshot.term}")
            server.applied = snapshot.index
            server.core.applied_to(snapshot.index)
        entries = server.core.next_committed()
        if entries:
            self.lines.append(f"{name} applies {', '.join(_show_entry(entry) for entry in entries)}")
            server.applied = entries[-1].index
            server.core.applied_to(server.applied)

    def do_compact(self, name: str) -> None:
        server = self.servers[name]
        snapshot = server.core.compact(b"")
        server.disk.append(pack_writes([GroupWrite("g", snapshot=snapshot)]))
        self.lines.append(f"{name} holds {server.core.log.first_index} and up")

    def do_crash(self, name: str) -> None:
        self.servers[name].start()
        self.do_status(name)

    def do_log(self, name: str) -> None:
        log = self.servers[name].core.log
        entries = log.slice(log.first_index, log.last_index, 1_000_000)
        self.lines.append(f"{name}: {', '.join(_show_entry(entry) for entry in entries)}")

    def _show(self, name: str) -> RaftCore:
        core = self.servers[name].core
        log = core.log
        said = f"{name} {core.role.value} term {core.term} vote {core.vote or '-'} leader {core.leader or '-'}"
        self.lines.append(f"{said} last {log.last_index} stable {log.stable} commit {log.commit}")
        if log.membership != self.members:
            self.lines.append(f"  {_show_membership(log.membership)}")
        return core

    def do_status(self, name: str) -> None:
        core = self._show(name)
        for other, progress in core.progress.items():
            self.lines.append(f"  {other} {progress.feed.value} match {progress.match} next {progress.next}")


def run(path: Path) -> str:
    """A transcript file, run."""
    return Transcript().run(path.read_text())
