"""The compose files: equal to what follows from the network configs, and true to what they promise."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from gridledger.cli import main
from gridledger.errors import SettingsError
from gridledger.network.bootstrap import connection_profile, prepare
from gridledger.network.compose import compose_file, mount_points, override_file
from gridledger.network.descriptions import write_network
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config

PROJECT = Path(__file__).resolve().parents[3]
BASE = PurePosixPath("network-config/three-shards.yaml")
NODES = ("ca", "orderer1", "orderer2", "orderer3", "peer1", "peer2", "peer3", "peer4", "peer5", "peer6")


@pytest.fixture
def config() -> NetworkConfig:
    return load_network_config(PROJECT / BASE)


@pytest.fixture
def changed(tmp_path: Path, config: NetworkConfig) -> NetworkFolder:
    """The folder of containers, of which the last peer was removed, and no other part was."""
    folder, named = NetworkFolder(tmp_path), config.with_names_as_hosts()
    prepare(named, folder)
    folder.connection.write_text("{}")
    channels = {
        name: {**spec.model_dump(mode="json"), "peers": [peer for peer in spec.peers if peer != "peer6"]}
        for name, spec in named.channels.items()
    }
    members = {**named.model_dump(mode="json"), "channels": channels}
    members["peers"] = [item for item in members["peers"] if item["name"] != "peer6"]
    write_network(folder, NetworkConfig.model_validate(members))
    for name in NODES[1:-1]:
        folder.node(name).mkdir(parents=True)
        (folder.node(name) / "config.json").write_text("{}")
    return folder


def test_a_changed_network_has_a_compose_file_of_its_own(
    changed: NetworkFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compose", "--dir", str(changed.root)]) == 0
    services = yaml.safe_load(capsys.readouterr().out)["services"]
    assert "peer5" in services
    assert "peer6" not in services
    assert services["setup"]["command"] == ["gridledger", "bootstrap", "--names-as-hosts"]


def test_a_changed_network_is_complete_without_what_was_removed(
    changed: NetworkFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], [str(PROJECT / BASE)]):
        assert main(["bootstrap", *more, "--names-as-hosts", "--dir", str(changed.root)]) == 0
        assert "is complete" in capsys.readouterr().out
    (changed.node("peer5") / "config.json").unlink()
    assert main(["bootstrap", "--names-as-hosts", "--dir", str(changed.root)]) == 1
    assert "what belongs to peer5 is gone" in capsys.readouterr().err


@pytest.fixture
def substation() -> str:
    path = PurePosixPath("network-config/substation.yaml")
    return compose_file(load_network_config(PROJECT / path), path)


@pytest.fixture
def document(config: NetworkConfig) -> dict[str, Any]:
    return dict(yaml.safe_load(compose_file(config, BASE)))


def test_the_committed_file_is_what_is_generated(config: NetworkConfig) -> None:
    assert (PROJECT / "docker/compose.yaml").read_text() == compose_file(config, BASE), "run make compose"


@pytest.mark.parametrize("name", ["no-shard", "two-shards"])
def test_the_committed_overrides_are_what_is_generated(name: str, config: NetworkConfig) -> None:
    path = PurePosixPath(f"network-config/{name}.yaml")
    expected = override_file(load_network_config(PROJECT / path), path, config, BASE)
    assert (PROJECT / f"docker/compose.{name}.yaml").read_text() == expected, "run make compose"


def test_the_committed_substation_is_what_is_generated(substation: str) -> None:
    assert (PROJECT / "docker/compose.substation.yaml").read_text() == substation, "run make compose"


def test_the_committed_vault_is_what_is_generated() -> None:
    path = PurePosixPath("network-config/substation-vault.yaml")
    written = compose_file(load_network_config(PROJECT / path), path)
    assert (PROJECT / "docker/compose.substation-vault.yaml").read_text() == written, "run make compose"
    services = yaml.safe_load(written)["services"]
    holders = [name for name, one in services.items() if "vault" in one.get("profiles", ())]
    assert holders == ["base", "m1", "m2", "m3a", "m3b", "m3c", "m4", "m5"]
    assert services["m1"]["image"].startswith("gridledger/vault:")
    assert services["cli"]["image"].startswith("gridledger/vault:")


def test_the_committed_forensics_are_what_is_generated() -> None:
    path = PurePosixPath("network-config/forensics.yaml")
    written = compose_file(load_network_config(PROJECT / path), path)
    assert (PROJECT / "docker/compose.forensics.yaml").read_text() == written, "run make compose"
    services = yaml.safe_load(written)["services"]
    assert services["ln-plant-1"]["image"].startswith("gridledger/forensics:")
    assert services["cli"]["image"].startswith("gridledger/forensics:")


def test_the_command_writes_both(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(PROJECT)
    assert main(["compose", str(BASE)]) == 0
    assert capsys.readouterr().out == (PROJECT / "docker/compose.yaml").read_text()
    assert main(["compose", "network-config/no-shard.yaml", "--override", str(BASE)]) == 0
    assert capsys.readouterr().out == (PROJECT / "docker/compose.no-shard.yaml").read_text()


def test_every_container_is_confined(document: dict[str, Any]) -> None:
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "user" not in service, f"{name} runs as the image's user"
        assert "privileged" not in service, name


def test_every_service_has_limits_and_a_health_check(document: dict[str, Any]) -> None:
    for name in NODES:
        service = document["services"][name]
        assert {"mem_limit", "pids_limit", "cpus"} <= service.keys(), name
        assert "disable" not in service["healthcheck"], name


def test_ports_are_published_on_the_loopback_address_only(document: dict[str, Any]) -> None:
    published = [port for service in document["services"].values() for port in service.get("ports", [])]
    assert len(published) == len(NODES) + 9  # REST bridge, console, six agents of anchors, Locust's page
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_a_node_sees_its_own_volume_only(document: dict[str, Any]) -> None:
    for name in NODES[1:]:
        assert document["services"][name]["volumes"] == [f"{name}:/network/nodes/{name}"]


def test_only_key_makers_and_the_ca_see_registrars_secrets(document: dict[str, Any]) -> None:
    def sees(volume: str) -> set[str]:
        volumes = {name: service["volumes"] for name, service in document["services"].items()}
        return {name for name, mounts in volumes.items() if any(item.split(":")[0] == volume for item in mounts)}

    assert sees("enrolment") == {"prepare", "ca", "setup"}
    assert sees("ca") == {"prepare", "ca"}
    assert sees("clients") == {"prepare", "setup", "cli", "feeder", "bench-setup", "bench", "bench-worker"}


def test_the_start_is_ordered_by_health(document: dict[str, Any]) -> None:
    services = document["services"]
    assert services["ca"]["depends_on"]["prepare"]["condition"] == "service_completed_successfully"
    assert services["setup"]["depends_on"]["ca"]["condition"] == "service_healthy"
    assert services["orderer2"]["depends_on"]["setup"]["condition"] == "service_completed_successfully"
    assert services["peer4"]["depends_on"]["orderer3"]["condition"] == "service_healthy"
    assert services["feeder"]["depends_on"]["peer6"]["condition"] == "service_healthy"


def test_clients_come_on_demand_only(document: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles") for name, service in document["services"].items()}
    assert {name for name, found in profiles.items() if found is None} == {"prepare", "setup", *NODES}
    assert profiles["feeder"] == ["feeder"]
    assert profiles["bench"] == profiles["bench-worker"] == ["bench"]


def test_a_companion_comes_by_its_profile_and_sees_its_own_volume(document: dict[str, Any]) -> None:
    rest = document["services"]["rest"]
    assert rest["profiles"] == ["rest"]
    assert rest["volumes"] == ["rest:/network/companions/rest"]
    assert rest["command"] == ["python", "-m", "services.rest", "--config", "/network/companions/rest/config.json"]
    assert rest["depends_on"]["peer6"]["condition"] == "service_healthy"
    assert "disable" not in rest["healthcheck"]
    assert "rest:/network/companions/rest" in document["services"]["setup"]["volumes"]


def test_a_job_runs_once_and_what_it_needs_comes_with_it(config: NetworkConfig) -> None:
    first = {"name": "first", "module": "mine.first", "organisations": ["Org1"], "port": 7301}
    job = {"name": "job", "module": "mine.job", "organisations": ["Org1"], "needs": ["first"]}
    described = NetworkConfig.model_validate({**config.model_dump(mode="json"), "companions": [first, job]})
    services = yaml.safe_load(compose_file(described, BASE))["services"]
    assert services["first"]["profiles"] == ["first", "job"]
    assert services["job"]["restart"] == "no"
    assert services["job"]["depends_on"]["first"]["condition"] == "service_healthy"
    assert "ports" not in services["job"]


def test_an_application_comes_by_its_profile(substation: str) -> None:
    services = yaml.safe_load(substation)["services"]
    simulator, server = services["rele1"], services["server5004"]
    assert simulator["profiles"] == ["rele1", "relay"]
    assert server["profiles"] == ["server5004", "relay"]
    assert simulator["image"] == server["image"] == services["cli"]["image"]
    assert simulator["image"].startswith("gridledger/relay:")
    assert [name for name, one in services.items() if one.get("build", {}).get("target") == "relay"] == ["rele1", "cli"]
    assert simulator["ports"] == [f"127.0.0.1:{port}:{port}" for port in (5010, 5020, 10102)]
    assert simulator["environment"]["HEALTH_SCHEME"] == "http"
    assert "HEALTH_SCHEME" not in server["environment"]
    assert not {"feeder", "bench"} & services.keys()


def test_what_one_needs_comes_with_all_that_need_it(config: NetworkConfig) -> None:
    needs: dict[str, list[str]] = {"first": [], "second": ["first"], "third": ["second"]}
    companions = [
        {"name": name, "module": "mine.it", "organisations": ["Org1"], "port": 7301 + number, "needs": needed}
        for number, (name, needed) in enumerate(needs.items())
    ]
    companions[2]["application"] = "mine"
    described = NetworkConfig.model_validate({**config.model_dump(mode="json"), "companions": companions})
    services = yaml.safe_load(compose_file(described, BASE))["services"]
    assert services["first"]["profiles"] == ["first", "second", "third", "mine"]


def test_volumes_are_declared_and_the_image_has_their_folders(document: dict[str, Any], config: NetworkConfig) -> None:
    mounts = [mount.split(":") for service in document["services"].values() for mount in service["volumes"]]
    assert {mount[0] for mount in mounts} == set(document["volumes"])
    assert {mount[1] for mount in mounts} == {str(place) for place in mount_points(config)}


def test_an_override_cannot_change_nodes(config: NetworkConfig) -> None:
    fewer = config.model_dump(mode="json")
    fewer["orderers"] = fewer["orderers"][:1]
    with pytest.raises(SettingsError, match="an override can only change channels"):
        override_file(NetworkConfig.model_validate(fewer), PurePosixPath("one.yaml"), config, BASE)


def test_a_node_cannot_have_the_name_of_another_service(config: NetworkConfig) -> None:
    named = config.model_dump(mode="json")
    named["orderers"][0]["name"] = "setup"
    with pytest.raises(SettingsError, match="a node cannot be called setup"):
        compose_file(NetworkConfig.model_validate(named), BASE)


def test_containers_are_reached_by_name_and_by_published_port(config: NetworkConfig) -> None:
    inside = config.with_names_as_hosts()
    assert connection_profile(inside, {})["peers"]["peer1"]["url"] == "https://peer1:7151"
    assert connection_profile(inside, {})["ca"]["url"] == "https://ca:7054"
    assert connection_profile(inside, {}, published=True)["peers"]["peer1"]["url"] == "https://127.0.0.1:7151"
    assert connection_profile(inside, {}, published=True) == connection_profile(config, {})
    assert inside.names_of(inside.peers[0]) == ("peer1", "127.0.0.1", "localhost")
    assert inside.names_of(inside.ca) == ("ca", "127.0.0.1", "localhost")
