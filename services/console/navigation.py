"""The pages that stand in the head of every page."""

from __future__ import annotations

from typing import Final, NamedTuple


class Item(NamedTuple):
    """A page: its name, and its address."""

    name: str
    href: str


NAVIGATION: Final = (
    Item("Grid", "/grid"),
    Item("Alarms", "/alarms"),
    Item("Network", "/network"),
    Item("Channels", "/channels"),
    Item("Benchmark", "/benchmark"),
)
