"""One group on a node: its core, the proposals that wait for it, and the task that applies what is committed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from services.orderer.raft.core import RaftCore
from services.orderer.raft.errors import GroupBroken, NodeStopped, ProposalDropped, ProposalTimeout, TransferFailed
from services.orderer.raft.interface import (
    CommittedEntry,
    FollowerStatus,
    GroupStatus,
    Leadership,
    RaftSettings,
    Role,
    Snapshot,
    StateMachine,
)
from services.orderer.raft.messages import EntryKind

_log = logging.getLogger(__name__)


class Group:
    """Proposals in, applied entries out. ``touch`` asks the node to look at the core; ``save_snapshot`` makes one
    durable; ``fail`` is told what this group fails with."""

    def __init__(
        self,
        name: str,
        core: RaftCore,
        machine: StateMachine,
        settings: RaftSettings,
        *,
        touch: Callable[[Group], None],
        save_snapshot: Callable[[Group, Snapshot], Awaitable[None]],
        fail: Callable[[Group, Exception], None],
    ) -> None:
        self.name = name
        self.core = core
        self.machine = machine
        self.leadership = Leadership(name, core.term, None, is_self=False, ready=False)
        self._settings = settings
        self._touch = touch
        self._save_snapshot = save_snapshot
        self._fail = fail
        self._proposals: deque[tuple[int, int, asyncio.Future[int]]] = deque()
        self._transfers: list[tuple[str, asyncio.Future[None]]] = []
        self._bytes_since_snapshot = 0
        self._compact_waiters: list[asyncio.Future[int]] = []
        self._compact_wanted = False
        self.stopping = False
        self.broken: str | None = None
        """Why this group has stopped here, None while it runs."""
        self._work = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"raft-apply-{name}")

    # proposals

    @property
    def pending_proposals(self) -> int:
        """Proposals not yet committed."""
        return len(self._proposals)

    async def committed(self, position: tuple[int, int], timeout_s: float | None) -> int:
        """Wait until the entry at (index, term), just appended, is committed; returns its index."""
        index, term = position
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._proposals.append((index, term, future))
        self._touch(self)
        limit = self._settings.proposal_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit):
                return await future
        except TimeoutError:
            raise ProposalTimeout(
                f"entry {index} of {self.name} was not seen to commit within {limit} s; it still may", index=index
            ) from None

    async def transferred(self, to: str, timeout_s: float | None) -> None:
        """Wait until ``to`` leads."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transfers.append((to, future))
        self._touch(self)
        limit = self._settings.proposal_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit):
                await future
        except TimeoutError:
            raise TransferFailed(f"{to} did not take over {self.name} within {limit} s") from None

    # after every look at the core

    def settle(self) -> None:
        """Answer proposals and transfers, tell the machine who leads, wake the applier."""
        self._settle_proposals()
        self._settle_leadership()
        self._tell_notices()
        log = self.core.log
        if log.applied < min(log.commit, log.stable) or log.pending_snapshot is not None:
            self._work.set()

    def _tell_notices(self) -> None:
        notices = self.core.notices
        if notices:
            for notice in notices:
                _log.warning("%s", notice, extra={"channel": self.name})
            notices.clear()

    def _settle_proposals(self) -> None:
        proposals, log = self._proposals, self.core.log
        while proposals and proposals[0][0] <= log.commit:
            index, term, future = proposals.popleft()
            if future.done():
                continue
            if log.term(index) == term:
                future.set_result(index)
            else:
                future.set_exception(self._dropped("lost"))
        if proposals and (not self.core.is_leader or self.core.term != proposals[0][1]):
            self._cancel_proposals(self._dropped("unknown"))

    def _dropped(self, outcome: str) -> ProposalDropped:
        said = "another entry took its place" if outcome == "lost" else "it may still be committed"
        return ProposalDropped(
            f"leadership of {self.name} was lost before the entry was committed; {said}", outcome=outcome
        )

    def _cancel_proposals(self, error: Exception) -> None:
        while self._proposals:
            future = self._proposals.popleft()[2]
            if not future.done():
                future.set_exception(error)

    def _settle_leadership(self) -> None:
        core = self.core
        now = Leadership(self.name, core.term, core.leader, core.is_leader, core.ready_to_lead)
        if now != self.leadership:
            self.leadership = now
            self.machine.leadership_changed(now)
        if self._transfers:
            self._transfers = [waiting for waiting in self._transfers if not self._settle_transfer(*waiting)]

    def _settle_transfer(self, to: str, future: asyncio.Future[None]) -> bool:
        if not future.done():
            if self.core.leader == to:
                future.set_result(None)
            elif self.core.is_leader and self.core.transferee is None:
                future.set_exception(TransferFailed(f"{to} did not take {self.name} over within an election timeout"))
        return future.done()

    # applying

    async def _run(self) -> None:
        try:
            while not self.stopping:
                await self._work.wait()
                self._work.clear()
                while not self.stopping and await self._apply_some():
                    pass
        except Exception as error:
            self._fail(self, error)

    async def _apply_some(self) -> bool:
        """Install a snapshot or apply some entries; False when there is nothing to do."""
        self._settle_proposals()  # before what is applied may be compacted, and its term forgotten
        core = self.core
        snapshot = core.log.next_snapshot()
        if snapshot is not None:
            await self.machine.install_snapshot(snapshot)
            self._applied(snapshot.index)
            return True
        entries = core.next_committed()
        if entries:
            batch = [CommittedEntry(e.index, e.term, e.data) for e in entries if e.kind is EntryKind.DATA]
            if batch:
                await self.machine.apply(batch)
            self._bytes_since_snapshot += sum(entry.size for entry in entries)
            self._applied(entries[-1].index)
        await self._compact_if_due()
        return bool(entries)

    def _applied(self, index: int) -> None:
        self.core.applied_to(index)
        self._touch(self)

    async def _compact_if_due(self) -> None:
        core, log = self.core, self.core.log
        since = log.applied - (log.snapshot.index if log.snapshot else 0)
        settings = self._settings
        due = since >= settings.snapshot_entries or self._bytes_since_snapshot >= settings.snapshot_bytes
        wanted = self._compact_wanted or bool(self._compact_waiters)
        if log.pending_snapshot is not None or not (due or wanted):
            return  # a leader's snapshot is about to take the log's place; who waits is answered after it
        self._compact_wanted = False
        data = await self.machine.take_snapshot() if since else b""
        if since and log.pending_snapshot is None:  # a leader's may have come while the machine took its own
            await self._save_snapshot(self, core.compact(data))
            self._bytes_since_snapshot = 0
        index = log.snapshot.index if log.snapshot else 0
        waiters, self._compact_waiters = self._compact_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(index)

    def want_compaction(self) -> None:
        """Take a snapshot as soon as the applier gets to it."""
        self._compact_wanted = True
        self._work.set()

    async def compact(self) -> int:
        """Take a snapshot and wait for it; returns its index."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._compact_waiters.append(future)
        self._work.set()
        return await future

    def cancel(self, error: Exception) -> None:
        """Answer everything that waits with an error, and apply nothing further."""
        self.stopping = True
        self._work.set()
        self._cancel_proposals(error)
        waiters: list[asyncio.Future[int] | asyncio.Future[None]] = [*self._compact_waiters]
        waiters += [future for _, future in self._transfers]
        for future in waiters:
            if not future.done():
                future.set_exception(error)
        self._compact_waiters, self._transfers = [], []

    def stop_broken(self, error: Exception) -> None:
        """Stop for good: the core is not asked again, what waits is answered, and nobody leads as far as the machine
        hears."""
        self.broken = str(error) or type(error).__name__
        self.cancel(self.broken_error())
        self.leadership = Leadership(self.name, self.core.term, None, is_self=False, ready=False)
        self.machine.leadership_changed(self.leadership)

    def broken_error(self) -> GroupBroken:
        """What requests to a group that has stopped are answered with."""
        return GroupBroken(f"{self.name} has stopped on this orderer, see its log: {self.broken}", group=self.name)

    async def stop(self) -> None:
        """Cancel what waits, and let the state machine finish what it is at (within stop_grace_s)."""
        self.cancel(NodeStopped(f"this node was stopped or left the group {self.name}"))
        await asyncio.wait([self._task], timeout=self._settings.stop_grace_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # status

    def status(self) -> GroupStatus:
        """What the node knows of this group."""
        core, log = self.core, self.core.log
        return GroupStatus(
            group=self.name,
            role=Role.FOLLOWER if self.broken else core.role,
            term=core.term,
            leader=None if self.broken else core.leader,
            commit=log.commit,
            applied=log.applied,
            first=log.first_index,
            last=log.last_index,
            stable=log.stable,
            snapshot=log.snapshot.index if log.snapshot else 0,
            membership=log.membership,
            pending_proposals=len(self._proposals),
            broken=self.broken,
            denials=core.denials,
            declined=core.declined,
            outvoted=core.outvoted,
            followers={
                name: FollowerStatus(
                    progress.match, progress.next, progress.feed.value, progress.active, progress.silent
                )
                for name, progress in core.progress.items()
            },
        )
