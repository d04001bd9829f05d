"""Companions: what a description may say of them, and which are started for the names that are given."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gridledger import extras, jsontext
from gridledger.errors import NotFoundError, SettingsError
from gridledger.extras import MissingExtra
from gridledger.network.companion_kinds import KINDS, CompanionKind
from gridledger.network.companions import chosen, settings_of
from gridledger.network.folder import NetworkFolder
from gridledger.network.processes import services_of
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.settings import load_settings
from services.rest.settings import RestSettings
from tests.support.network_configs import few_nodes
from tests.support.processes import REPOSITORY

FIRST = {"name": "first", "module": "mine.first", "organisations": ["Org1"], "port": 7301}
SECOND = {"name": "second", "module": "mine.second", "organisations": ["Org1"], "port": 7302, "needs": ["first"]}
FEEDER = {"name": "feeder", "kind": "feeder", "organisations": ["Org1"]}


def described(*companions: dict[str, Any], **changed: Any) -> NetworkConfig:
    return NetworkConfig.model_validate({**few_nodes().model_dump(mode="json"), "companions": companions, **changed})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"module": None}, "give either kind or module"),
        ({"kind": "rest"}, "give either kind or module"),
        ({"module": None, "kind": "toaster"}, "there is no kind 'toaster'; there are ['feeder', 'rest']"),
        ({"module": None, "kind": "feeder"}, "feeder is a job and has no port"),
        ({"module": None, "kind": "rest", "port": None}, "rest is a service and needs a port"),
        ({"organisations": ["Nobody"]}, "there are no organisations ['Nobody']"),
        ({"organisations": []}, "organisations"),
        ({"needs": ["first"]}, "there are no companions ['first'] before it"),
        ({"name": "peer1"}, "node peer1 comes twice"),
        ({"name": "ca"}, "node ca comes twice"),
        ({"module": "os; rm"}, "module"),
        ({"name": "../peer1"}, "name"),
    ],
)
def test_what_cannot_be_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        described({**FIRST, **wrong})
    assert told in str(caught.value)


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
