"""The connection profile: what a client reads of it, and what is told where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.cli.connection import only_peers_of
from gridledger.client.profile import ConnectionProfile, load_profile, profile_path
from gridledger.errors import NotFoundError, SettingsError
from gridledger.network.bootstrap import connection_profile
from gridledger.network.schema import load_network_config
from gridledger.transport.pins import Dialled, Pin
from tests.support.processes import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network's folder with the profile of three shards."""
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    return tmp_path


def test_paths_start_at_the_profiles_folder(folder: Path) -> None:
    for path in (folder, folder / "connection.json"):
        profile = load_profile(path)
        assert profile.roots == folder.resolve() / "roots.pem"
        assert profile.ca.tls_root == folder.resolve() / "tls-root.pem"
        assert profile.user("Org1", "alice") == folder.resolve() / "organisations" / "Org1" / "users" / "alice"


def test_a_channels_peers_are_counted_round_and_round(folder: Path) -> None:
    profile = load_profile(folder)
    assert profile.channels["shard2"].peers == ("peer3", "peer4")
    assert [profile.peer_of("shard2", index).organisation for index in range(3)] == ["Org3", "Org4", "Org3"]


def test_a_network_that_was_never_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="start the network first"):
        load_profile(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name":1}'])
def test_a_profile_that_is_none_is_told(folder: Path, text: str) -> None:
    (folder / "connection.json").write_text(text)
    with pytest.raises(SettingsError, match="cannot be used"):
        load_profile(folder)


def test_a_member_too_many_is_told(folder: Path) -> None:
    path = folder / "connection.json"
    path.write_bytes(jsontext.dumps({**jsontext.loads(path.read_bytes()), "more": 1}))
    with pytest.raises(SettingsError, match="more"):
        load_profile(folder)


def with_users(folder: Path, *users: str) -> ConnectionProfile:
    """The profile of a folder in which these users are enrolled."""
    for user in users:
        organisation, _, name = user.partition("/")
        home = folder / "organisations" / organisation / "users" / name
        home.mkdir(parents=True)
        (home / "cert.pem").touch()
    return load_profile(folder)


def test_users_are_listed_without_the_registrar(folder: Path) -> None:
    profile = with_users(folder, "Org2/admin", "Org1/registrar", "Org1/bob", "Orderer/admin", "Org1/alice")
    assert profile.users() == ["Org1/alice", "Org1/bob", "Org2/admin", "Orderer/admin"]
    assert profile.user_folder("Org1/bob") == folder.resolve() / "organisations" / "Org1" / "users" / "bob"


def test_the_first_user_is_an_admin_of_a_peers_organisation(folder: Path) -> None:
    assert with_users(folder, "Orderer/admin", "Org2/admin").user_folder().parts[-3] == "Org2"
    assert with_users(folder, "Org1/alice", "Org1/admin", "Org1/aaron").user_folder().parts[-3:] == (
        "Org1",
        "users",
        "admin",
    )


def test_a_channels_first_user_is_an_admin_of_its_peers(folder: Path) -> None:
    """Another organisation's admin would be refused there."""
    profile = only_peers_of(with_users(folder, "Org1/admin", "Org3/admin"), "shard2")
    assert profile.user_folder().parts[-3:] == ("Org3", "users", "admin")


def test_the_profile_may_name_its_default_user(folder: Path) -> None:
    path = folder / "connection.json"
    path.write_bytes(jsontext.dumps({**jsontext.loads(path.read_bytes()), "default_user": "Org1/alice"}))
    assert with_users(folder, "Org1/alice", "Org1/admin").user_folder().name == "alice"


@pytest.mark.parametrize("user", ["Org1/carol", "alice", "Org1/registrar", "Org1/../Org2/admin", "/", "Org1/alice/"])
def test_an_unknown_user_is_told_who_there_is(folder: Path, user: str) -> None:
    profile = with_users(folder, "Org1/alice", "Org2/admin")
    with pytest.raises(NotFoundError, match=r"there are: Org1/alice, Org2/admin$"):
        profile.user_folder(user)


def test_a_network_without_users_is_told(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="enroll one"):
        load_profile(folder).user_folder()


def test_peers_of_ones_own_organisation_come_first(folder: Path) -> None:
    profile = load_profile(folder)
    organisations = [profile.peers[name].organisation for name in profile.peers_for("Org3MSP")]
    assert organisations == ["Org3", "Org1", "Org2", "Org4", "Org5", "Org6"]


def test_a_node_is_known_by_its_organisation_or_certificate(folder: Path) -> None:
    (folder / "roots.pem").write_text("all roots")
    assert load_profile(folder).way_to("peer1") == Dialled(
        "https://127.0.0.1:7151", "all roots", Pin("peer1", role="peer")
    )
    path = folder / "connection.json"
    described = jsontext.loads(path.read_bytes())
    described["organisation_roots"] = {"Org1MSP": "root of Org1", "OrdererMSP": "root of Orderer"}
    described["peers"]["peer1"]["certificates"] = ["ab" * 32, "cd" * 32]
    path.write_bytes(jsontext.dumps(described))
    profile = load_profile(folder)
    pin = Pin("peer1", frozenset({"ab" * 32, "cd" * 32}))
    assert profile.way_to("peer1")[1:] == ("root of Org1", pin, "Org1MSP")
    assert profile.way_to("orderer1")[1:] == ("root of Orderer", Pin("orderer1", role="orderer"), "OrdererMSP")
    assert profile.way_to("peer2")[1:] == ("all roots", Pin("peer2", role="peer"), "")


def test_the_environment_names_the_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIDLEDGER_PROFILE", raising=False)
    assert profile_path() == Path("out/network")
    monkeypatch.setenv("GRIDLEDGER_PROFILE", str(folder))
    assert load_profile().name == "three-shards"
    with pytest.raises(SettingsError, match="elsewhere: start"):
        load_profile("elsewhere")
    monkeypatch.setenv("GRIDLEDGER_PROFILE", "nowhere")
    with pytest.raises(SettingsError, match="no connection profile nowhere, which GRIDLEDGER_PROFILE names: start"):
        load_profile()
