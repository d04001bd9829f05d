"""The layout of the application ``dvs`` on a network: which channel serves which group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gridledger.errors import SettingsError


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
    """Group n runs on ``groups[(n - 1) % len(groups)]``; merges run on ``main``.

    By channel, where the description says so: ``planners`` is the MSP whose planner's records count there,
    ``aggregators`` are the MSPs of the aggregators of its groups.
    """

    main: str
    groups: Sequence[str]
    chaincode: str = "dvs"
    planners: Mapping[str, str] = field(default_factory=dict)
    aggregators: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def channel_of(self, group: str) -> str:
        """The channel of a single group; that of a merged one is the main channel."""
        if "_" in group:
            return self.main
        return self.groups[(int(group) - 1) % len(self.groups)]

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
        """Every channel, once."""
        return tuple(dict.fromkeys((self.main, *self.groups)))


def layout_of(profile: DescribedNetwork) -> Layout:
    """The layout that the network's description gives; :class:`SettingsError` where it gives none that can be used."""
    try:
        described = profile.applications["dvs"]
        planners, aggregators = described.get("planners", {}), described.get("aggregators", {})
        layout = Layout(
            described["main"],
            tuple(described["groups"]),
            described["chaincode"],
            dict(planners),
            {channel: tuple(msps) for channel, msps in aggregators.items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SettingsError(
            f"the network {profile.name} does not say where dvs runs: its description needs "
            "applications: {dvs: {chaincode: ..., main: ..., groups: [...]}}"
        ) from None
    if not layout.groups:
        raise SettingsError(f"applications.dvs of the network {profile.name} names no channel for groups")
    named = dict.fromkeys((*layout.channels, *layout.planners, *layout.aggregators))
    missing = [channel for channel in named if channel not in profile.channels]
    if missing:
        raise SettingsError(
            f"applications.dvs of the network {profile.name} names channels that it does not have: {', '.join(missing)}"
        )
    return layout
