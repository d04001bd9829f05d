"""What becomes of an organisation's entry when its revocation lists are published, and who is told what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import cli, jsontext
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import ConflictError, GridLedgerError, InputError, NotFoundError, UnavailableError
from gridledger.identity.errors import BadMSP, UnknownAuthority
from gridledger.network import revoking
from gridledger.network.bootstrap import connection_profile
from gridledger.network.config_changes import Change, Changed
from gridledger.network.revoking import entry_with_lists, publish_lists
from gridledger.network.schema import load_network_config
from gridledger.protocol.config import ChannelConfig
from tests.support.paper import PaperNetwork, PaperOrganisation
from tests.support.processes import REPOSITORY

PAPER = PaperNetwork("shard1")
ORG1 = PAPER.organisations["Org1MSP"]


def lists(config: ChannelConfig) -> tuple[str, ...]:
    return config.organisations["Org1MSP"].crls


def test_a_newer_list_takes_the_place_of_an_older_one() -> None:
    first, second = ORG1.crl(number=1), ORG1.crl(PAPER.client, number=2)
    after = entry_with_lists("Org1MSP", first)(PAPER.config)
    assert lists(after) == (first,)
    assert lists(entry_with_lists("Org1MSP", second)(after)) == (second,)
    with pytest.raises(ConflictError, match="number 1 is older than the one that is held, number 2"):
        entry_with_lists("Org1MSP", first)(entry_with_lists("Org1MSP", second)(after))


def test_the_list_of_another_root_stays() -> None:
    other = PaperOrganisation("Org1MSP")
    theirs, ours = other.crl(number=9), ORG1.crl(number=1)
    entry = replace(PAPER.config.organisations["Org1MSP"], roots=(ORG1.root, other.root), crls=(theirs,))
    config = replace(PAPER.config, organisations={**PAPER.config.organisations, "Org1MSP": entry})
    assert lists(entry_with_lists("Org1MSP", ours)(config)) == (theirs, ours)


def test_a_list_of_strangers_is_refused() -> None:
    with pytest.raises(BadMSP, match="signed by none of its roots"):
        entry_with_lists("Org1MSP", PAPER.organisations["Org2MSP"].crl())(PAPER.config)
    with pytest.raises(InputError, match="from 1 to 16 revocation lists in PEM are expected"):
        entry_with_lists("Org1MSP", "no list")
    with pytest.raises(InputError, match="Org9MSP is not on shard1"):
        entry_with_lists("Org9MSP", ORG1.crl())(PAPER.config)
    assert entry_with_lists("Org9MSP", ORG1.crl(), needed=False)(PAPER.config) is PAPER.config


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConnectionProfile:
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    described = connection_profile(config, {"Org1": ORG1.root, "Org2": ORG1.root, "Orderer": ORG1.root})
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(described))
    (tmp_path / "roots.pem").write_text(ORG1.root)
    monkeypatch.setenv("GRIDLEDGER_PROFILE", str(tmp_path))
    found = load_profile(tmp_path)
    PAPER.admins["Org1MSP"].save(found.user("Org1", "admin"))
    return found


async def test_what_fails_keeps_no_other_from_the_list(
    profile: ConnectionProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the organisation's channels one is down; two others tell it nothing, as it is not on them."""
    asked: list[str] = []

    async def change(_: ConnectionProfile, channel: str, edit: Change, *, user: str | None) -> Changed:
        asked.append(channel)
        assert user is None
        if channel in ("shard2", "shard3"):
            raise UnknownAuthority("nobody here knows you")
        if channel == "mainchain":
            raise UnavailableError("it is down")
        return Changed(PAPER.config.followed_by(edit(PAPER.config)), ("Org1/admin",), ())

    monkeypatch.setattr(revoking, "change_config", change)
    found = await publish_lists(profile, "Org1", ORG1.crl(number=1))
    assert asked == ["mainchain", "shard1", "shard2", "shard3"]
    assert list(found.channels) == ["shard1"]
    assert {name: type(error) for name, error in found.failed.items() if name != "peer1"} == {
        "mainchain": UnavailableError
    }
    # Nobody listens there; no other organisation's node was asked.
    assert isinstance(found.failed["peer1"], GridLedgerError)
    assert found.nodes == []

    named = await publish_lists(profile, "Org1", ORG1.crl(number=1), channels=["shard2"])
    assert set(named.failed) == {"peer1", "shard2"}
    with pytest.raises(NotFoundError, match="there is no channel 'shard9'"):
        await publish_lists(profile, "Org1", ORG1.crl(), channels=["shard9"])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of all kinds, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    Path("big.crl").write_text("x" * 600_000)
    Path("none.crl").write_text("x")
    Path("one.crl").write_text(ORG1.crl())
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either the file of a revocation list or --from-ca"),
        (["x.crl", "--from-ca"], "give either the file of a revocation list or --from-ca"),
        (["big.crl"], "big.crl is no PEM text of at most 524288 bytes"),
        (["none.crl"], "from 1 to 16 revocation lists in PEM are expected"),
        (["one.crl", "--output", "u.json"], "an update is of one channel: name it with --channel"),
        (["one.crl", "--channel", "shard9"], "there is no channel 'shard9'"),
    ],
)
@pytest.mark.usefixtures("profile")
def test_what_cannot_be_published_is_one_line(
    files: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    del files
    assert cli.main(["crl", "publish", *arguments, "--organisation", "Org1"]) == 1
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert said.err.startswith(f"error: {message}")
