"""The control loop of one group: measure, have the ledger compute, carry out what it ordered.

One call is one frame. What the ledger ordered is done before the call returns, so that the next frame shows it:

    injected    the actuator carries the action out
    released    the same, of a negative amount: the actuator takes back what stands
    pending     actions that are unknown here (another aggregator's, or of a lost answer) are fetched and carried out
    stale       the planner submits records for the directions in which power flows now

Where the grid's topology has changed, the records that it concerns are submitted before the frame is measured.

Escalations are left to the coordinator, which knows all groups.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from gridledger.errors import GridLedgerError
from gridledger.grid.case import Case
from gridledger.grid.frames import Frame
from gridledger.grid.plant import ActionOutOfOrder, Plant
from gridledger.grid.power_flow import GridState
from services.feeder.clock import Clock
from services.feeder.dvs_client import DvsClient
from services.feeder.ledger_port import is_refusal, may_pass
from services.feeder.meter import Meter
from services.feeder.pmu.measurement import GridPmus
from services.feeder.record_submitter import RecordSubmitter

NORMAL, INJECTED, VOLTAGE_OK, ESCALATE = "normal", "injected", "voltage_ok", "escalate"
PENDING, LENT, STALE = "pending", "lent", "stale"
RELEASED, HELD, SUSPECT = "released", "held", "suspect"
FAILED = "failed"
"""No result: the ledger could not take the frame now, or it met a concurrent transaction."""

_PAGE = 1000
_MAX_PAGES = 100


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """The ledger's answer to one frame.

    ``state`` is what was measured, without the meters' errors, on ``case``. ``result`` is the contract's. Where
    ``outcome`` is FAILED, it is None, ``tx_id`` is empty, and ``fault`` the error's code. ``sent`` is the frame where
    meters with errors or PMUs measured it; None: it shows ``state`` as it is.
    """

    group: str
    time_us: int
    outcome: str
    tx_id: str
    result: dict[str, Any] | None = field(repr=False)
    state: GridState = field(repr=False)
    case: Case = field(repr=False)
    latency_s: float
    fault: str = ""
    sent: Frame | None = field(default=None, repr=False)

    @property
    def control(self) -> dict[str, Any] | None:
        """The injection that was ordered, or the release: its amounts are negative."""
        return None if self.result is None else self.result["control"]

    @property
    def vsi(self) -> dict[int, float]:
        """Bus -> VSI."""
        return {} if self.result is None else {row["bus"]: row["vsi"] for row in self.result["vsi"]}


class GroupLoop:
    """Measures one single or merged group and does what the ledger answers."""

    def __init__(
        self,
        group: str,
        *,
        plant: Plant,
        records: RecordSubmitter,
        dvs: DvsClient,
        clock: Clock,
        meter: Meter | None = None,
        pmus: GridPmus | None = None,
    ) -> None:
        self.group = group
        self._plant = plant
        self._meter = meter
        self._pmus = pmus
        self._records = records
        self._dvs = dvs
        self._clock = clock

    async def start_counting(self) -> None:
        """Assume that the grid shows all actions of this group that are on the ledger."""
        resources = await self._dvs.query(self.group, "GetResources")
        self._plant.start_counting(self.group, resources["actions"])

    async def measure(self, number: int = 0) -> FrameAnswer:
        """Send one frame and act on the answer. Several calls may be under way at once.

        ``number`` counts the samplings of the meters, and says which errors they have.

        Raises the contract's refusal of a frame that is wrong.
        """
        if not self._plant.knows(self.group):
            await self.start_counting()
        shown = self._plant.applied(self.group)
        answer = await self._compute(number)
        if answer.control is not None:
            await self._carry_out(answer.control)
        elif answer.outcome == PENDING and shown == self._plant.applied(self.group):
            await self.catch_up()
        elif answer.outcome == STALE and self._plant.case is answer.case:
            await self._records.renew(self.group, answer.state, answer.time_us)
        return answer

    async def catch_up(self) -> None:
        """Carry out every action on the ledger that the grid does not show yet."""
        bookmark: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._dvs.query(self.group, "GetActions", limit=_PAGE, bookmark=bookmark)
            for item in page["items"]:
                self._plant.apply(self.group, item["control"])
            bookmark = page["bookmark"]
            if bookmark is None:
                return

    async def _carry_out(self, control: dict[str, Any]) -> None:
        """Inject; the actions before this one first, where they were missed."""
        try:
            self._plant.apply(self.group, control)
        except ActionOutOfOrder:
            await self.catch_up()

    async def _compute(self, number: int) -> FrameAnswer:
        begun = time.perf_counter()
        await self._records.follow(self.group, self._plant)
        if self._pmus is not None:
            measured = await self._pmus.measure(self.group)
            state, case, frame = measured.state, measured.case, measured.frame
        else:
            state, case = self._plant.state(), self._plant.case
            frame = self._plant.frame(self.group, self._clock.now_us())
        if self._meter is not None:
            frame = self._meter.measure(frame, number)
        time_us = frame["time"]
        sent = None if self._meter is None and self._pmus is None else frame
        try:
            result, status = await self._dvs.compute_vsi(self.group, frame)
        except GridLedgerError as error:
            if not (may_pass(error) or (is_refusal(error) and self._is_overtaken(case, time_us))):
                raise
            latency_s = time.perf_counter() - begun
            return FrameAnswer(self.group, time_us, FAILED, "", None, state, case, latency_s, error.code, sent)
        latency_s = time.perf_counter() - begun
        outcome, tx_id = result["outcome"], status.tx_id
        return FrameAnswer(self.group, time_us, outcome, tx_id, result, state, case, latency_s, sent=sent)

    def _is_overtaken(self, case: Case, time_us: int) -> bool:
        """Whether a frame met records of another topology than the one that it measured."""
        return case is not self._plant.case or self._records.has_followed(self.group, time_us)
