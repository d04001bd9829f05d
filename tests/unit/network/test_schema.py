"""network-config: the files we ship, and what is refused by what words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gridledger.errors import SettingsError
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.protocol.config_policies import default_policies

SHIPPED = Path(__file__).resolve().parents[3] / "network-config"


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("three-shards", {"mainchain": 6, "shard1": 2, "shard2": 2, "shard3": 2}),
        ("two-shards", {"mainchain": 6, "shard1": 3, "shard2": 3}),
        ("no-shard", {"grid": 6}),
    ],
)
def test_the_topologies_of_the_thesis(name: str, channels: dict[str, int]) -> None:
    config = load_network_config(SHIPPED / f"{name}.yaml")
    assert config.name == name
    assert {channel: len(spec.peers) for channel, spec in config.channels.items()} == channels
    assert len(config.orderers) == 3
    assert len({peer.organisation for peer in config.peers}) == 6
    application = config.applications["dvs"]
    assert {application["main"], *application["groups"]} == set(channels)
    mspids = {channel: {config.mspid(config.peer(peer).organisation) for peer in config.channels[channel].peers}
              for channel in channels}  # fmt: skip
    assert application["planners"].keys() == set(channels)
    assert all(mspid in mspids[channel] for channel, mspid in application["planners"].items())
    assert {name: set(named) for name, named in application["aggregators"].items()} == {
        channel: mspids[channel] for channel in application["groups"]
    }


@pytest.mark.parametrize(("name", "relay", "count"), [("substation", "rele1", 4), ("substation-15", "rele1-15", 15)])
def test_a_substation_and_its_relay_name_the_same_servers(name: str, relay: str, count: int) -> None:
    config = load_network_config(SHIPPED / f"{name}.yaml")
    record = yaml.safe_load((SHIPPED / "relays" / f"{relay}.yaml").read_text(encoding="utf-8"))
    simulator, *servers = config.services_of("relay")
    assert record["servers"] == [
        {"id": spec.settings["server"], "mspid": config.mspid(spec.organisations[0])} for spec in servers
    ]
    assert [spec.attributes["relay.server"] for spec in servers] == [str(5004 + number) for number in range(count)]
    assert record["quorum"] == count // 2 + 1
    assert record["address"] == config.url(simulator)
    assert record["utc_offsets"] == simulator.settings["utc_offsets"]
    assert {peer.organisation for peer in config.peers} == {spec.organisations[0] for spec in servers}
    assert config.kind_of("Customers") == "observer"
    assert "Customers" in config.members_of("substation")


def test_an_organisation_is_of_the_kind_that_its_nodes_are() -> None:
    config = load_network_config(SHIPPED / "no-shard.yaml")
    assert {item.name: config.kind_of(item.name) for item in config.organisations} == {
        "Orderer": "orderer",
        **{f"Org{number}": "application" for number in range(1, 7)},
    }


def test_the_control_room_reads_all_channels_of_three_shards() -> None:
    config = load_network_config(SHIPPED / "three-shards.yaml")
    assert config.kind_of("ControlRoom") == "observer"
    assert all("ControlRoom" in config.members_of(channel) for channel in config.channels)
    assert config.members_of("shard1") == ["Orderer", "Org1", "Org2", "ControlRoom"]


def test_an_organisation_without_a_peer_is_a_member_where_a_channel_names_it() -> None:
    channels = {"grid": {"peers": ["peer1"], "organisations": ["Org2"]}}
    config = NetworkConfig.model_validate(changed(channels=channels))
    assert config.members_of("grid") == ["Orderer", "Org1", "Org2"]


def with_kind(organisation: str, kind: str) -> dict[str, object]:
    """The organisations, one of which says of which kind it is."""
    members = yaml.safe_load((SHIPPED / "no-shard.yaml").read_text())["organisations"]
    return {"organisations": [{**item, **({"kind": kind} if item["name"] == organisation else {})} for item in members]}


def test_policies_take_the_place_of_the_default_ones() -> None:
    config = NetworkConfig.model_validate(changed(channels=with_policies(Application={"Admins": "any.admin"})))
    policies = config.channels["grid"].all_policies
    assert policies["Application"]["Admins"] == "any.admin"
    assert policies["Application"]["Readers"] == "ANY Readers"
    assert policies["Channel"] == default_policies()["Channel"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"policies": {"Others": {"Readers": "any.member"}}}, r"no policies \['Readers'\] of 'Others'; there are"),
        ({"policies": {"Observer": {"Writers": "any.member"}}}, r"no policies \['Writers'\] of 'Observer'"),
        ({"policies": {"Channel": {"Readers": "OutOf("}}}, "channel grid, policy /Channel/Readers: policy, character"),
        ({"policies": {"admins": "any.admin"}}, "policies.admins: Input should be a valid dictionary"),
        ({"acls": {"peer/Dance": "/Channel/Readers"}}, "'acls' names 'peer/Dance', which no node asks about"),
        ({"acls": {"peer/Propose": "/Channel/Kings"}}, "gives peer/Propose the policy '/Channel/Kings'"),
    ],
)
def test_policies_that_no_channel_has_are_refused(tmp_path: Path, members: dict[str, object], says: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(changed(channels={"grid": {"peers": ["peer1"], **members}})))
    with pytest.raises(SettingsError, match=says):
        load_network_config(path)


def test_ports_move_together() -> None:
    config = load_network_config(SHIPPED / "three-shards.yaml")
    moved = config.with_port_offset(1000)
    assert moved.ca.port == config.ca.port + 1000
    assert [node.port - 1000 for node in moved.peers] == [node.port for node in config.peers]


def changed(**members: object) -> dict[str, object]:
    return {**yaml.safe_load((SHIPPED / "no-shard.yaml").read_text()), **members}


def with_policies(**groups: dict[str, str]) -> dict[str, object]:
    return {"grid": {"peers": ["peer1"], "policies": groups}}


def with_policy(policy: str) -> dict[str, object]:
    """A channel of one peer, with a chaincode under this policy."""
    return {"channels": {"grid": {"peers": ["peer1"], "chaincodes": {"x": {"path": "x", "policy": policy}}}}}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"peers": [{"name": "peer1", "organisation": "Nobody", "port": 1}]}, "no organisation 'Nobody'"),
        ({"peers": [{"name": "peer1", "organisation": "Orderer", "port": 1}]}, "an organisation of their own"),
        (with_kind("Org1", "observer"), "Org1 has the peer peer1 and is of the kind 'observer'"),
        (with_kind("Orderer", "application"), "Orderer has the orderer orderer1 and is of the kind 'application'"),
        ({"channels": {"grid": {"peers": ["peer1"], "readers": ["Org2"]}}}, "its readers are of the kind 'observer'"),
        ({"channels": {"grid": {"peers": ["peer1"], "readers": ["Org9"]}}}, r"no organisations \['Org9'\]"),
        ({"channels": {"grid": {"peers": ["peer1"], "organisations": ["Orderer"]}}}, "and Orderer is not"),
        ({"channels": {"grid": {"peers": ["peer9"]}}}, r"no peers \['peer9'\]"),
        ({"channels": {"grid": {"peers": ["peer1", "peer1"]}}}, "peer1 comes twice"),
        ({"ca": {"port": 7050}}, "port 7050 comes twice"),
        ({"surprise": 1}, "surprise"),
        ({"channels": {"grid": {"peers": ["peer1"], "batch": {"surprise": 1}}}}, r"channels.grid.batch.surprise"),
        ({"channels": {"grid": {"peers": ["peer1"], "limits": {"proposal_window_s": "x"}}}}, "proposal_window_s"),
        ({"channels": {}}, "channels"),
        (with_policy("OutOf(2, all)"), "chaincode x"),
        (
            with_policy("'Org9MSP.peer'"),
            "used: channel grid, chaincode x: the policy 'Org9MSP.peer' names Org9MSP, which is not on grid",
        ),
        (
            with_policy("'Org1MSP.admin'"),
            "chaincode x: the policy 'Org1MSP.admin' cannot be met by the peers of grid: 1 of Org1MSP",
        ),
        ({"orderers": [{"name": "peer1", "organisation": "Orderer", "port": 1}]}, "peer1 comes twice"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, members: dict[str, object], says: str) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump(changed(**members)))
    with pytest.raises(SettingsError, match=says):
        load_network_config(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is not YAML: line 1, column 5: expected the node content"),
        ("a: b: c", "is not YAML: line 1, column 5: mapping values are not allowed here"),
        ("\x00", "is not YAML: "),
        ("- 1", "cannot be used: "),
        ("", "cannot be used: "),
        ("name: 2026-13-45", "has a value that cannot be read: month must be in 1..12"),
        ("name: !!bool maybe", "has a value that cannot be read: "),
        ("[" * 5000, "cannot be read: it is nested too deeply"),
    ],
)
def test_what_is_no_description_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=f"{path} {says}"):
        load_network_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.yaml"):
        load_network_config(tmp_path / "nothing.yaml")


def test_a_description_survives_its_own_writing() -> None:
    config = load_network_config(SHIPPED / "two-shards.yaml")
    assert NetworkConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text((SHIPPED / "no-shard.yaml").read_text() + "\nname: another\n")
    with pytest.raises(SettingsError, match="name comes twice in one mapping"):
        load_network_config(path)


def test_forwarders_are_written_as_users_are() -> None:
    members = yaml.safe_load((SHIPPED / "no-shard.yaml").read_text())
    members["channels"]["grid"]["forwarders"] = ["Org1/bridge"]
    assert NetworkConfig.model_validate(members).channels["grid"].forwarders == ("Org1/bridge",)
    for wrong in ("bridge", "Org1/", "Org9/bridge", "Orderer/bridge"):
        members["channels"]["grid"]["forwarders"] = [wrong]
        with pytest.raises(ValueError, match=r"is not written as Org1/alice"):
            NetworkConfig.model_validate(members)
