"""A limit on guessing secrets: per address, a few wrong ones at once and then one every so many seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

MAX_SOURCES = 10_000
"""Addresses that are remembered; beyond, the one whose last wrong secret is the longest ago is forgotten."""

_NETWORK_BYTES = 8
_LOOK_AGAIN_S = 1.0


class Throttle:
    """Wrong secrets by source: ``burst`` at most, one more every ``refill_s``. Safe between threads.

    The source is the address that asks, whichever id it asks for: whoever guesses holds up nobody but himself, and
    learns nothing of which ids there are. A try takes its place before the secret is looked at, so that a thousand
    tries at once get no further than the same thousand one by one; the right secret gives it back.
    """

    def __init__(self, burst: int, refill_s: float, clock_s: Callable[[], float]) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._clock_s = clock_s
        self._changed = threading.Condition()
        self._spent: dict[str, tuple[float, float]] = {}
        self._trying: dict[str, int] = {}

    def begin(self, source: str) -> float:
        """Begin a try: 0.0 where it may be made (then call :meth:`end`), else in how many seconds one may be.

        Waits while so many tries of the source are under way that one more could be too many; each ends soon.
        """
        with self._changed:
            while (spent := self._current(source)) + 1 <= self._burst:
                trying = self._trying.get(source, 0)
                if spent + trying + 1 <= self._burst:
                    self._trying[source] = trying + 1
                    return 0.0
                self._changed.wait(_LOOK_AGAIN_S)
            return (spent + 1 - self._burst) * self._refill_s

    def end(self, source: str, *, right: bool) -> None:
        """A try that was begun is over."""
        with self._changed:
            trying = self._trying.pop(source) - 1
            if trying:
                self._trying[source] = trying
            if not right:
                spent = self._current(source) + 1
                self._spent.pop(source, None)
                if len(self._spent) >= MAX_SOURCES:
                    del self._spent[next(iter(self._spent))]
                self._spent[source] = (spent, self._clock_s())
            self._changed.notify_all()

    def _current(self, source: str) -> float:
        now = self._clock_s()
        spent, since = self._spent.get(source, (0.0, now))
        return max(0.0, spent - (now - since) / self._refill_s)


def source_of(host: str | None) -> str:
    """Whom an address stands for: an IPv4 address for itself, an IPv6 address for its network of 64 bits, whose other
    addresses its holder has too."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{address.packed[:_NETWORK_BYTES].hex()}::/64"
        address = address.ipv4_mapped
    return str(address)
