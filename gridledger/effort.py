"""Effort: what work that came to nothing has cost the event loop, by the caller it was done for.

Reading what turns out to be unreadable costs up to some hundred milliseconds for a few megabytes, before anybody can
say whether it is allowed. So such work is timed, and charged to the caller as a debt. Debts are paid by time: all
callers together pay ``part`` of each second, in equal parts for the organisations in debt, and these in equal parts for
their callers in debt. Whoever owes more than ``burst_s`` is refused, before anything is done, until it owes no more. So
the callers in debt get no more than ``part`` of the loop's time in the long run, however many requests they send, and
whoever sends what can be read owes nothing and is never refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar

from gridledger.errors import BusyError, GridLedgerError
from gridledger.shares import Caller

FREE_S = 0.002
"""Refused work up to here is free: a signature that does not hold, a proposal that is too old."""

FREE_IF_DONE_S = 0.05
"""Work up to here that was no waste."""

LARGE_BYTES = 256 * 1024
"""What is longer is read in a thread, so that the event loop goes on meanwhile."""

_MAX_DEBTORS = 1024

_P = ParamSpec("_P")
_T = TypeVar("_T")


class OffLoop(Protocol):
    """Runs a function where it does not hold the event loop, as :func:`asyncio.to_thread` does."""

    async def __call__(self, work: Callable[[], _T], /) -> _T: ...


class Effort:
    """Debts of callers. ``clock`` is monotonic, ``thread_clock`` the processor's time of a thread, both in seconds."""

    def __init__(
        self,
        *,
        part: float = 0.25,
        burst_s: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
        thread_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._part = part
        self._burst_s = burst_s
        self.clock = clock
        self._thread_clock = thread_clock
        self._paid_at = clock()
        self._debts: dict[str, dict[Caller, float]] = {}

    def spent_by(self, caller: Caller) -> Spending:
        """``with effort.spent_by(caller):`` times what is done inside; :class:`BusyError` for who owes too much."""
        return Spending(self, caller)

    async def in_thread(self, caller: Caller, work: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        """Do a large piece of work for a caller in a thread, timed and refused as above."""
        return await self.beside_loop(asyncio.to_thread, caller, partial(work, *args, **named))

    async def beside_loop(self, run: OffLoop, caller: Caller, work: Callable[[], _T]) -> _T:
        """The same by ``run``, which has a thread of its own do it."""
        self.check(caller)
        seconds = 0.0

        def timed() -> _T | GridLedgerError:
            nonlocal seconds
            began = self._thread_clock()
            try:
                return work()
            except GridLedgerError as error:
                return error
            finally:
                seconds = self._thread_clock() - began

        outcome = await run(timed)
        failed = isinstance(outcome, GridLedgerError)
        self.settle(caller, seconds, failed=failed)
        if isinstance(outcome, GridLedgerError):
            raise outcome
        return outcome

    def settle(self, caller: Caller, seconds: float, *, failed: bool) -> None:
        """Charge a piece of work, as far as it is not free."""
        beyond_s = seconds - (FREE_S if failed else FREE_IF_DONE_S)
        if beyond_s > 0:
            self.charge(caller, beyond_s)

    def check(self, caller: Caller) -> None:
        """Raise :class:`BusyError` where the caller owes too much."""
        if not self._debts:
            return
        self._pay()
        of_organisation = self._debts.get(caller[0], {})
        debt = of_organisation.get(caller, 0.0)
        if debt > self._burst_s:
            rate = self._part / len(self._debts) / len(of_organisation)
            raise BusyError(
                f"what you sent lately could not be read or was refused, and cost this node {debt:.1f} s too much: "
                "come again later",
                retry_after_s=round((debt - self._burst_s) / rate, 3),
            )

    def charge(self, caller: Caller, seconds: float) -> None:
        """Add to what a caller owes."""
        self._pay()
        of_organisation = self._debts.setdefault(caller[0], {})
        if caller in of_organisation or sum(map(len, self._debts.values())) < _MAX_DEBTORS:
            of_organisation[caller] = of_organisation.get(caller, 0.0) + seconds

    def _pay(self) -> None:
        """Take off what was paid since the last time."""
        now = self.clock()
        passed_s, self._paid_at = now - self._paid_at, now
        if not self._debts:
            return
        of_each = passed_s * self._part / len(self._debts)
        left: dict[str, dict[Caller, float]] = {}
        for organisation, debts in self._debts.items():
            rate = of_each / max(1, len(debts))
            owing = {caller: debt - rate for caller, debt in debts.items() if debt > rate}
            if owing:
                left[organisation] = owing
        self._debts = left


class Spending:
    """One piece of work, timed."""

    __slots__ = ("_began", "_caller", "_effort")

    def __init__(self, effort: Effort, caller: Caller) -> None:
        self._effort = effort
        self._caller = caller
        self._began = 0.0

    def __enter__(self) -> None:
        self._effort.check(self._caller)
        self._began = self._effort.clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._effort.settle(self._caller, self._effort.clock() - self._began, failed=kind is not None)
