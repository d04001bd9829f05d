"""A service's settings: one file, the environment before it, paths that start at the file's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import SettingsError
from gridledger.settings import load_settings
from services.ca.settings import CASettings
from services.orderer.settings import OrdererSettings
from services.peer.settings import PeerSettings
from services.rest.settings import RestSettings

NODE: dict[str, Any] = {
    "name": "node1",
    "mspid": "Org1MSP",
    "identity": "msp",
    "port": 7151,
    "data": "data",
    "genesis": "/elsewhere",
    "roots": "roots.pem",
    "channels": ["c"],
}
ORGANISATION = {"name": "Org1", "mspid": "Org1MSP", "registrar_secret_file": "secrets/org1"}
REST: dict[str, Any] = {
    "name": "rest",
    "port": 8080,
    "data": "data",
    "connection": "connection.json",
    "identities": {"app": "users/app", "other": "/elsewhere"},
}
CA: dict[str, Any] = {"port": 7054, "data": "data", "organisations": [ORGANISATION]}
SERVICES = [(CASettings, CA), (OrdererSettings, NODE), (PeerSettings, NODE), (RestSettings, REST)]


def written(folder: Path, members: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_bytes(jsontext.dumps(members))
    return path


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    peer = load_settings(PeerSettings, written(tmp_path, NODE))
    assert (peer.identity, peer.genesis, peer.packages) == (tmp_path / "msp", Path("/elsewhere"), None)
    assert peer.ledger_directory == tmp_path / "data" / "ledger"
    (organisation,) = load_settings(CASettings, written(tmp_path, CA)).organisations
    assert organisation.registrar_secret_file == tmp_path / "secrets" / "org1"


def test_paths_in_a_map_start_there_too(tmp_path: Path) -> None:
    rest = load_settings(RestSettings, written(tmp_path, REST))
    assert rest.identities == {"app": tmp_path / "users/app", "other": Path("/elsewhere")}


@pytest.mark.parametrize(("kind", "members"), SERVICES)
def test_every_wrong_member_is_named(tmp_path: Path, kind: Any, members: dict[str, Any]) -> None:
    path = written(tmp_path, {**members, "port": 0, "limits": {"no_such_bound": 1}})
    with pytest.raises(SettingsError) as caught:
        load_settings(kind, path)
    assert "port: " in caught.value.message
    assert "limits" in caught.value.message


@pytest.mark.parametrize(("kind", "members"), SERVICES)
def test_the_environment_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, members: dict[str, Any]
) -> None:
    monkeypatch.setenv("GRIDLEDGER_PORT", "7999")
    monkeypatch.setenv("GRIDLEDGER_LOG_LEVEL", "debug")
    settings = load_settings(kind, written(tmp_path, members))
    assert (settings.port, settings.log_level, settings.host) == (7999, "debug", "127.0.0.1")


def test_a_file_that_is_no_object_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        load_settings(PeerSettings, tmp_path / "none.json")
    path = tmp_path / "config.json"
    for content, said in ((b"{", "is "), (b"[]", "must hold one JSON object")):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=said):
            load_settings(PeerSettings, path)


def test_a_count_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, NODE)
    path.write_bytes(path.read_bytes()[:-1] + b',"ordering":{"max_queued":18446744073709551616}}')
    with pytest.raises(SettingsError, match=r"ordering\.max_queued: .*within 64 bits"):
        load_settings(PeerSettings, path)
