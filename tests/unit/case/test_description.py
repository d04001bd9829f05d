"""network-config/forensics.yaml: three cities, of which any one can be lost."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from gridledger.network.companions import settings_of
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.protocol.config_policies import ChannelPolicies, Membership, organisation_policies
from services.anchor.settings import AnchorSettings
from services.case.serving.settings import DeskSettings
from services.lightnode.settings import LightNodeSettings
from tests.support.processes import REPOSITORY

CITIES = ("kyiv", "severodonetsk", "lviv")
ALL = {"Kyiv", "Severodonetsk", "Lviv", "Authority"}
MEMBERS = {
    "general": ALL | {"Investigators"},
    "devices": ALL,
    "access": ALL,
    "section-plant": {"Severodonetsk", "Kyiv", "Authority"},
    "section-transmission": {"Kyiv", "Lviv", "Authority"},
    "section-home": {"Lviv", "Kyiv", "Authority"},
}


@pytest.fixture(scope="module")
def config() -> NetworkConfig:
    return load_network_config(REPOSITORY / "network-config/forensics.yaml")


def without(config: NetworkConfig, lost: Collection[str], channel: str, text: str) -> bool:
    """Whether a policy can be met on a channel by the peers whose names have none of these cities in them."""
    kinds = {config.mspid(one): config.kind_of(one) for one in config.members_of(channel)}
    members = {mspid: Membership(kind, organisation_policies(mspid, kind)) for mspid, kind in kinds.items()}
    policy = ChannelPolicies(config.channels[channel].all_policies, members).endorsement(text)
    left = [config.peer(peer) for peer in config.channels[channel].peers if not any(city in peer for city in lost)]
    return policy.satisfied_by([(config.mspid(peer.organisation), "peer") for peer in left])


def test_channels_have_the_organisations_that_are_concerned(config: NetworkConfig) -> None:
    assert {name: set(config.members_of(name)) - {"Orderer"} for name in config.channels} == MEMBERS
    assert [peer.port for peer in config.peers] == [7151, 7152, 7153, 7154]


def test_each_city_has_an_orderer_and_a_peer(config: NetworkConfig) -> None:
    assert [orderer.name for orderer in config.orderers] == [f"orderer-{city}" for city in CITIES]
    assert {peer.name for peer in config.peers} == {*(f"peer-{city}" for city in CITIES), "peer-authority"}


@pytest.mark.parametrize("city", CITIES)
def test_every_chaincode_can_be_endorsed_with_one_city_lost_and_none_with_two(city: str, config: NetworkConfig) -> None:
    for name, channel in config.channels.items():
        for spec in channel.chaincodes.values():
            assert without(config, [city], name, spec.policy), name
            others = [one for one in CITIES if one != city]
            on_it = [one for one in others if f"peer-{one}" in channel.peers]
            assert without(config, others, name, spec.policy) == (len(on_it) < 2), name


def test_what_applications_name_is_there(config: NetworkConfig) -> None:
    forensics, anchors = config.applications["forensics"], config.applications["anchors"]
    named = {
        (forensics["channel"], forensics["chaincode"]),
        *((one["channel"], one["chaincode"]) for one in (forensics["devices"], forensics["access"], anchors)),
        *forensics["sections"].items(),
    }
    deployed = {(name, chaincode) for name, channel in config.channels.items() for chaincode in channel.chaincodes}
    assert deployed == named
    assert {forensics["authority"], forensics["investigators"]} <= {one.name for one in config.organisations}


def test_each_section_has_two_light_nodes_of_an_organisation_with_a_peer_on_it(config: NetworkConfig) -> None:
    nodes = [one for one in config.companions if one.kind == "lightnode"]
    assert [one.port for one in nodes] == [5300, 5301, 5302, 5303, 5304, 5305]
    sections = []
    for one in nodes:
        settings = LightNodeSettings(**settings_of(config, one))
        (section,) = {device.section for device in settings.devices}
        (identity,) = one.all_identities
        assert identity.attributes["forensics.role"] == "lightnode"
        assert identity.organisation in config.members_of(section)
        assert identity.organisation in {config.peer(peer).organisation for peer in config.channels[section].peers}
        sections.append(section)
    assert sorted(sections) == sorted([*config.applications["forensics"]["sections"]] * 2)


def test_each_organisation_with_a_peer_has_an_agent(config: NetworkConfig) -> None:
    agents = [one for one in config.companions if one.kind == "anchor"]
    assert [one.port for one in agents] == [5350, 5351, 5352, 5353]
    assert {one.all_identities[0].organisation for one in agents} == {peer.organisation for peer in config.peers}
    for one in agents:
        assert one.attributes == {"anchor.role": "agent", "forensics.role": "agent"}
        AnchorSettings(**settings_of(config, one))


def test_the_authority_has_a_desk_beside_its_peer_on_every_channel(config: NetworkConfig) -> None:
    (desk,) = [one for one in config.companions if one.kind == "case-desk"]
    assert (desk.name, desk.port, desk.application) == ("desk", 5390, "forensics")
    (identity,) = desk.all_identities
    assert identity.organisation == config.applications["forensics"]["authority"]
    DeskSettings(**settings_of(config, desk))
    (peer,) = [one.name for one in config.peers if one.organisation == identity.organisation]
    assert all(peer in channel.peers for channel in config.channels.values())


def test_devices_have_names_of_their_own(config: NetworkConfig) -> None:
    nodes = [one for one in config.companions if one.kind == "lightnode"]
    names = [device["device"] for one in nodes for device in one.settings["devices"]]
    assert len(names) == len(set(names)) > 0
