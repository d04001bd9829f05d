"""The merge protocol (spec section 7) as an aggregator drives it, and how another one finishes what was left behind.

Every step is known to the ledger by merge and group and may be repeated. Nothing is remembered here but what the
ledger can tell again, so an aggregator may die after any step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridledger.grid.grouping import components
from services.feeder.ledger import Callers, Clock, Layout, Preview, Receipt, Refused
from services.feeder.retry import ATTEMPTS, pause_s, persistently

GATHERING, OPEN, RETURNING, CLOSED, NO_GROUP = "gathering", "open", "returning", "closed", "no_group"
_ASKED, _BACK = "asked", "back"


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge as the ledger told it. ``number`` is None where there is none (status NO_GROUP)."""

    number: int | None
    group: str
    status: str
    components: Mapping[str, str]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Merge:
        """From the answer of any merge operation."""
        return cls(answer["merge"], answer["group"], answer["status"], answer["components"])


class Merger:
    """Carries merges from GlobalController to Close, with the certificates at hand."""

    def __init__(self, layout: Layout, callers: Callers, clock: Clock) -> None:
        self._layout = layout
        self._callers = callers
        self._clock = clock

    async def begin(self, group: str) -> Merge:
        """GlobalController: start a merge for a single group that escalated, or extend that of a merged one."""
        return Merge.of((await self._main(group, "GlobalController", group=group)).payload)

    async def gather(self, merge: Merge) -> Merge:
        """Lend and Adopt for each component that is asked; the merge as it stands then (OPEN, unless another acts)."""
        for name, status in merge.components.items():
            if merge.status == GATHERING and status == _ASKED:
                merge = await self._adopt(merge, name)
        return merge

    async def give_back(self, merge: Merge) -> Merge:
        """Split, Restore and Close; CLOSED at the end."""
        parts = (await self._main(merge.group, "Split", merge=merge.number)).payload
        merge = Merge.of(parts)
        for name, status in merge.components.items():
            if status != _BACK:
                merge = await self._close(merge, name, parts["vvc"][name])
        return merge

    async def standing(self, group: str) -> Merge | None:
        """The unclosed merge that a single group is in: what GlobalController answers without writing anything."""
        ledger = self._callers.aggregator(group)
        try:
            preview: Preview = await persistently(
                self._clock, lambda: ledger.preview(self._layout.main, "GlobalController", {"group": group})
            )
        except Refused:
            return None
        return None if preview.writes or preview.payload["merge"] is None else Merge.of(preview.payload)

    async def finish(self, group: str) -> Merge | None:
        """Bring the merge that a single group is in to its end, from the ledger's answers alone; None where none is.

        Where two finish at once, one is refused: it asks again what stands.
        """
        refusal: Refused | None = None
        for attempt in range(ATTEMPTS):
            merge = await self.standing(group)
            if merge is None:
                return None
            try:
                return await self.give_back(await self.gather(merge))
            except Refused as error:
                refusal = error
                await self._clock.sleep(pause_s(attempt))
        raise refusal or Refused(f"the merge of group {group} cannot be finished", group=group)

    async def _adopt(self, merge: Merge, name: str) -> Merge:
        lent = await self._own(name, "Lend", merge=merge.number)
        adopted = await self._main(
            merge.group,
            "Adopt",
            merge=merge.number,
            group=name,
            vvc=lent.payload["vvc"],
            channel=self._layout.channel_of(name),
            tx_id=lent.tx_id,
        )
        return Merge.of(adopted.payload)

    async def _close(self, merge: Merge, name: str, part: Mapping[str, float]) -> Merge:
        restored = await self._own(name, "Restore", merge=merge.number, vvc=part)
        closed = await self._main(merge.group, "Close", merge=merge.number, group=name, tx_id=restored.tx_id)
        return Merge.of(closed.payload)

    async def _own(self, name: str, function: str, /, **argument: Any) -> Receipt:
        """On a component's own channel, as its aggregator."""
        ledger, channel = self._callers.aggregator(name), self._layout.channel_of(name)
        return await persistently(self._clock, lambda: ledger.submit(channel, function, {"group": name, **argument}))

    async def _main(self, group: str, function: str, /, **argument: Any) -> Receipt:
        """On the main channel, always as the same component's aggregator: what it did, its own peer has seen."""
        ledger = self._callers.aggregator(components(group)[0])
        return await persistently(self._clock, lambda: ledger.submit(self._layout.main, function, argument))
