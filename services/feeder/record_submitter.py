"""The submitter of records: a planner's records go to every channel that uses them, anew when power has turned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gridledger.grid.grouping import components
from gridledger.grid.planning import RecordPlan
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Record
from services.feeder.clock import Clock
from services.feeder.concurrently import concurrently
from services.feeder.dvs_client import DvsClient

_AT_ONCE = 8


class RecordSubmitter:
    """Submits the records of one planner."""

    def __init__(self, planner: Planner, dvs: DvsClient, clock: Clock) -> None:
        self.planner = planner
        self._dvs = dvs
        self._clock = clock
        self._plan = RecordPlan(planner)
        self._renewed_us: dict[str, int] = {}
        self._renewing = asyncio.Lock()
        self._sending = asyncio.Semaphore(_AT_ONCE)

    async def submit_all(self, state: GridState) -> int:
        """Submit the records that a ledger needs from the start; how many there were, each channel's counted."""
        groups = self._plan.initial()
        await self._submit(groups, state)
        return sum(len(self._dvs.layout.channels_using(group)) for group in groups)

    async def renew(self, group: str, state: GridState, measured_us: int) -> None:
        """Submit new records for those components of ``group`` at whose border power has turned.

        Nothing for a frame that was measured before the last renewal ended: the next frame tells whether that was
        enough.
        """
        async with self._renewing:
            parts = [part for part in components(group) if measured_us > self._renewed_us.get(part, -1)]
            # Where none has turned by what is known here, the records on the ledger are another planner's.
            renewed = self._plan.out_of_date(parts, state) or parts
            await self._submit(renewed, state)
            self._renewed_us |= dict.fromkeys(renewed, self._clock.now_us())

    async def match(self, state: GridState) -> None:
        """Submit new records for the groups whose submitted ones do not hold for ``state``."""
        await self._submit(self._plan.out_of_date(self.planner.grouping, state), state)

    async def provide_merges(self, group: str, state: GridState) -> None:
        """Submit records for ``group`` merged with each neighbour: GlobalController makes one of these merges next."""
        await self._submit(self._plan.missing_merges(group), state)

    async def _submit(self, groups: Iterable[str], state: GridState) -> None:
        records = [self.planner.record(group, state) for group in sorted(groups)]
        for record in records:
            self._plan.submitted(record)
        # A merged group's record reads those of its components, which must stand by then.
        for merged in (False, True):
            await concurrently(
                self._send(channel, record)
                for record in records
                if ("_" in record["id"]) == merged
                for channel in self._dvs.layout.channels_using(record["id"])
            )

    async def _send(self, channel: str, record: Record) -> None:
        async with self._sending:
            await self._dvs.submit_record(channel, record)
