"""All groups at once: rounds of measurements, and merges for those that cannot help themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from gridledger.grid.grouping import components
from gridledger.grid.plant import Plant
from services.feeder.ledger import Callers, Clock, Layout, Refused
from services.feeder.loop import ESCALATE, LENT, NORMAL, VOLTAGE_OK, Answer, GroupLoop
from services.feeder.merging import NO_GROUP, OPEN, Merge, Merger
from services.feeder.planning import RecordOffice

MAX_ROUNDS = 50
_SETTLED = (NORMAL, VOLTAGE_OK)

Watch = Callable[[str, Merge], None]
"""Told of merges: "merged", "extended", "returned", with the merge as it stands then."""


class ControlRoom:
    """Drives the loops of ``groups``: those whose certificates are at hand."""

    def __init__(
        self,
        groups: Iterable[str],
        *,
        plant: Plant,
        office: RecordOffice,
        layout: Layout,
        callers: Callers,
        clock: Clock,
        watch: Watch = lambda _what, _merge: None,
    ) -> None:
        self.groups = tuple(sorted(groups, key=int))
        self.plant = plant
        self.office = office
        self.merger = Merger(layout, callers, clock)
        self._layout = layout
        self._callers = callers
        self._clock = clock
        self._watch = watch
        self._loops: dict[str, GroupLoop] = {}
        self._merges: dict[str, Merge] = {}
        self._helpless: dict[str, int] = {}
        self._recovered = False
        self._acting = asyncio.Lock()
        self._acted_us = -1

    @property
    def measured(self) -> tuple[str, ...]:
        """The ids that are measured now: merged groups, and the single ones that are in none of them."""
        inside = {part for group in self._merges for part in components(group)}
        return (*self._merges, *(group for group in self.groups if group not in inside))

    def loop(self, group: str) -> GroupLoop:
        """The loop of a single or merged group."""
        if group not in self._loops:
            self._loops[group] = GroupLoop(
                group,
                plant=self.plant,
                office=self.office,
                layout=self._layout,
                callers=self._callers,
                clock=self._clock,
            )
        return self._loops[group]

    async def recover(self) -> int:
        """Finish whatever merges others left behind; how many. The first round does so if nobody has."""
        self._recovered = True
        return sum([await self._finish(group) for group in self.groups])

    async def round(self) -> list[Answer]:
        """One frame of each measured id, side by side; then merges begin, grow or end as the answers demand."""
        if not self._recovered:
            await self.recover()
        answers = await asyncio.gather(*(self.loop(group).measure() for group in self.measured))
        for answer in answers:
            await self.follow(answer)
        return list(answers)

    async def until_settled(self, each: Callable[[Sequence[Answer]], None], max_rounds: int = MAX_ROUNDS) -> bool:
        """Rounds until nothing more is to do; False where that takes more than ``max_rounds``."""
        for _ in range(max_rounds):
            answers = await self.round()
            each(answers)
            if self.settled(answers):
                return True
        return False

    def settled(self, answers: Sequence[Answer]) -> bool:
        """Whether every answer asks for nothing more, and no list is lent."""
        return not self._merges and all(
            answer.outcome in _SETTLED or (answer.outcome == ESCALATE and self._is_helpless(answer.group))
            for answer in answers
        )

    async def follow(self, answer: Answer) -> None:
        """Begin, extend or end a merge, where the answer demands it.

        An answer to a frame from before the last merge operation ended demands nothing: the next one will tell.
        """
        if self._acting.locked():
            return
        async with self._acting:
            if answer.time_us > self._acted_us and await self._act(answer):
                self._acted_us = self._clock.now_us()

    async def _act(self, answer: Answer) -> bool:
        """Whether anything was done."""
        group = answer.group
        if group in self._merges:
            if answer.outcome == ESCALATE:
                await self._extend(group, answer)
                return True
            if answer.outcome in _SETTLED:
                await self._return(group, helped=answer.outcome == NORMAL)
                return True
        elif answer.outcome == LENT:
            # Lent to a merge that is not ours: its aggregator is gone, or we came back from the dead.
            await self._finish(group)
            return True
        elif answer.outcome == ESCALATE and not self._is_helpless(group):
            await self._merge(group, answer)
            return True
        return False

    async def _finish(self, group: str) -> bool:
        """End the merge that a single group is in, from what the ledger says; whether there was one."""
        standing = await self.merger.standing(group)
        if standing is None:
            return False
        if self.plant.knows(standing.group):
            # What was ordered while nobody was there is still to be carried out: it is paid for.
            await self.loop(standing.group).catch_up()
        merge = await self.merger.finish(group)
        self._watch("returned", merge or standing)
        return True

    async def _merge(self, group: str, answer: Answer) -> None:
        await self.office.provide_merges(group, answer.state)
        merge = await self.merger.begin(group)
        if merge.status == NO_GROUP:
            self._give_up((group,))
            return
        await self._open(group, merge, "merged")

    async def _extend(self, group: str, answer: Answer) -> None:
        await self.office.provide_merges(group, answer.state)
        merge = await self.merger.begin(group)
        if merge.status == NO_GROUP:
            await self._return(group, helped=False)
            return
        del self._merges[group]
        await self._open(group, merge, "extended")

    async def _open(self, group: str, merge: Merge, what: str) -> None:
        try:
            merge = await self.merger.gather(merge)
        except Refused:
            merge = Merge(None, group, NO_GROUP, {})
        if merge.status != OPEN:
            # Another aggregator acts on it as well; end it, and begin anew with the next frame if it must be.
            await self._finish(components(group)[0])
            return
        self._merges[merge.group] = merge
        await self.loop(merge.group).start_counting()
        self._watch(what, merge)

    async def _return(self, group: str, *, helped: bool) -> None:
        merge = self._merges.pop(group)
        if not helped:
            self._give_up(components(group))
        try:
            merge = await self.merger.give_back(merge)
        except Refused:
            await self._finish(components(group)[0])
        self._watch("returned", merge)

    def _give_up(self, groups: Iterable[str]) -> None:
        """Merging again is of no use before a load changes."""
        self._helpless |= dict.fromkeys(groups, self.plant.load_changes)

    def _is_helpless(self, group: str) -> bool:
        return self._helpless.get(group) == self.plant.load_changes
