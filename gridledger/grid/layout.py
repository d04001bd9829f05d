"""The layout of the application ``dvs`` on a network: which channel serves which group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """Group n runs on ``groups[(n - 1) % len(groups)]``; merges run on ``main``."""

    main: str
    groups: Sequence[str]
    chaincode: str = "dvs"

    def channel_of(self, group: str) -> str:
        """The channel of a single group; that of a merged one is the main channel."""
        if "_" in group:
            return self.main
        return self.groups[(int(group) - 1) % len(self.groups)]

    def channels_using(self, group: str) -> tuple[str, ...]:
        """The channels that need the record of a group: its own, and the main channel."""
        return tuple(dict.fromkeys((self.channel_of(group), self.main)))

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel, once."""
        return tuple(dict.fromkeys((self.main, *self.groups)))


def layout_of(profile: DescribedNetwork) -> Layout:
    """The layout that the network's description gives; :class:`SettingsError` where it gives none that can be used."""
    try:
        described = profile.applications["dvs"]
        layout = Layout(described["main"], tuple(described["groups"]), described["chaincode"])
    except (KeyError, TypeError):
        raise SettingsError(
            f"the network {profile.name} does not say where dvs runs: its description needs "
            "applications: {dvs: {chaincode: ..., main: ..., groups: [...]}}"
        ) from None
    if not layout.groups:
        raise SettingsError(f"applications.dvs of the network {profile.name} names no channel for groups")
    missing = [channel for channel in layout.channels if channel not in profile.channels]
    if missing:
        raise SettingsError(
            f"applications.dvs of the network {profile.name} names channels that it does not have: {', '.join(missing)}"
        )
    return layout
