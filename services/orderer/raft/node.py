"""The node: drives the cores of many groups with one write-ahead log and one connection per other node.

Every input (message, tick, proposal, finished write, applied entries) touches a group; once per turn of the event loop
the node looks at all touched groups, sends what may go at once, and collects what must become durable. One batch of it
is being written at a time; what comes up meanwhile, from all groups, is the next batch: one fsync for all.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import DiskFailed, NoSpaceLeft
from gridledger.incarnation import node_of
from services.orderer.raft.core import RaftCore, Ready, accepts_everything
from services.orderer.raft.errors import (
    GroupUnknown,
    LogMissing,
    MalformedBatch,
    NodeStopped,
    RaftBusy,
    RaftConfigError,
)
from services.orderer.raft.group import Group
from services.orderer.raft.interface import (
    GroupStatus,
    Leadership,
    Link,
    Membership,
    MembershipChange,
    RaftSettings,
    Snapshot,
    StateMachine,
    Transport,
)
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import Message, pack_message, unpack_batch
from services.orderer.raft.outbox import Outbox
from services.orderer.raft.wal_records import GroupRecord, GroupWrite
from services.orderer.raft.writer import WalWriter, Writer

_OF_THE_DISK = (OSError, DiskFailed, NoSpaceLeft)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Save:
    """One group's part of a write, and what follows from it."""

    write: GroupWrite
    group: Group | None = None
    ready: Ready | None = None
    done: asyncio.Future[None] | None = None


@dataclass(slots=True)
class NodeCounters:
    """What a node has done since it started. ``writes`` are fsyncs; ``messages_refused`` came for groups that their
    sender is no member of."""

    writes: int = 0
    group_writes: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    messages_dropped: int = 0
    messages_refused: int = 0


class RaftNode:
    """A server of many Raft groups; implements ``interface.Consensus``, whose docstrings say what its methods
    promise."""

    def __init__(
        self,
        node_id: str,
        writer: Writer,
        transport: Transport,
        settings: RaftSettings,
        random: random_module.Random,
    ) -> None:
        """Use ``open``. Starts ticking at once."""
        self.node_id = node_id
        self.settings = settings
        self.counters = NodeCounters()
        self._writer = writer
        self._transport = transport
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._groups: dict[str, Group] = {}
        self._created: set[str] = set()
        self._outboxes: dict[Link, Outbox] = {}
        self._closing_outboxes: set[asyncio.Task[None]] = set()
        self._touched: dict[Group, None] = {}
        self._saves: list[_Save] = []
        self._writing: list[_Save] = []
        self._look_due = False
        self._stopped = False
        self._closing = False
        self._failure: asyncio.Future[Exception] = self._loop.create_future()
        self._timer = self._loop.call_later(settings.tick_s, self._tick)

    @classmethod
    async def open(
        cls,
        node_id: str,
        directory: Path,
        transport: Transport,
        settings: RaftSettings | None = None,
        *,
        random: random_module.Random | None = None,
        disk: Disk = SYSTEM_DISK,
    ) -> RaftNode:
        """Open (or create) the write-ahead log in a directory of its own and start. Groups follow by ``add_group``.

        Raises WalCorrupt, and RaftConfigError when another process has the directory open.
        """
        settings = settings or RaftSettings()
        writer = await WalWriter.open(directory, settings.segment_bytes, settings.max_segments, disk)
        return cls(node_id, writer, transport, settings, random or random_module.SystemRandom())

    # groups

    async def create_group(self, group: str, members: Sequence[str]) -> None:
        """See ``Consensus.create_group``."""
        self._check_running()
        if group not in self._writer.groups:
            membership = Membership(frozenset(members))
            await self._save(GroupWrite(group, created=membership))
            self._writer.groups[group] = GroupRecord(membership)
            self._created.add(group)

    async def add_group(
        self,
        group: str,
        members: Sequence[str],
        machine: StateMachine,
        *,
        applied: int = 0,
        accepts: Callable[[bytes], bool] | None = None,
        create: bool = True,
        node_id: str | None = None,
    ) -> None:
        """See ``Consensus.add_group``."""
        self._check_running()
        if group in self._groups:
            raise RaftConfigError(f"this node already takes part in {group}")
        if create:
            await self.create_group(group, members)
        record = self._writer.groups.pop(group, None)
        if record is None:
            raise LogMissing(f"{self.node_id} has no log of {group}", group=group)
        new = group in self._created
        self._created.discard(group)
        if applied > record.last_index:
            raise RaftConfigError(
                f"{group}: the ledger holds entries up to {applied}, the Raft log ends at {record.last_index}: it has "
                "lost its end, or is not this ledger's. Let this orderer join anew (gridledger orderer readmit); a "
                "backup is restored for all orderers or for none"
            )
        log = RaftLog(
            record.membership,
            snapshot=record.snapshot,
            entries=record.entries,
            commit=record.hard_state.commit,
            applied=applied,
        )
        core = RaftCore(
            node_id or self.node_id,
            log,
            record.hard_state,
            self.settings,
            self._random,
            accepts=accepts or accepts_everything,
        )
        entered = Group(
            group,
            core,
            machine,
            self.settings,
            touch=self._touch,
            save_snapshot=self._save_snapshot,
            fail=self._fail_group,
        )
        self._groups[group] = entered
        try:
            voters = core.membership.voters
            if core.node_id in voters and ((new and core.node_id == min(voters)) or len(voters) == 1):
                core.campaign()  # nobody can lead yet: a new group's first name asks at once, and who is alone always
            self._touch(entered)
        except Exception as error:
            self._fail_group(entered, error)

    async def remove_group(self, group: str) -> None:
        """See ``Consensus.remove_group``."""
        self._check_running()
        leaving = self._groups.pop(group, None)
        if leaving is not None:
            self._touched.pop(leaving, None)
            await leaving.stop()
        elif self._writer.groups.pop(group, None) is None:
            return
        self._created.discard(group)
        await self._save(GroupWrite(group, removed=True))

    def groups(self) -> list[str]:
        """See ``Consensus.groups``."""
        return sorted(self._groups)

    def leader(self, group: str) -> str | None:
        """See ``Consensus.leader``."""
        found = self._group(group)
        return None if found.broken else found.core.leader

    def leadership(self, group: str) -> Leadership:
        """See ``Consensus.leadership``."""
        return self._group(group).leadership

    def status(self, group: str) -> GroupStatus:
        """See ``Consensus.status``."""
        return self._group(group).status()

    def is_member(self, group: str, node: str) -> bool:
        """See ``Consensus.is_member``."""
        log = self._group(group).core.log
        members = log.membership.everyone | log.membership_at(log.commit).everyone
        return any(node_of(member) == node for member in members)

    # requests

    async def propose(self, group: str, data: bytes, *, timeout_s: float | None = None) -> int:
        """See ``Consensus.propose``."""
        target = self._running_group(group)
        if target.pending_proposals >= self.settings.max_pending_proposals:
            raise RaftBusy(f"{target.pending_proposals} proposals of {group} wait to be committed; try again shortly")
        return await target.committed(target.core.propose(data), timeout_s)

    async def change_membership(self, group: str, change: MembershipChange, *, timeout_s: float | None = None) -> int:
        """See ``Consensus.change_membership``."""
        target = self._running_group(group)
        return await target.committed(target.core.propose_membership(change), timeout_s)

    async def transfer_leadership(self, group: str, to: str, *, timeout_s: float | None = None) -> None:
        """See ``Consensus.transfer_leadership``."""
        target = self._running_group(group)
        target.core.transfer(to)
        await target.transferred(to, timeout_s)

    async def compact(self, group: str) -> int:
        """See ``Consensus.compact``."""
        return await self._running_group(group).compact()

    def receive(self, name_in: Callable[[str], str | None], payload: bytes) -> None:
        """See ``Consensus.receive``."""
        self._check_running()
        claimed, messages = unpack_batch(payload, self.node_id)
        for name, message in messages:
            group = self._groups.get(name)
            if group is None or group.broken:
                continue
            sender = name_in(name)
            if sender is None:
                self.counters.messages_refused += 1
                continue
            if sender != node_of(claimed):
                raise MalformedBatch(f"a batch of {claimed} came from {sender}")
            message.to = group.core.node_id
            self.counters.messages_received += 1
            try:
                group.core.step(message)
                self._touch(group)
            except Exception as error:
                self._fail_group(group, error)

    # the turn

    def _touch(self, group: Group) -> None:
        """Look at this group in the next turn."""
        self._touched[group] = None
        if not self._look_due:
            self._look_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Take what the touched cores have ready: messages to outboxes, the rest to the next write."""
        self._look_due = False
        if self._stopped:
            return
        touched, self._touched = self._touched, {}
        for group in touched:
            if not group.stopping:
                try:
                    self._look_at(group)
                except Exception as error:
                    self._fail_group(group, error)
        self._begin_write()

    def _look_at(self, group: Group) -> None:
        ready = group.core.ready()
        self._post(group, ready.messages)
        if ready.save:
            write = GroupWrite(
                group.name,
                snapshot=ready.snapshot,
                reset=ready.snapshot is not None,
                entries=ready.entries,
                hard_state=ready.hard_state,
            )
            self._saves.append(_Save(write, group, ready))
        group.settle()

    def _begin_write(self) -> None:
        if self._saves and not self._writing:
            self._writing, self._saves = self._saves, []
            self._writer.submit([save.write for save in self._writing], self._written)

    def _written(self, error: Exception | None) -> None:
        """A write is durable: send what waited for it, and look at its groups at once (own votes and entries count
        from now on)."""
        if error is not None:
            self._fail(error)  # who waits for this write hears of it
            self._writing = []
            return
        saves, self._writing = self._writing, []
        if self._stopped:
            return
        self.counters.writes += 1
        self.counters.group_writes += len(saves)
        for save in saves:
            if save.done is not None and not save.done.done():
                save.done.set_result(None)
            if save.group is not None and save.ready is not None and not save.group.stopping:
                self._advance(save.group, save.ready)
        for name in self._writer.crowded():
            if name in self._groups:
                self._groups[name].want_compaction()
        self._look()

    def _advance(self, group: Group, ready: Ready) -> None:
        try:
            group.core.advance(ready)
            self._post(group, ready.after_save)
            self._touched[group] = None
        except Exception as error:
            self._fail_group(group, error)

    async def _save(self, write: GroupWrite) -> None:
        """Make something durable that no core asked for."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._saves.append(_Save(write, done=done))
        self._begin_write()
        await done

    async def _save_snapshot(self, group: Group, snapshot: Snapshot) -> None:
        await self._save(GroupWrite(group.name, snapshot=snapshot))

    def _post(self, group: Group, messages: Sequence[Message]) -> None:
        for message in messages:
            link = self._link(group, message.to)
            outbox = self._outboxes.get(link)
            if outbox is None:
                self._close_unused(message.to)
                outbox = Outbox(link.sender or self.node_id, link, self._transport, self.settings, self._unreachable)
                self._outboxes[link] = outbox
            if outbox.put(pack_message(group.name, message)):
                self.counters.messages_sent += 1
            else:
                self.counters.messages_dropped += 1
                group.core.unreachable(message.to)

    def _link(self, group: Group, to: str) -> Link:
        link = self._transport.link(group.name, to)
        own = group.core.node_id
        return link if own == self.node_id else link._replace(sender=own)

    def _close_unused(self, to: str) -> None:
        """Close the outboxes to a node that no group uses any more: it has another address, or left a channel."""
        used = {self._link(group, to) for group in self._groups.values()}
        for link in [link for link in self._outboxes if link.to == to and link not in used]:
            task = self._loop.create_task(self._outboxes.pop(link).close())
            self._closing_outboxes.add(task)
            task.add_done_callback(self._closing_outboxes.discard)

    def _unreachable(self, link: Link) -> None:
        """A batch was lost: every group whose messages take this link probes the node, at the pace of heartbeats."""
        for group in self._running():
            if self._link(group, link.to) == link:
                group.core.unreachable(link.to)

    def _tick(self) -> None:
        """One tick for all groups. A loop that was held up ticks once, not once per missed tick: messages that wait
        should be read before anyone calls an election."""
        if self._stopped:
            return
        self._timer = self._loop.call_later(self.settings.tick_s, self._tick)
        for group in self._running():
            try:
                group.core.tick()
                self._touch(group)
            except Exception as error:
                self._fail_group(group, error)

    def _running(self) -> list[Group]:
        return [group for group in self._groups.values() if not group.broken]

    # the end

    def _group(self, group: str) -> Group:
        found = self._groups.get(group)
        if found is None:
            raise GroupUnknown(f"this orderer takes no part in {group}", group=group)
        return found

    def _running_group(self, group: str) -> Group:
        self._check_running()
        found = self._group(group)
        if found.broken:
            raise found.broken_error()
        return found

    def _check_running(self) -> None:
        if self._failure.done():
            raise NodeStopped(f"this node has failed and must be restarted: {self._failure.result()}")
        if self._stopped:
            raise NodeStopped("this node was stopped")

    def set_quiet(self, group: str, *, quiet: bool) -> None:
        """See ``Consensus.set_quiet``."""
        self._group(group).core.quiet = quiet

    def break_group(self, group: str, error: Exception) -> None:
        """See ``Consensus.break_group``."""
        self._fail_group(self._group(group), error)

    def _fail_group(self, group: Group, error: Exception) -> None:
        """Stop one group, the others go on. A disk's error stops the node: what is written is written for all."""
        if isinstance(error, _OF_THE_DISK):
            self._fail(error)
        elif not group.stopping:
            _log.error("%s stops on this orderer: %s", group.name, error, exc_info=error, extra={"channel": group.name})
            group.stop_broken(error)

    def _fail(self, error: Exception) -> None:
        """Stop at once: nothing is sent, written or answered any more."""
        if self._failure.done():
            return
        _log.error("the Raft node stops: %s", error, exc_info=error)
        self._failure.set_result(error)
        self._stopped = True
        self._timer.cancel()
        self._cancel(NodeStopped(f"this node has failed and must be restarted: {error}"))

    def _cancel(self, error: Exception) -> None:
        for save in [*self._writing, *self._saves]:
            if save.done is not None and not save.done.done():
                save.done.set_exception(error)
        self._saves = []
        for group in self._groups.values():
            group.cancel(error)

    @property
    def failed(self) -> bool:
        """See ``Consensus.failed``."""
        return self._failure.done()

    async def failure(self) -> Exception:
        """See ``Consensus.failure``."""
        return await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """See ``Consensus.stop``."""
        if self._closing:
            return
        self._closing = self._stopped = True
        self._timer.cancel()
        self._cancel(NodeStopped("this node was stopped"))
        await asyncio.gather(*(group.stop() for group in self._groups.values()))
        for outbox in self._outboxes.values():
            await outbox.close()
        await asyncio.gather(*self._closing_outboxes)
        await self._writer.close()
