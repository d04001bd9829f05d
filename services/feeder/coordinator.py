"""The coordinator of all groups: rounds of frames, and merges for groups that cannot help themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from gridledger.errors import GridLedgerError, InputError
from gridledger.grid.grouping import components, neighbours
from gridledger.grid.plant import Plant
from services.feeder.clock import Clock
from services.feeder.concurrently import concurrently
from services.feeder.dvs_client import DvsClient
from services.feeder.group_loop import (
    ESCALATE,
    HELD,
    INJECTED,
    LENT,
    NORMAL,
    RELEASED,
    VOLTAGE_OK,
    FrameAnswer,
    GroupLoop,
)
from services.feeder.ledger_port import is_refusal
from services.feeder.merging import NO_GROUP, OPEN, Merge, Merger
from services.feeder.meter import Meter
from services.feeder.pmu.measurement import GridPmus
from services.feeder.record_submitter import RecordSubmitter

_SETTLED = (NORMAL, VOLTAGE_OK)
_BORROWING = (INJECTED, RELEASED, HELD)

OnMerge = Callable[[str, Merge], None]
"""Called with "merged", "extended" or "returned", and the merge as it stands then."""


class Coordinator:
    """Drives the loops of ``groups``: those whose certificates are at hand."""

    def __init__(
        self,
        groups: Iterable[str],
        *,
        plant: Plant,
        records: RecordSubmitter,
        dvs: DvsClient,
        clock: Clock,
        meter: Meter | None = None,
        pmus: GridPmus | None = None,
        on_merge: OnMerge = lambda _what, _merge: None,
    ) -> None:
        self.groups = tuple(sorted(groups, key=int))
        self.records = records
        self.merger = Merger(dvs)
        self._plant = plant
        self._meter = meter
        self._pmus = pmus
        self._dvs = dvs
        self._clock = clock
        self._on_merge = on_merge
        self._loops: dict[str, GroupLoop] = {}
        self._merges: dict[str, Merge] = {}
        self._gave_up: dict[str, int] = {}
        """Groups whose merge did not help, or that found no neighbour, with the plant's count of load changes then."""
        self._borrowed: set[str] = set()
        """Merges that have not given back yet what they borrowed, where records have ``release``: they last."""
        self._idle: set[str] = set()
        """Those of them that ask for nothing just now: they may be split for a third group."""
        self._split_for: dict[str, int] = {}
        """Groups for which such a merge was split, with the plant's count of load changes then."""
        self._apart: set[str] = set()
        self._by_hand: set[str] = set()
        """Groups that were merged by hand: their merge lasts until it is split by hand."""
        self._recovered = False
        self._merging = asyncio.Lock()
        self._merged_us = -1

    @property
    def measured(self) -> tuple[str, ...]:
        """The ids that are measured now: merged groups, and the single ones that are neither in one nor apart."""
        inside = {part for group in self._merges for part in components(group)} | self._apart
        return (*self._merges, *(group for group in self.groups if group not in inside))

    def is_apart(self, group: str) -> bool:
        """Whether a single group is being moved, and not measured meanwhile."""
        return group in self._apart

    @asynccontextmanager
    async def apart(self, group: str) -> AsyncIterator[None]:
        """In the block a single group is in no merge and is not measured, and no merge begins, grows or ends.

        A merge that it is in is ended first. A block that is cancelled leaves the group apart.
        """
        self._apart.add(group)
        try:
            async with self._merging:
                await self._leave_merge(group)
                yield
                self._merged_us = self._clock.now_us()
        except GridLedgerError:
            self._apart.discard(group)
            raise
        self._apart.discard(group)

    def loop(self, group: str) -> GroupLoop:
        """The loop of a single or merged group."""
        if group not in self._loops:
            self._loops[group] = GroupLoop(
                group,
                plant=self._plant,
                records=self.records,
                dvs=self._dvs,
                clock=self._clock,
                meter=self._meter,
                pmus=self._pmus,
            )
        return self._loops[group]

    async def recover(self) -> int:
        """Finish all merges that others left unfinished; how many.

        The first round does so if nobody has, but goes on with those that still have to give back.
        """
        self._recovered = True
        return sum([await self._finish(group) for group in self.groups])

    async def round(self, number: int = 0) -> list[FrameAnswer]:
        """One frame of each measured id, side by side; then merges begin, grow or end as the answers demand.

        ``number`` is that of the meters' sampling.
        """
        if not self._recovered:
            self._recovered = True
            for group in self.groups:
                await self._resume(group)
        answers = await concurrently(self.loop(group).measure(number) for group in self.measured)
        for answer in answers:
            await self.follow(answer)
        return answers

    def settled(self, answers: Sequence[FrameAnswer]) -> bool:
        """Whether every answer asks for nothing more, and no list is lent but to a merge that has to give back."""
        return self._borrowed >= self._merges.keys() and all(
            answer.outcome in (*_SETTLED, HELD) or (answer.outcome == ESCALATE and self._has_given_up(answer.group))
            for answer in answers
        )

    async def follow(self, answer: FrameAnswer) -> None:
        """Begin, extend or end a merge, where the answer demands it.

        An answer to a frame from before the last merge operation ended demands nothing: the next one will tell.
        """
        self._note(answer)
        if self._merging.locked():
            return
        async with self._merging:
            if answer.time_us > self._merged_us and await self._act(answer):
                self._merged_us = self._clock.now_us()

    async def _act(self, answer: FrameAnswer) -> bool:
        """Do what the answer demands of merges; whether that was anything."""
        group = answer.group
        if group in self._merges:
            if answer.outcome == ESCALATE and not self._has_given_up(group):
                await self._extend(group, answer)
                return True
            if answer.outcome in _SETTLED and not self._lasts(group):
                await self._return(group, helped=answer.outcome == NORMAL)
                return True
        elif answer.outcome == LENT:
            # Lent to a merge that this process does not drive: another aggregator's, or of before a restart.
            await self._resume(group)
            return True
        elif answer.outcome == ESCALATE and not self._has_given_up(group):
            await self._merge(group, answer)
            return True
        return False

    def _note(self, answer: FrameAnswer) -> None:
        """Note whether a merge has borrowed. Without ``release`` nothing is ever given back."""
        if answer.group not in self._merges or self.records.planner.release is None:
            return
        if answer.outcome in _BORROWING:
            self._borrowed.add(answer.group)
        elif answer.outcome == NORMAL:
            self._borrowed.discard(answer.group)
        self._idle.discard(answer.group)
        given_up = answer.outcome == ESCALATE and self._has_given_up(answer.group)
        if answer.outcome in (HELD, VOLTAGE_OK) or given_up:
            self._idle.add(answer.group)

    def _lasts(self, group: str) -> bool:
        """Whether a merge that asks for nothing is kept: it has to give back, or was begun by hand."""
        return group in self._borrowed or bool(self._by_hand & set(components(group)))

    async def _resume(self, group: str) -> bool:
        """Go on with the merge that a single group is in where it has to give back, else end it; whether one was."""
        if self.records.planner.release is None:
            return await self._finish(group)
        standing = await self.merger.standing(group)
        if standing is None or standing.group in self._merges:
            return False
        if standing.status != OPEN or not await self._has_borrowed(standing.group):
            return await self._finish(group)
        loop = self.loop(standing.group)
        await (loop.catch_up() if self._plant.knows(standing.group) else loop.start_counting())
        self._merges[standing.group] = standing
        self._borrowed.add(standing.group)
        return True

    async def _has_borrowed(self, group: str) -> bool:
        """Whether what was ordered under merged ids still stands in a merge."""
        resources = await self._dvs.query(group, "GetResources")
        return any("_" in entry["by"] for entry in resources.get("standing", ()))

    async def _finish(self, group: str) -> bool:
        """End the merge that a single group is in, from what the ledger says; whether there was one."""
        standing = await self.merger.standing(group)
        if standing is None:
            return False
        if self._plant.knows(standing.group):
            # An injection that was ordered while no aggregator ran is still to be carried out: its VVC is spent.
            await self.loop(standing.group).catch_up()
        merge = await self.merger.finish(group)
        self._on_merge("returned", merge or standing)
        return True

    async def _leave_merge(self, group: str) -> None:
        """End the merge that a single group is in, whoever drives it. It may begin anew."""
        for name in tuple(self._merges):
            if group in components(name):
                await self._return(name, helped=True)
        await self._finish(group)

    async def merge_by_hand(self, group: str) -> str:
        """Merge a single group with a neighbour now, until it is split by hand; the merged id.

        Raises InputError where it is in a merge, or where no neighbour has anything to lend.
        """
        async with self._merging:
            if any(group in components(name) for name in self._merges) or group in self._apart:
                raise InputError(f"group {group} is in a merge, or on its way to another channel")
            await self.records.provide_merges(group, self._plant.state())
            merge = await self.merger.begin(group)
            if merge.status == NO_GROUP:
                raise InputError(f"group {group} has no neighbour that is free and has VVC")
            await self._open(group, merge, "merged")
            self._merged_us = self._clock.now_us()
            if merge.group not in self._merges:
                raise InputError(f"the merge {merge.group} was ended by another aggregator")
            self._by_hand.update(components(merge.group))
            return merge.group

    async def split_by_hand(self, group: str) -> None:
        """End a merge now. Raises InputError where there is none of that id."""
        async with self._merging:
            if group not in self._merges:
                raise InputError(f"there is no merge {group}; there are: {', '.join(self._merges) or 'none'}")
            await self._return(group, helped=True)
            self._merged_us = self._clock.now_us()

    async def _merge(self, group: str, answer: FrameAnswer) -> None:
        merge = await self._ask(group, answer)
        if merge.status == NO_GROUP:
            if not self._may_split_later(group):
                self._give_up((group,))
            return
        await self._open(group, merge, "merged")

    async def _extend(self, group: str, answer: FrameAnswer) -> None:
        merge = await self._ask(group, answer)
        if merge.status == NO_GROUP:
            if group in self._borrowed:
                self._give_up((group,))
            else:
                await self._return(group, helped=False)
            return
        has_borrowed = group in self._borrowed
        self._forget(group)
        await self._open(group, merge, "extended")
        if has_borrowed and merge.group in self._merges:
            self._borrowed.add(merge.group)

    async def _ask(self, group: str, answer: FrameAnswer) -> Merge:
        """Ask a neighbour into a merge; where none is free, idle merges with neighbours are split until one is.

        Once for a load, so that two groups in need do not take a neighbour from one another for ever.
        """
        await self.records.provide_merges(group, answer.state)
        merge = await self.merger.begin(group)
        if merge.status != NO_GROUP or self._split_for.get(group) == self._plant.load_changes:
            return merge
        for other in self._merges_beside(group):
            if other in self._idle and merge.status == NO_GROUP:
                self._split_for[group] = self._plant.load_changes
                await self._return(other, helped=True)
                merge = await self.merger.begin(group)
        return merge

    def _merges_beside(self, group: str) -> list[str]:
        """Other merges that have to give back and contain neighbours of a group."""
        near = set(neighbours(self.records.planner.case, self.records.planner.grouping, group))
        return [
            name for name in sorted(self._borrowed - {group}) if name in self._merges and near & {*components(name)}
        ]

    def _may_split_later(self, group: str) -> bool:
        """Whether a merge that is busy now may be split for a group as soon as it asks for nothing."""
        return self._split_for.get(group) != self._plant.load_changes and bool(self._merges_beside(group))

    def _forget(self, group: str) -> Merge:
        """A merge is driven no more under this id."""
        self._borrowed.discard(group)
        self._idle.discard(group)
        return self._merges.pop(group)

    async def _open(self, group: str, merge: Merge, what: str) -> None:
        try:
            merge = await self.merger.gather(merge)
        except GridLedgerError as error:
            if not is_refusal(error):
                raise
            merge = Merge(None, group, NO_GROUP, {})
        if merge.status != OPEN:
            # Another aggregator acts on it as well; end it, and begin anew with the next frame if it must be.
            await self._finish(components(group)[0])
            return
        self._merges[merge.group] = merge
        await self.loop(merge.group).start_counting()
        self._on_merge(what, merge)

    async def _return(self, group: str, *, helped: bool) -> None:
        merge = self._forget(group)
        self._by_hand -= set(components(group))
        if not helped:
            self._give_up(components(group))
        try:
            merge = await self.merger.give_back(merge)
        except GridLedgerError as error:
            if not is_refusal(error):
                raise
            await self._finish(components(group)[0])
        self._on_merge("returned", merge)

    def _give_up(self, groups: Iterable[str]) -> None:
        """Do not merge these groups again before a load changes."""
        self._gave_up |= dict.fromkeys(groups, self._plant.load_changes)

    def _has_given_up(self, group: str) -> bool:
        return self._gave_up.get(group) == self._plant.load_changes
