"""Which light node of the network speaks for which device of the story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gridledger.errors import SettingsError
from services.case.replay.story import Device


def devices_of_nodes(devices: Iterable[Device], sections: Mapping[str, Sequence[str]]) -> dict[str, list[Device]]:
    """The devices of each light node. ``sections``: the light nodes of each section, in order.

    A section's first node has its relays, the last one the others: so one of them can be down, and the others' events
    go on. Raises :class:`SettingsError` for a section without a light node.
    """
    found: dict[str, list[Device]] = {name: [] for names in sections.values() for name in names}
    for device in devices:
        nodes = sections.get(device.section)
        if not nodes:
            raise SettingsError(f"the network has no light node in {device.section}, where the story has devices")
        found[nodes[0] if device.type == "relay" else nodes[-1]].append(device)
    return found


def settings_of(
    devices: Sequence[Device], sources: Mapping[str, list[dict[str, Any]]] | None = None
) -> list[dict[str, Any]]:
    """Devices as a light node's settings have them; ``sources`` by device, where it reads any."""
    return [
        {
            "device": each.device,
            "type": each.type,
            "section": each.section,
            "site": each.site,
            "vendor": each.vendor,
            "model": each.model,
            "sources": (sources or {}).get(each.device, []),
        }
        for each in devices
    ]
