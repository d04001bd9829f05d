"""A group on another channel: what is refused, whose records count there, which files say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.cli import main
from gridledger.errors import ConflictError, GridLedgerError, InputError, NotFoundError
from gridledger.grid.layout import layout_of
from gridledger.network.bootstrap import connection_profile
from gridledger.network.descriptions import made_for, network_now, write_both
from gridledger.network.dvs_groups import place_group, write_applications
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from tests.support.processes import REPOSITORY


def three_shards(**peers: list[str]) -> NetworkConfig:
    """The topology, with further channels of the peers given."""
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml").model_dump(mode="json")
    for name, members in peers.items():
        config["channels"][name] = config["channels"]["shard1"] | {"peers": members}
    return NetworkConfig.model_validate(config)


def dvs_of(config: NetworkConfig) -> dict[str, Any]:
    return config.applications["dvs"]


def test_a_group_is_placed_and_the_others_stay() -> None:
    changed, place = place_group(three_shards(), "2", "shard1")
    assert dvs_of(changed)["groups"] == {"others": ["shard1", "shard2", "shard3"], "2": "shard1"}
    assert [layout_of(changed).channel_of(group) for group in "12345"] == [
        "shard1",
        "shard1",
        "shard3",
        "shard1",
        "shard2",
    ]
    assert (place.before, place.planner, place.aggregators) == ("shard2", "Org1MSP", ("Org1MSP", "Org2MSP"))
    back, _ = place_group(changed, "2", "shard2")
    assert back == three_shards()


def test_a_channel_that_is_new_gets_msps_of_its_own() -> None:
    changed, place = place_group(three_shards(shard4=["peer6", "peer1"]), "2", "shard4")
    assert (place.planner, place.aggregators) == ("Org6MSP", ("Org6MSP", "Org1MSP"))
    layout = layout_of(changed)
    assert layout.naming_msps("shard4", {"id": "2"})["planner_msp"] == "Org6MSP"
    assert layout.naming_msps("mainchain", {"id": "2"})["aggregator_msps"] == ["Org6MSP", "Org1MSP"]
    assert layout.aggregators["shard2"] == ("Org3MSP", "Org4MSP")


def test_the_operator_may_name_whose_records_count() -> None:
    config = three_shards(shard4=["peer6", "peer1"])
    changed, place = place_group(config, "2", "shard4", "Org1MSP", ["Org1MSP"])
    assert (place.planner, place.aggregators) == ("Org1MSP", ("Org1MSP",))
    assert dvs_of(changed)["aggregators"]["shard4"] == ["Org1MSP"]


def test_an_open_application_stays_open() -> None:
    config = three_shards()
    dvs = {name: dvs_of(config)[name] for name in ("chaincode", "main", "groups")}
    changed, place = place_group(config.model_copy(update={"applications": {"dvs": dvs}}), "2", "shard1")
    assert (place.planner, place.aggregators) == (None, ())
    assert dvs_of(changed).keys() == dvs.keys()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("1_2", "shard1"), InputError, "'1_2' is no single group's id"),
        (("2", "shard9"), NotFoundError, "there is no channel 'shard9'"),
        (("2", "shard1", "Org2MSP"), ConflictError, "its planner already, which its records name: Org1MSP"),
        (("2", "shard1", None, ["Org1MSP"]), ConflictError, "its aggregators already.*Org1MSP, Org2MSP"),
        (("2", "shard4", "Org2MSP"), InputError, "Org2MSP has no peer on shard4; there are: Org6MSP, Org1MSP"),
        (("2", "shard4", None, ["Org6MSP", "Org3MSP"]), InputError, "organisation Org3MSP has no peer on shard4"),
        (("2", "apart"), InputError, "no organisation has a peer on apart and on mainchain"),
    ],
)
def test_a_place_that_cannot_be_is_refused(arguments: Any, kind: type[GridLedgerError], message: str) -> None:
    config = three_shards(shard4=["peer6", "peer1"], apart=["peer5"]).model_dump(mode="json")
    config["channels"]["mainchain"]["peers"].remove("peer5")
    with pytest.raises(kind, match=message):
        place_group(NetworkConfig.model_validate(config), *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> NetworkFolder:
    """The folder of a network that another machine reaches by another profile."""
    config, made = three_shards(), NetworkFolder(tmp_path)
    write_both(made, config)
    for file in (made.connection, made.host_connection):
        file.write_bytes(jsontext.dumps(connection_profile(config, {})))
    return made


def test_the_description_and_all_profiles_are_changed(folder: NetworkFolder) -> None:
    before = jsontext.loads(folder.connection.read_bytes())
    bridge = folder.companion("rest") / "connection.json"
    bridge.parent.mkdir(parents=True)
    bridge.write_bytes(folder.connection.read_bytes())
    changed, _ = place_group(network_now(folder), "2", "shard1")
    write_applications(folder, changed)
    assert network_now(folder) == changed
    assert made_for(folder) == three_shards()
    for file in (folder.connection, folder.host_connection, bridge):
        found = jsontext.loads(file.read_bytes())
        assert found == before | {"applications": changed.applications}


def test_nothing_is_written_where_nobody_can_ask_a_peer(
    folder: NetworkFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in folder.root.iterdir()}
    assert main(["dvs", "move-group", "2", "shard1", "--dir", str(folder.root)]) == 1
    assert capsys.readouterr().err.startswith("error: there is no user 'Org1/admin'")
    after = {file.name: file.read_bytes() for file in folder.root.iterdir() if file != folder.changes_lock}
    assert after == before
