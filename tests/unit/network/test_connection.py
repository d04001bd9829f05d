"""The connection profile: what a client reads of it, and what is told where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import SettingsError
from gridledger.network.bootstrap import connection_profile
from gridledger.network.connection import load_connection
from gridledger.network.schema import load_network_config
from tests.support.processes import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network's folder with the profile of three shards."""
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(connection_profile(config)))
    return tmp_path


def test_paths_start_at_the_profiles_folder(folder: Path) -> None:
    for path in (folder, folder / "connection.json"):
        profile = load_connection(path)
        assert profile.roots == folder.resolve() / "roots.pem"
        assert profile.ca.tls_root == folder.resolve() / "tls-root.pem"
        assert profile.user("Org1", "alice") == folder.resolve() / "organisations" / "Org1" / "users" / "alice"


def test_a_channels_peers_are_counted_round_and_round(folder: Path) -> None:
    profile = load_connection(folder)
    assert profile.channels["shard2"].peers == ("peer3", "peer4")
    assert [profile.peer_of("shard2", index).organisation for index in range(3)] == ["Org3", "Org4", "Org3"]


def test_a_network_that_was_never_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="start the network first"):
        load_connection(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name":1}'])
def test_a_profile_that_is_none_is_told(folder: Path, text: str) -> None:
    (folder / "connection.json").write_text(text)
    with pytest.raises(SettingsError, match="cannot be used"):
        load_connection(folder)


def test_a_member_too_many_is_told(folder: Path) -> None:
    path = folder / "connection.json"
    path.write_bytes(jsontext.dumps({**jsontext.loads(path.read_bytes()), "more": 1}))
    with pytest.raises(SettingsError, match="more"):
        load_connection(folder)
