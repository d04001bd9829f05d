"""Frames from phasors that others measured, live or recorded: submitted, and answered, with nothing carried out.

There are no actuators here. What the ledger orders is told; the frames go on saying that the measurement shows the
actions of before the stream, so that a further alarm is answered ``pending`` and nothing is ordered twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from gridledger.errors import GridLedgerError
from gridledger.grid.case import Case
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner
from services.feeder.dvs_client import DvsClient
from services.feeder.group_loop import FAILED, INJECTED, STALE
from services.feeder.ledger_port import is_conflict, may_pass
from services.feeder.pmu.phasors import PhasorFrames, Phasors, Quantity, in_service, state_of
from services.feeder.record_submitter import RecordSubmitter

MAX_IN_FLIGHT = 64
"""Frames of one group."""
INCOMPLETE, SKIPPED, CONFLICT = "incomplete", "not sent", "conflict"


class FrameClock:
    """Tells the time of the newest frame, by which renewals of records are dated."""

    def __init__(self) -> None:
        self.us = 0

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return self.us

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class MeasuredStream:
    """Submits the frames of every group. ``base`` is a solved state of the case, for what is not measured.

    ``outcomes`` counts by group: the contract's outcomes, ``failed``, ``conflict`` (it was in flight beside an order),
    ``incomplete`` (a phasor that the group needs was not there or not good) and ``not sent`` (too many in flight).
    """

    def __init__(
        self, planner: Planner, base: GridState, *, dvs: DvsClient, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.outcomes: dict[str, Counter[str]] = {group: Counter() for group in planner.grouping}
        self._planner, self._base, self._dvs, self._tell = planner, base, dvs, tell
        self._clock = FrameClock()
        self._records = RecordSubmitter(planner, dvs, self._clock)
        service = in_service(planner.case, ())
        self._makers = {group: PhasorFrames(planner.area(group), service) for group in planner.grouping}
        self._room = {group: asyncio.Semaphore(MAX_IN_FLIGHT) for group in planner.grouping}
        self._applied: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[GridLedgerError] = []

    @property
    def case(self) -> Case:
        """The grid."""
        return self._planner.case

    async def prepare(self) -> int:
        """Submit the records, and look how many actions each group has had; how many records."""
        records = await self._records.submit_all(self._base)
        for group in self._planner.grouping:
            self._applied[group] = (await self._dvs.query(group, "GetResources"))["actions"]
        return records

    async def take(self, time_us: int, phasors: Phasors, *, wait: bool) -> None:
        """Submit each group's frame of an instant. ``wait``: for room, instead of leaving the frame out.

        Raises the first error that is more than a passing failure of a frame.
        """
        for group in self._makers:
            await self.take_group(group, time_us, phasors, wait=wait)

    async def take_group(self, group: str, time_us: int, phasors: Phasors, *, wait: bool) -> None:
        """The same of one group."""
        if self._errors:
            raise self._errors[0]
        if not self.needs(group) <= phasors.keys():
            self.outcomes[group][INCOMPLETE] += 1
        elif not wait and self._room[group].locked():
            self.outcomes[group][SKIPPED] += 1
        else:
            await self._room[group].acquire()
            task = asyncio.create_task(self._send(group, time_us, phasors))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def needs(self, group: str) -> frozenset[Quantity]:
        """What must be measured for the group's frame."""
        return self._makers[group].needs

    async def drain(self) -> None:
        """Wait for what is in flight; raises as :meth:`take`."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._errors:
            raise self._errors[0]

    async def _send(self, group: str, time_us: int, phasors: Phasors) -> None:
        try:
            frame = self._makers[group].frame(phasors, time_us, applied=self._applied[group])
            result, _ = await self._dvs.compute_vsi(group, frame)
            self.outcomes[group][result["outcome"]] += 1
            self._clock.us = max(self._clock.us, time_us)
            if result["outcome"] == INJECTED:
                control = result["control"]
                self._tell(f"group {group}: {control['q_mvar']:.3f} MVAr ordered at bus {control['source_bus']}")
            elif result["outcome"] == STALE:
                await self._records.renew(group, state_of(phasors, self._planner.case, self._base), time_us)
        except GridLedgerError as error:
            self.outcomes[group][CONFLICT if is_conflict(error.code) else FAILED] += 1
            if not may_pass(error):
                self._errors.append(error)
        finally:
            self._room[group].release()
