"""The client of the contract ``dvs``: calls each operation as the right caller, on the right channel.

An operation is repeated while its failure may pass, because the contract knows an operation by its contents: done twice
is the same as done once. Only ComputeVSI is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

from gridledger.backoff import Backoff
from gridledger.client import Status
from gridledger.errors import GridLedgerError
from gridledger.grid.frames import Frame
from gridledger.grid.layout import Layout
from gridledger.grid.records import Record
from services.feeder.clock import Clock
from services.feeder.ledger_port import Callers, Preview, may_pass

_T = TypeVar("_T")

_ATTEMPTS = 8
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


class DvsClient:
    """Calls the contract. Errors are those of :class:`~services.feeder.ledger_port.Ledger`."""

    def __init__(self, layout: Layout, callers: Callers, clock: Clock, random: Random) -> None:
        self.layout = layout
        self.callers = callers
        self._clock = clock
        self._random = random

    def elsewhere(self, layout: Layout, callers: Callers) -> DvsClient:
        """A client with another layout and other callers; the clock is the same."""
        return DvsClient(layout, callers, self._clock, self._random)

    def copy(self) -> DvsClient:
        """A client that stays as this one is now."""
        return self.elsewhere(self.layout, self.callers)

    def go_on_as(self, other: DvsClient) -> None:
        """Take over the layout and the callers of another client."""
        self.layout, self.callers = other.layout, other.callers

    async def compute_vsi(self, group: str, frame: Frame) -> tuple[Any, Status]:
        """ComputeVSI of a frame, once: the contract's result and the transaction's status."""
        return await self.callers.aggregator(group).submit(self.layout.channel_of(group), "ComputeVSI", frame)

    async def submit_record(self, channel: str, record: Record) -> None:
        """InitialGrouping, as the channel's planner; the record names the MSPs that the layout gives."""
        planner, named = self.callers.planner(channel), self.layout.naming_msps(channel, record)
        await self.repeat(lambda: planner.submit(channel, "InitialGrouping", named), may_pass)

    async def query(self, group: str, function: str, /, **argument: Any) -> Any:
        """The payload of a query about a group, on the group's channel."""
        aggregator, channel = self.callers.aggregator(group), self.layout.channel_of(group)
        return await self.repeat(lambda: aggregator.evaluate(channel, function, {"group": group, **argument}), may_pass)

    async def submit(self, group: str, function: str, /, **argument: Any) -> tuple[Any, Status]:
        """An operation on a group, on the group's channel, as its aggregator; the argument names the group."""
        return await self._submit(group, self.layout.channel_of(group), function, {"group": group, **argument})

    async def submit_once(self, group: str, function: str, /, **argument: Any) -> tuple[Any, Status]:
        """The same, not repeated: for what must be looked at again where it failed."""
        channel = self.layout.channel_of(group)
        return await self.callers.aggregator(group).submit(channel, function, {"group": group, **argument})

    async def query_as_planner(self, channel: str, function: str, /, **argument: Any) -> Any:
        """The payload of a query on any channel, as the channel's planner."""
        planner = self.callers.planner(channel)
        return await self.repeat(lambda: planner.evaluate(channel, function, argument), may_pass)

    async def submit_on_main(self, group: str, function: str, /, **argument: Any) -> Any:
        """The payload of an operation on the main channel, as the aggregator of ``group``.

        All operations of a merge go through the same aggregator, because its peer has seen the earlier ones.
        """
        payload, _ = await self._submit(group, self.layout.main, function, argument)
        return payload

    async def preview_on_main(self, group: str, function: str) -> Preview:
        """What an operation on ``group`` would answer on the main channel, and whether it would write."""
        aggregator, argument = self.callers.aggregator(group), {"group": group}
        return await self.repeat(lambda: aggregator.preview(self.layout.main, function, argument), may_pass)

    async def repeat(self, ask: Callable[[], Awaitable[_T]], again: Callable[[GridLedgerError], bool]) -> _T:
        """The answer of ``ask``, which is called up to 8 times while ``again`` says so of its error."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, self._random)
        while True:
            try:
                return await ask()
            except GridLedgerError as error:
                pause_s = backoff.failed()
                if backoff.failures == _ATTEMPTS or not again(error):
                    raise
            await self._clock.sleep(pause_s)

    async def _submit(self, group: str, channel: str, function: str, argument: dict[str, Any]) -> tuple[Any, Status]:
        aggregator = self.callers.aggregator(group)
        return await self.repeat(lambda: aggregator.submit(channel, function, argument), may_pass)
