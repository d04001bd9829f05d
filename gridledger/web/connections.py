"""The connections of a server: a bounded table, in which a newcomer takes the place of whoever holds most.

A connection belongs to its remote address until a request on it has named its caller, and to that caller from then on.
When the table is full, the newcomer is taken and another connection ended: one that belongs to the address or caller
with the most connections, there the oldest that serves nothing. A request that is being served for a known caller is
cut off only where all are, and only the newest of a caller that has more than its part of the table and than the
newcomer; else the newcomer is refused. So whoever connects with few connections is served
however many silent ones somebody else opens, and one client alone may have all places.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

_SCANNED = 64
"""Connections of one holder that are looked at for an idle one."""


class Connection:
    """One accepted connection. ``end`` drops it at once; ``serving`` says that an answer is being made."""

    __slots__ = ("end", "holder", "identified", "serving")

    def __init__(self, address: str, end: Callable[[], None]) -> None:
        self.holder: Hashable = address
        self.end = end
        self.identified = False
        self.serving = False


class Connections:
    """At most ``most`` connections, by their holders."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.ended = 0
        self._held: dict[Hashable, dict[Connection, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Connection) -> bool:
        """Take a connection, in the place of another one if need be; False where there is no place for it."""
        if self._count >= self.most and not self.end_one() and not self._end_busy(connection.holder):
            return False
        self._held.setdefault(connection.holder, {})[connection] = None
        self._count += 1
        return True

    def identify(self, connection: Connection, caller: Hashable) -> None:
        """Say whose connection this is: known from its first request on."""
        connection.identified = True
        if self._take_out(connection):
            connection.holder = caller
            self._held.setdefault(caller, {})[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed. One that was ended is forgotten already."""
        if self._take_out(connection):
            self._count -= 1

    def end_one(self) -> bool:
        """End the oldest idle connection of whoever holds most; False where all are busy."""
        if not self._held:
            return False
        found = _idle(max(self._held.values(), key=len))
        if found is None:
            fewer = sorted(self._held.values(), key=len, reverse=True)
            found = next(filter(None, map(_idle, fewer)), None)
        if found is None:
            return False
        self._end(found)
        return True

    def _end_busy(self, newcomer: Hashable) -> bool:
        richest = max(self._held.values(), key=len)
        if len(richest) <= max(self.most / (len(self._held) + 1), len(self._held.get(newcomer, ())) + 1):
            return False
        self._end(next(reversed(richest)))
        return True

    def _end(self, connection: Connection) -> None:
        self.remove(connection)
        self.ended += 1
        connection.end()

    def _take_out(self, connection: Connection) -> bool:
        held = self._held.get(connection.holder)
        if held is None or connection not in held:
            return False
        del held[connection]
        if not held:
            del self._held[connection.holder]
        return True


def _idle(held: dict[Connection, None]) -> Connection | None:
    """The oldest that serves nobody who is known."""
    for _, connection in zip(range(_SCANNED), held, strict=False):
        if not connection.serving or not connection.identified:
            return connection
    return None
