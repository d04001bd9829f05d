"""Shares: a bounded number of places (requests, streams, bytes, waiters), shared by callers.

A caller is (organisation, name): the MSP id and the subject of its certificate, so that enrolling again gives no second
share. Of a pool of ``total`` places the last ``kept`` are kept for those who hold little.

- An organisation's share is ``total / (organisations + 1)``, a caller's is its organisation's share divided by
  ``callers of it + 1``. Counted are those that hold places now and the one who asks; the one more is whoever comes
  next. A caller with no place is below its share, however small that is.
- While ``kept`` places are free beside those asked for, everybody gets them: one caller alone may have
  ``total - kept``.
- Beyond that, only a caller that is below its share gets places, and of the last half of ``kept`` only one whose
  organisation is below its own share as well.

So more than ``total`` are never out. Whoever is below its share is refused only if its organisation is not and at
most half of ``kept`` is left, or if nothing is left at all. And what a caller above its share gives back while few
places are left, neither it nor anybody else above theirs gets again: it goes to those below, until each of them has
its share. Places are not taken away, with one exception: a place that was taken with ``end`` may be, where a caller
below its share would be refused. It is taken from the organisation, and in it the caller, that hold most, and only
where that caller is above its share, and that organisation is the asking caller's own or holds more than it would
then.

Everything is O(1) but the choice of a place to end, which looks at all holders. Use a pool in one event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gridledger.errors import BusyError

Caller: TypeAlias = tuple[str, str]
"""Organisation and name."""

NOBODY: Caller = ("", "")
"""Whoever is not told from others."""

KEPT_PART = 8
"""The part of a pool that is kept: one place in so many."""

SMALL_BYTES = 64 * 1024
"""Bytes up to here are not counted for each request, call or stream: the bounds on these bound them."""

_MAX_REMEMBERED = 4096
"""Callers without a place that are remembered, to spare making their entries anew."""


class _Organisation:
    __slots__ = ("callers", "held")

    def __init__(self) -> None:
        self.held = 0
        self.callers = 0


class Holder:
    """What one caller holds of one pool."""

    __slots__ = ("caller", "ends", "held", "organisation", "pool")

    def __init__(self, pool: Pool, caller: Caller, organisation: _Organisation) -> None:
        self.pool = pool
        self.caller = caller
        self.organisation = organisation
        self.held = 0
        self.ends: dict[Callable[[], None], None] = {}
        """Tells those who have its places that may be taken back, the oldest first."""

    def give(self, amount: int = 1, *, end: Callable[[], None] | None = None) -> None:
        """Give places back. One that was taken with ``end`` is given with it: it may be taken back already."""
        if end is not None:
            if end not in self.ends:
                return
            del self.ends[end]
        pool, organisation = self.pool, self.organisation
        pool.used -= amount
        organisation.held -= amount
        self.held -= amount
        if not self.held:
            organisation.callers -= 1
            if not organisation.callers:
                pool.present -= 1


class Pool:
    """Places of one kind. ``what`` names them in errors ("requests"); ``retry_after_s`` is told to who is refused."""

    __slots__ = ("_holders", "_kept", "_open", "_organisations", "present", "retry_after_s", "total", "used", "what")

    def __init__(self, what: str, total: int, *, retry_after_s: float) -> None:
        self.what = what
        self.retry_after_s = retry_after_s
        self.used = 0
        self.present = 0
        """How many organisations hold places."""
        self._holders: dict[Caller, Holder] = {}
        self._organisations: dict[str, _Organisation] = {}
        self.total = self._kept = self._open = 0
        self.resize(total)

    def resize(self, total: int) -> None:
        """Have another total from now on; nobody loses a place."""
        self.total = total
        self._kept = total // KEPT_PART if total >= KEPT_PART else total // 4
        self._open = total - self._kept

    def take(self, caller: Caller, amount: int = 1, *, end: Callable[[], None] | None = None) -> Holder:
        """Take ``amount`` places; the holder, with which they are given back. Raises :class:`BusyError`.

        ``end`` lets the pool take the place back: it is then called, once, and must end soon what has the place.
        """
        holder = self._holders.get(caller) or self._enter(caller)
        if self.used + amount > self._open and not self._allows(holder, amount) and not self._make_room(holder, amount):
            raise self._refusal(holder)
        if not holder.held:
            organisation = holder.organisation
            if not organisation.callers:
                self.present += 1
            organisation.callers += 1
        holder.held += amount
        holder.organisation.held += amount
        self.used += amount
        if end is not None:
            holder.ends[end] = None
        return holder

    def held_by(self, caller: Caller) -> int:
        """How many places a caller has."""
        holder = self._holders.get(caller)
        return holder.held if holder is not None else 0

    def holder(self, caller: Caller) -> Holder | None:
        """What a caller has, None where it has no place."""
        holder = self._holders.get(caller) if self.used else None
        return holder if holder is not None and holder.held else None

    def _enter(self, caller: Caller) -> Holder:
        if len(self._holders) >= _MAX_REMEMBERED:
            self._holders = {known: holder for known, holder in self._holders.items() if holder.held}
            self._organisations = {holder.caller[0]: holder.organisation for holder in self._holders.values()}
        organisation = self._organisations.get(caller[0])
        if organisation is None:
            organisation = self._organisations[caller[0]] = _Organisation()
        holder = self._holders[caller] = Holder(self, caller, organisation)
        return holder

    def _shares(self, organisation: _Organisation, *, asking: Holder | None = None) -> tuple[float, float]:
        """The shares of an organisation and of each caller in it; ``asking`` counts although it holds nothing yet."""
        comes = asking is not None and not asking.held
        organisations = self.present + (comes and not organisation.callers)
        share = self.total / (organisations + 1)
        return share, share / (organisation.callers + comes + 1)

    def _allows(self, holder: Holder, amount: int) -> bool:
        """Whether the law lets this caller have some of the kept places."""
        left = self.total - self.used - amount
        if left < 0:
            return False
        of_organisation, of_caller = self._shares(holder.organisation, asking=holder)
        if holder.held and holder.held + amount > of_caller:
            return False
        organisation = holder.organisation
        below = not organisation.held or organisation.held + amount <= of_organisation
        return below or left >= self._kept // 2

    def _make_room(self, holder: Holder, amount: int) -> bool:
        """End a place of whoever holds most, if that is above its share and the one who asks is below."""
        of_caller = self._shares(holder.organisation, asking=holder)[1]
        if amount != 1 or (holder.held and holder.held + amount > of_caller):
            return False
        endable = [other for other in self._holders.values() if other.ends]
        if not endable:
            return False
        richest = max(endable, key=lambda other: (other.organisation.held, other.held))
        if richest.held <= self._shares(richest.organisation)[1] or richest.held <= holder.held + amount:
            return False
        mine, theirs = holder.organisation, richest.organisation
        if mine is not theirs and theirs.held <= mine.held + amount:
            return False
        end = next(reversed(richest.ends))
        richest.give(end=end)
        end()
        return True

    def _refusal(self, holder: Holder) -> BusyError:
        return BusyError(
            f"{self.used} {self.what} of at most {self.total} are under way here, {holder.held} of them yours; "
            "try again later",
            retry_after_s=self.retry_after_s,
        )


class HeldBytes:
    """What one request, call or stream makes this process hold, counted in a pool of bytes beyond ``SMALL_BYTES``."""

    __slots__ = ("_caller", "_held", "_holder", "_pool")

    def __init__(self, pool: Pool, caller: Caller) -> None:
        self._pool = pool
        self._caller = caller
        self._held = 0
        self._holder: Holder | None = None

    def hold(self, size: int) -> None:
        """Hold so many bytes from now on; :class:`BusyError` where the caller has no share for more."""
        # One that is larger than half of the pool is let through where half is to be had.
        more = (min(size, self._pool.total // 2) if size > SMALL_BYTES else 0) - self._held
        if more > 0:
            self._holder = self._pool.take(self._caller, more)
        elif more and self._holder is not None:
            self._holder.give(-more)
        self._held += more
