"""The submitter of records: a planner's records go to every channel that uses them, anew when they no longer hold.

A record no longer holds where power turns at a group's border, and where the topology of the grid changes: a line is
out, or a generator is at a limit and holds its voltage no longer. The contract refuses frames of another topology than
the record's, so the new ones are submitted before the next frame of the groups concerned is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gridledger.grid.case import PQ, Case
from gridledger.grid.grouping import components
from gridledger.grid.planning import RecordPlan, concerned_by
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Record
from services.feeder.clock import Clock
from services.feeder.concurrently import concurrently
from services.feeder.dvs_client import DvsClient

_AT_ONCE = 8
_MOST_TOPOLOGIES = 8
"""How often a frame waits for yet another topology before it is measured all the same."""


PEERS_FOLLOW_S = 2.0
"""For so long after a new record is committed another peer may still judge frames by the old one."""


@dataclass(frozen=True, slots=True)
class NewTopology:
    """Records of a changed topology were submitted for ``groups``; times by time.perf_counter."""

    groups: frozenset[str]
    begin_s: float
    end_s: float


class RecordSubmitter:
    """Submits the records of one planner.

    ``topologies`` tells when records of a changed topology were submitted; ``on_kinds`` is called with the generator
    buses that became load buses (True) or generator buses again (False).
    """

    def __init__(
        self,
        planner: Planner,
        dvs: DvsClient,
        clock: Clock,
        on_kinds: Callable[[Mapping[int, bool]], None] = lambda _buses: None,
    ) -> None:
        self.planner = planner
        self.topologies: list[NewTopology] = []
        self._on_kinds = on_kinds
        self._outdated: dict[str, float] = {}
        """Ids whose record on the ledger is of another topology, and since when."""
        self._changed_us: dict[str, int] = {}
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

    async def match(self, plant: Plant) -> None:
        """Submit new records for the groups whose submitted ones do not hold for the grid as it is now."""
        self._take(plant.case)
        turned = self._plan.out_of_date(self.planner.grouping, plant.state())
        await self._submit({*turned, *self._outdated}, plant.state())

    async def follow(self, group: str, plant: Plant) -> None:
        """Wait until the records of a single or merged group are those of the grid's topology now.

        What changed is submitted. The frame that is measured next fits; it must be measured without waiting.
        """
        for _ in range(_MOST_TOPOLOGIES):
            self._take(plant.case)
            if not self._lacking(group):
                return
            async with self._renewing:
                self._take(plant.case)
                if lacking := self._lacking(group):
                    await self._replace(lacking, plant.state())

    def has_followed(self, group: str, measured_us: int) -> bool:
        """Whether a frame of a group met a record of a changed topology: it was on its way then, or left soon after."""
        grace_us = round(PEERS_FOLLOW_S * 1e6)
        return any(measured_us <= self._changed_us.get(part, -grace_us - 1) + grace_us for part in components(group))

    def record(self, group: str, plant: Plant) -> Record:
        """The record of a group for the grid as it is now."""
        self._take(plant.case)
        return self.planner.record(group, plant.state())

    async def _replace(self, lacking: Sequence[str], state: GridState) -> None:
        begin_s = min(self._outdated[name] for name in lacking)
        await self._submit(lacking, state)
        groups = frozenset(part for name in lacking for part in components(name))
        self.topologies.append(NewTopology(groups, begin_s, time.perf_counter()))
        self._changed_us |= dict.fromkeys(groups, self._clock.now_us())

    def _take(self, case: Case) -> None:
        """Plan for this topology from now on."""
        if case is self.planner.case:
            return
        old, self.planner = self.planner, self.planner.on(case)
        concerned = concerned_by(old, self.planner)
        outdated = {*concerned, *self._plan.merges_with(concerned)}
        self._plan.take(self.planner, concerned)
        self._outdated |= dict.fromkeys(outdated - self._outdated.keys(), time.perf_counter())
        turned = np.flatnonzero(old.case.kind != case.kind).tolist()
        if turned:
            self._on_kinds({case.numbers[at]: int(case.kind[at]) == PQ for at in turned})

    def _lacking(self, group: str) -> list[str]:
        return [name for name in dict.fromkeys((*components(group), group)) if name in self._outdated]

    async def provide_merges(self, group: str, state: GridState) -> None:
        """Submit records for ``group`` merged with each neighbour: GlobalController makes one of these merges next."""
        await self._submit(self._plan.missing_merges(group), state)

    async def _submit(self, groups: Iterable[str], state: GridState) -> None:
        planner = self.planner
        records = [planner.record(group, state) for group in sorted(groups)]
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
        if self.planner is planner:
            for record in records:
                self._outdated.pop(record["id"], None)

    async def _send(self, channel: str, record: Record) -> None:
        async with self._sending:
            await self._dvs.submit_record(channel, record)
