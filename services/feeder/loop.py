"""The loop of one group: measure, let the ledger compute, do what it ordered.

One call is one frame. What the ledger ordered is done before the call returns, so the next frame shows it:

    injected    the actuator carries the action out
    pending     actions that we do not know (another aggregator's, or of a lost answer) are fetched and carried out
    stale       the planner submits records for the directions in which power flows now

Escalations are for ``control_room``, which knows all groups.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from gridledger.grid.plant import ActionOutOfOrder, Plant
from gridledger.grid.power_flow import GridState
from services.feeder.ledger import PASSING, Callers, Clock, Layout, Receipt, speaker
from services.feeder.planning import RecordOffice
from services.feeder.retry import persistently

NORMAL, INJECTED, VOLTAGE_OK, ESCALATE = "normal", "injected", "voltage_ok", "escalate"
PENDING, LENT, STALE = "pending", "lent", "stale"
FAILED = "failed"
"""No answer: the ledger could not take the frame now, or it met a concurrent transaction."""

_PAGE = 1000
_MAX_PAGES = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """One frame and what came of it.

    Where ``outcome`` is FAILED, ``result`` is None, ``tx_id`` empty, and ``fault`` the error's code.
    """

    group: str
    time_us: int
    outcome: str
    tx_id: str
    result: dict[str, Any] | None = field(repr=False)
    state: GridState = field(repr=False)
    latency_s: float
    fault: str = ""

    @property
    def control(self) -> dict[str, Any] | None:
        """The injection that was ordered."""
        return None if self.result is None else self.result["control"]

    @property
    def vsi(self) -> dict[int, float]:
        """Bus -> VSI."""
        return {} if self.result is None else {row["bus"]: row["vsi"] for row in self.result["vsi"]}


class GroupLoop:
    """Measures one single or merged group and does what the ledger answers."""

    def __init__(
        self, group: str, *, plant: Plant, office: RecordOffice, layout: Layout, callers: Callers, clock: Clock
    ) -> None:
        self.group = group
        self.channel = layout.channel_of(group)
        self._plant = plant
        self._office = office
        self._ledger = callers.aggregator(speaker(group))
        self._clock = clock

    async def start_counting(self) -> None:
        """Take the grid as it is for one that shows all actions that the ledger has of this group."""
        resources = await self._ask("GetResources")
        self._plant.start_counting(self.group, resources["actions"])

    async def measure(self) -> Answer:
        """One frame; raises Refused where the contract takes it for a wrong one. Several may be under way at once."""
        if not self._plant.knows(self.group):
            await self.start_counting()
        shown = self._plant.applied(self.group)
        answer = await self._compute()
        if answer.outcome == INJECTED and answer.control is not None:
            await self._carry_out(answer.control)
        elif answer.outcome == PENDING and shown == self._plant.applied(self.group):
            await self.catch_up()
        elif answer.outcome == STALE:
            await self._office.renew(self.group, answer.state, answer.time_us)
        return answer

    async def _carry_out(self, control: dict[str, Any]) -> None:
        """Inject; with those before, where they were missed."""
        try:
            self._plant.apply(self.group, control)
        except ActionOutOfOrder:
            await self.catch_up()

    async def catch_up(self) -> None:
        """Carry out every action on the ledger that the grid does not show yet."""
        bookmark: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._ask("GetActions", limit=_PAGE, bookmark=bookmark)
            for item in page["items"]:
                self._plant.apply(self.group, item["control"])
            bookmark = page["bookmark"]
            if bookmark is None:
                return

    async def _compute(self) -> Answer:
        state = self._plant.state()
        frame = self._plant.frame(self.group, self._clock.now_us())
        begun = time.perf_counter()
        try:
            receipt: Receipt = await self._ledger.submit(self.channel, "ComputeVSI", frame)
        except PASSING as error:
            return Answer(self.group, frame["time"], FAILED, "", None, state, time.perf_counter() - begun, error.code)
        latency_s = time.perf_counter() - begun
        result = receipt.payload
        return Answer(self.group, frame["time"], result["outcome"], receipt.tx_id, result, state, latency_s)

    async def _ask(self, function: str, **more: Any) -> Any:
        argument = {"group": self.group, **more}
        return await persistently(self._clock, lambda: self._ledger.evaluate(self.channel, function, argument))
