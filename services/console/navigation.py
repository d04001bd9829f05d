"""The pages that stand in the head of every page: an application's where a channel that somebody here reads has it."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.console.applications import APPLICATIONS, GRID, places
from services.console.viewers import Viewers


class Item(NamedTuple):
    """A page: its name, and its address."""

    name: str
    href: str


_GRID: Final = (Item("Grid", "/grid"), Item("Alarms", "/alarms"))
_EVERYWHERE: Final = (
    Item("Network", "/network"),
    Item("Channels", "/channels"),
    Item("Benchmark", "/benchmark"),
)


def navigation(viewers: Viewers) -> tuple[Item, ...]:
    """The pages that are shown to these viewers."""
    there = (Item(one.title, one.href) for one in APPLICATIONS if places(viewers, one))
    return (*(_GRID if places(viewers, GRID) else ()), *_EVERYWHERE, *there)
