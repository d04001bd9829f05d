"""Which light node speaks for which device of the story."""

from __future__ import annotations

import pytest

from gridledger.errors import SettingsError
from gridledger.network.schema import load_network_config
from services.case.demonstration.casting import devices_of_nodes, settings_of
from services.case.demonstration.demo import NETWORK, sections_of
from services.case.replay.centres import cast


def test_each_device_of_the_story_has_one_light_node_of_its_section() -> None:
    sections = sections_of(load_network_config(NETWORK))
    found = devices_of_nodes(cast().devices.values(), sections)
    told = [each.device for devices in found.values() for each in devices]
    assert sorted(told) == sorted(cast().devices)
    for section, nodes in sections.items():
        assert all(each.section == section for name in nodes for each in found[name])
        assert len(nodes) == 2
        assert {each.type for each in found[nodes[0]]} == {"relay"}
        assert "relay" not in {each.type for each in found[nodes[1]]}


def test_devices_are_settings_of_a_light_node() -> None:
    device = cast().devices["breaker-kyiv-01"]
    (told,) = settings_of([device])
    assert told["device"] == "breaker-kyiv-01"
    assert told["type"] == "relay"
    assert told.keys() == {"device", "type", "section", "site", "vendor", "model", "sources"}


def test_a_section_without_a_light_node_is_told() -> None:
    with pytest.raises(SettingsError, match="no light node in section-plant"):
        devices_of_nodes(cast().devices.values(), {"section-transmission": ["a"], "section-home": ["b"]})
