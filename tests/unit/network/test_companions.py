"""Companions: what a description may say of them, and which are started for the names that are given."""

from __future__ import annotations

import socket
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gridledger import extras, jsontext
from gridledger.errors import NotFoundError, PortTaken, SettingsError
from gridledger.extras import MissingExtra
from gridledger.network.companion_kinds import KINDS, CompanionKind
from gridledger.network.companions import chosen, furnish, settings_of
from gridledger.network.folder import NetworkFolder
from gridledger.network.processes import check_ports, companion_service, services_of
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.settings import load_settings
from services.rest.settings import RestSettings
from tests.support.network_configs import few_nodes
from tests.support.processes import REPOSITORY

FIRST = {"name": "first", "module": "mine.first", "organisations": ["Org1"], "port": 7301}
SECOND = {"name": "second", "module": "mine.second", "organisations": ["Org1"], "port": 7302, "needs": ["first"]}
FEEDER = {"name": "feeder", "kind": "feeder", "organisations": ["Org1"]}


def substation() -> NetworkConfig:
    return load_network_config(REPOSITORY / "network-config" / "substation.yaml")


def described(*companions: dict[str, Any], **changed: Any) -> NetworkConfig:
    return NetworkConfig.model_validate({**few_nodes().model_dump(mode="json"), "companions": companions, **changed})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"module": None}, "give either kind or module"),
        ({"kind": "rest"}, "give either kind or module"),
        ({"module": None, "kind": "toaster"}, "there is no kind 'toaster'; there are ['anchor', 'case', 'case-desk', "),
        ({"module": None, "kind": "feeder"}, "feeder is a job and has no port"),
        ({"module": None, "kind": "rest", "port": None}, "rest is a service and needs a port"),
        ({"organisations": ["Nobody"]}, "there are no organisations ['Nobody']"),
        ({"organisations": []}, "companion first: name one or several organisations"),
        ({"module": None, "kind": "relay-simulator"}, "relay-simulator has no identity; leave organisations out"),
        ({"application": "first"}, "companion first: an application is called so"),
        ({"ports": {"modbus_port": 7301}}, "port 7301 comes twice"),
        ({"ports": {"modbus_port": 7303}, "settings": {"modbus_port": 1}}, "modbus_port is among its ports and"),
        ({"ports": {"host": 7303}}, "host is among its ports and"),
        ({"ports": {"Modbus": 7303}}, "ports.Modbus"),
        ({"ports": {"modbus_port": 7303}, "port": None}, "companion first: only a service has ports"),
        ({"needs": ["first"]}, "there are no companions ['first'] before it"),
        ({"name": "peer1"}, "node peer1 comes twice"),
        ({"name": "ca"}, "node ca comes twice"),
        ({"module": "os; rm"}, "module"),
        ({"name": "../peer1"}, "name"),
        ({"identities": [{"name": "a", "organisation": "Org1"}]}, "its identities say of which organisation each is"),
        ({"organisations": [], "identities": [{"name": "a", "organisation": "Nobody"}]}, "no organisations ['Nobody']"),
        ({"organisations": [], "identities": [{"name": "../a", "organisation": "Org1"}]}, "identities.0.name"),
        ({"organisations": [], "identities": 2 * [{"name": "a", "organisation": "Org1"}]}, "a comes twice"),
        (
            {"organisations": [], "attributes": {"a": "b"}, "identities": [{"name": "a", "organisation": "Org1"}]},
            "leave others out",
        ),
    ],
)
def test_what_cannot_be_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        described({**FIRST, **wrong})
    assert told in str(caught.value)


def test_identities_have_names_and_attributes_of_their_own() -> None:
    identities = [{"name": f"h{number}", "organisation": "Org1", "attributes": {"x": str(number)}} for number in (1, 2)]
    config = described({**FIRST, "organisations": [], "identities": identities}, SECOND)
    first, second = config.companions
    assert [(one.name, one.attributes) for one in first.all_identities] == [("h1", {"x": "1"}), ("h2", {"x": "2"})]
    assert settings_of(config, first)["identities"] == {"h1": "identities/h1", "h2": "identities/h2"}
    assert [(one.name, one.organisation) for one in second.all_identities] == [("Org1", "Org1")]
    assert settings_of(config, second)["identities"] == {"Org1": "identities/Org1"}


def test_none_is_started_unless_it_is_named() -> None:
    assert chosen(described(FIRST, SECOND, FEEDER), []) == []


def test_what_one_needs_is_started_before_it() -> None:
    config = described(FIRST, SECOND)
    for names in (["second"], ["second", "first"], ["first", "second", "second"]):
        assert [spec.name for spec in chosen(config, names)] == ["first", "second"]


def test_companions_start_behind_the_peers_one_after_another() -> None:
    config = described(FIRST, SECOND)
    stages = services_of(config, NetworkFolder(REPOSITORY), chosen(config, ["second"]))
    assert [[service.name for service in stage] for stage in stages] == [
        ["ca"],
        ["orderer1"],
        ["peer1"],
        ["first"],
        ["second"],
    ]


def test_a_companion_that_is_not_described_is_told() -> None:
    with pytest.raises(NotFoundError, match=r"there is no companion 'third' .* there are: first"):
        chosen(described(FIRST), ["third"])
    with pytest.raises(NotFoundError, match=r"there are: rele1, server5004, .*, server5007, relay$"):
        chosen(substation(), ["relais"])


def test_an_application_stands_for_all_of_its_services() -> None:
    names = [spec.name for spec in chosen(substation(), ["relay"])]
    assert names == ["rele1", "server5004", "server5005", "server5006", "server5007"]
    job = {"name": "job", "module": "mine.job", "organisations": ["Org1"], "application": "mine"}
    assert [spec.name for spec in chosen(described({**FIRST, "application": "mine"}, job), ["mine"])] == ["first"]


def test_companions_that_need_none_start_side_by_side() -> None:
    stages = services_of(substation(), NetworkFolder(REPOSITORY), chosen(substation(), ["relay"]))
    assert [service.name for service in stages[-1]] == [spec.name for spec in chosen(substation(), ["relay"])]
    third = {**SECOND, "name": "third", "port": 7303, "needs": ["second"]}
    beside = {**SECOND, "name": "beside", "port": 7304}
    config = described(FIRST, SECOND, third, beside)
    stages = services_of(config, NetworkFolder(REPOSITORY), chosen(config, ["third", "beside"]))
    assert [[service.name for service in stage] for stage in stages[3:]] == [["first"], ["second", "beside"], ["third"]]


def test_those_of_an_application_are_told_of_one_another() -> None:
    config = substation().with_port_offset(100)
    server = settings_of(config, config.companions[1])
    assert server["companions"] == {
        "rele1": "http://127.0.0.1:5110",
        **{f"server{number}": f"https://127.0.0.1:{number + 100}" for number in range(5004, 5008)},
    }
    assert "companions" not in settings_of(described(FIRST), described(FIRST).companions[0])


def test_a_relay_server_serves_with_its_certificate_on_loopback() -> None:
    config = substation()
    server = settings_of(config, config.companions[1])
    own = "identities/Server5004"
    assert server["tls"] == {"cert": f"{own}/cert.pem", "key": f"{own}/key.pem"}
    assert server["hostnames"] == ["127.0.0.1", "localhost", "server5004"]
    assert (server["server"], server["port"], server["identities"]) == ("5004", 5004, {"Server5004": own})


def test_a_relay_server_is_plain_where_it_is_told_so() -> None:
    told = {"server": "5004", "plain": True}
    changed = substation().model_dump(mode="json")
    changed["companions"][1]["settings"] = told
    config = NetworkConfig.model_validate(changed)
    assert "tls" not in settings_of(config, config.companions[1])
    assert config.url(config.companions[1]) == "http://127.0.0.1:5004"


def test_one_without_identity_is_told_nothing_of_the_network() -> None:
    config = substation()
    simulator = config.companions[0]
    ports = {"port": 5010, "modbus_port": 5020, "iec61850_port": 10102}
    told = {"name": "rele1", "host": "127.0.0.1", "data": "data", **ports}
    assert settings_of(config, simulator) == {**told, **simulator.settings}
    inside = config.with_names_as_hosts()
    assert inside.url(inside.companions[0]) == "http://rele1:5010"


async def test_the_folder_of_one_without_identity_has_settings_only(tmp_path: Path) -> None:
    config, folder = substation(), NetworkFolder(tmp_path)
    await furnish(config, folder, [config.companions[0]], b"{}")
    assert [path.name for path in folder.companion("rele1").iterdir()] == ["config.json"]


def test_further_ports_must_be_free_too() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = described({**FIRST, "ports": {"modbus_port": port}})
        service = companion_service(config, NetworkFolder(REPOSITORY), config.companions[0])
        with pytest.raises(PortTaken, match=rf"port {port} \(first\)"):
            check_ports(config, [service])


def test_a_job_is_no_process_of_the_network() -> None:
    with pytest.raises(SettingsError, match="a job, which runs on demand: gridledger feeder"):
        chosen(described(FEEDER), ["feeder"])


def test_a_missing_extra_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "plotter", CompanionKind("services.plotter", is_service=True, extra="bench"))
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "locust" else util.find_spec("json"))
    config = described({"name": "plots", "kind": "plotter", "organisations": ["Org1"], "port": 7301})
    with pytest.raises(MissingExtra, match=r"the companion plots needs locust, .*gridledger\[bench\]"):
        chosen(config, ["plots"])
    assert chosen(config, []) == []


def test_companions_move_with_the_other_ports() -> None:
    moved = described(FIRST, FEEDER).with_port_offset(5)
    assert [spec.port for spec in moved.companions] == [7306, None]
    assert substation().with_port_offset(5).companions[0].ports == {"modbus_port": 5025, "iec61850_port": 10107}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_service_of_the_checkout(kind: str) -> None:
    assert (REPOSITORY / KINDS[kind].module.replace(".", "/") / "__main__.py").is_file()


@pytest.mark.parametrize("inside", [False, True])
def test_the_bridge_takes_the_settings_that_it_is_given(tmp_path: Path, inside: bool) -> None:
    """In a container, where it listens at all addresses, it serves with its own certificate."""
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    config = config.with_names_as_hosts() if inside else config
    path = tmp_path / "config.json"
    path.write_bytes(jsontext.dumps(settings_of(config, config.companions[0])))
    settings = load_settings(RestSettings, path)
    assert settings.identities == {"Org1": tmp_path / "identities" / "Org1"}
    assert settings.on_loopback != inside
    if inside:
        assert settings.tls is not None
        assert settings.tls.cert == tmp_path / "identities" / "Org1" / "cert.pem"
        assert settings.hostnames == ("rest", "127.0.0.1", "localhost")
