"""The layout of the application ``dvs`` on a network: which channel serves which group."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from gridledger.errors import SettingsError

OTHERS: Final = "others"
"""The member of a mapping of ``groups`` that lists the channels of all groups that it does not name."""

GROUP_ID: Final = re.compile(r"[1-9][0-9]{0,5}")
"""A single group's id."""


class DescribedNetwork(Protocol):
    """What a layout is read from: the part of a connection profile that names channels and applications."""

    @property
    def name(self) -> str: ...
    @property
    def channels(self) -> Mapping[str, Any]: ...
    @property
    def applications(self) -> Mapping[str, Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Group n runs on ``groups[(n - 1) % len(groups)]``, or where ``placed`` says; merges run on ``main``.

    By channel, where the description says so: ``planners`` is the MSP whose planner's records count there,
    ``aggregators`` are the MSPs of the aggregators of its groups.
    """

    main: str
    groups: Sequence[str]
    chaincode: str = "dvs"
    planners: Mapping[str, str] = field(default_factory=dict)
    aggregators: Mapping[str, Sequence[str]] = field(default_factory=dict)
    placed: Mapping[str, str] = field(default_factory=dict)

    def channel_of(self, group: str) -> str:
        """The channel of a single group; that of a merged one is the main channel."""
        if "_" in group:
            return self.main
        return self.placed.get(group) or self.groups[(int(group) - 1) % len(self.groups)]

    def placing(self, channels: Mapping[str, str]) -> Layout:
        """The same with some single groups on the channels given."""
        return replace(self, placed={**self.placed, **channels})

    def channels_using(self, group: str) -> tuple[str, ...]:
        """The channels that need the record of a group: its own, and the main channel."""
        return tuple(dict.fromkeys((self.channel_of(group), self.main)))

    def naming_msps(self, channel: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """A group's record as it is submitted on a channel: it names the MSPs of its planner and its aggregators.

        A merged group has those of its components and names none.
        """
        group = record["id"]
        if "_" in group:
            return dict(record)
        planner, aggregators = self.planners.get(channel), self.aggregators.get(self.channel_of(group))
        return {
            **record,
            **({"planner_msp": planner} if planner else {}),
            **({"aggregator_msps": list(aggregators)} if aggregators else {}),
        }

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel, once; also those with aggregators on which no group runs any more."""
        return tuple(dict.fromkeys((self.main, *self.groups, *self.placed.values(), *self.aggregators)))


def layout_of(profile: DescribedNetwork) -> Layout:
    """The layout that the network's description gives; :class:`SettingsError` where it gives none that can be used."""
    try:
        described = profile.applications["dvs"]
        in_turn, placed = groups_described(described["groups"])
        planners, aggregators = described.get("planners", {}), described.get("aggregators", {})
        layout = Layout(
            described["main"],
            in_turn,
            described["chaincode"],
            dict(planners),
            {channel: tuple(msps) for channel, msps in aggregators.items()},
            placed,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SettingsError(
            f"the network {profile.name} does not say where dvs runs: its description needs "
            "applications: {dvs: {chaincode: ..., main: ..., groups: [...]}}"
        ) from None
    if not layout.groups:
        raise SettingsError(f"applications.dvs of the network {profile.name} names no channel for groups")
    if unknown := [group for group in placed if not GROUP_ID.fullmatch(group)]:
        raise SettingsError(
            f"applications.dvs.groups of the network {profile.name} names {unknown[0]!r}, which is no single group's id"
        )
    named = dict.fromkeys((*layout.channels, *layout.planners, *layout.aggregators))
    missing = [channel for channel in named if channel not in profile.channels]
    if missing:
        raise SettingsError(
            f"applications.dvs of the network {profile.name} names channels that it does not have: {', '.join(missing)}"
        )
    return layout


def groups_described(groups: Any) -> tuple[tuple[str, ...], dict[str, str]]:
    """What ``applications.dvs.groups`` says: the channels that groups take in turn, and where single groups run.

    It is a list of channels, or a mapping of group ids to channels with the list under ``others``. Raises KeyError,
    TypeError where it is neither.
    """
    if not isinstance(groups, Mapping):
        return tuple(groups), {}
    placed = {str(group): str(channel) for group, channel in groups.items() if group != OTHERS}
    return tuple(groups[OTHERS]), placed


def describe_groups(layout: Layout) -> list[str] | dict[str, Any]:
    """The inverse of :func:`groups_described`: only the groups are named that would run elsewhere in turn."""
    in_turn = replace(layout, placed={})
    moved = {group: channel for group, channel in layout.placed.items() if in_turn.channel_of(group) != channel}
    return {OTHERS: list(layout.groups), **moved} if moved else list(layout.groups)
