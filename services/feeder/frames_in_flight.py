"""Frames that are on their way, by the group that they measure, and the longest time that a group went without one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from gridledger.grid.grouping import components


class FramesInFlight:
    """The tasks that send frames. A frame of a merged group is one of each of its components."""

    def __init__(self) -> None:
        self._names: dict[asyncio.Task[None], str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(tuple(self._names))

    def add(self, name: str, task: asyncio.Task[None]) -> None:
        """Note a frame of a single or merged group until its task ends."""
        self._names[task] = name
        task.add_done_callback(lambda ended: self._names.pop(ended, None))

    async def ended(self, group: str, within_s: float) -> bool:
        """Wait until no frame of a single group is on its way; False where that takes longer than ``within_s``."""
        waiting = [task for task, name in self._names.items() if group in components(name)]
        if not waiting:
            return True
        _, late = await asyncio.wait(waiting, timeout=within_s)
        return not late


class Gaps:
    """The longest time between two commits of each single group's frames. Times are of one clock, in seconds.

    ``missed`` counts the frames that were not sent because their group was being moved.
    """

    def __init__(self) -> None:
        self.longest_s: dict[str, float] = {}
        self.missed: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def committed(self, name: str, at_s: float) -> None:
        """Note the commit of a frame of a single or merged group."""
        for group in components(name):
            gap = at_s - self._last.get(group, at_s)
            self.longest_s[group] = max(gap, self.longest_s.get(group, 0.0))
            self._last[group] = at_s
