"""An update that is made, signed and shown without a network: the files alone are needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridledger import cli, jsontext
from gridledger.network.bootstrap import connection_profile
from gridledger.network.schema import load_network_config
from gridledger.network.update_files import read_update, readable, text_of_json
from tests.support.paper import PaperNetwork
from tests.support.processes import REPOSITORY

PAPER = PaperNetwork(organisations=3)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configuration as it was fetched, and with wider limits; the environment names a network's
    folder with the keys of all admins."""
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    network = tmp_path / "network"
    network.mkdir()
    (network / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    for identity in PAPER.all_admins:
        identity.save(network / "organisations" / identity.mspid.removesuffix("MSP") / "users" / "admin")
    monkeypatch.setenv("GRIDLEDGER_PROFILE", str(network))
    monkeypatch.chdir(tmp_path)
    plain = readable(PAPER.config.plain)
    Path("old.json").write_text(text_of_json(plain))
    plain["limits"]["proposal_window_s"] = 600
    Path("new.json").write_text(text_of_json(plain))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def compute(capsys: pytest.CaptureFixture[str], to: str = "new.json") -> tuple[int, str, str]:
    arguments = ("--from", "old.json", "--to", to, "--output", "update.json")
    return run(capsys, "channel", "update", "compute", "shard1", *arguments)


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    code, out, _ = run(capsys, "channel", "update", "show", "update.json", "--from", "old.json", "--json")
    assert code == 0
    return json.loads(out)


def test_an_update_goes_from_hand_to_hand(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = compute(capsys)
    assert (code, err) == (0, "")
    assert "update      update.json, for configuration 1 of shard1\n" in out
    assert "signed by   nobody\nsignatures  not enough yet\n" in out
    assert "limits/proposal_window_s changes from 300 to 600: needs /Channel/Admins (MAJORITY Admins); " in out
    for number, user in enumerate(("Org1/admin", "Org3/admin", "Orderer/admin"), 1):
        assert not shown(capsys)["complete"]
        code, out, _ = run(capsys, "channel", "update", "sign", "update.json", "--user", user)
        assert (code, out) == (0, f"{user} has signed; update.json has {number} signatures\n")
    found = shown(capsys)
    assert (found["complete"], found["sequence"], found["channel"]) == (True, 1, "shard1")
    assert [item["mspid"] for item in found["signers"]] == ["Org1MSP", "Org3MSP", "OrdererMSP"]
    assert found["changes"][0]["missing"] == ["Org2MSP"]
    assert found["expires"] == (read_update(place / "update.json").time_us or 0) + 7 * 86_400_000_000


def test_nobody_signs_twice(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compute(capsys)
    sign = ("channel", "update", "sign", "update.json", "--user", "Org1/admin")
    assert run(capsys, *sign)[0] == 0
    code, out, err = run(capsys, *sign)
    assert (code, out) == (1, "")
    assert err.startswith("error: 'admin' of Org1MSP has signed this update")
    assert len(read_update(place / "update.json").signatures) == 1


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"config_update":"x","signatures":[]}', "\0"])
def test_what_is_no_update_is_one_line(place: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (place / "update.json").write_text(content)
    for command in (
        ("sign", "update.json", "--user", "Org1/admin"),
        ("show", "update.json"),
        ("submit", "update.json"),
    ):
        code, out, err = run(capsys, "channel", "update", *command)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert err.startswith("error: update.json: ")


def test_an_update_of_another_configuration_is_not_explained(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The differences from another configuration than it was made of would be wrong."""
    compute(capsys)
    Path("old.json").write_text(text_of_json(PAPER.config.followed_by(PAPER.config).plain))
    code, out, err = run(capsys, "channel", "update", "show", "update.json", "--from", "old.json")
    assert (code, out) == (1, "")
    assert err.startswith("error: update.json is for configuration 1 of shard1, and shard1 is at 1: ")


def test_what_changes_nothing_makes_no_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = compute(capsys, "old.json")
    assert (code, out, err) == (1, "", "error: old.json differs in nothing from configuration 0\n")
    assert not (place / "update.json").exists()
    code, out, err = compute(capsys, "missing.json")
    assert (code, out, err) == (1, "", "error: missing.json: No such file or directory\n")


def test_words_that_name_no_block_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("newest", "-1", "1.5", "²", "9" * 19):
        code, _, err = run(capsys, "channel", "fetch", "--", word, "shard1")
        assert (code, err) == (1, f"error: {word!r} is none of config, genesis and a block's number\n")
    for word in ("x=1", "max_message_count"):
        code, _, err = run(capsys, "limits", "set", "shard1", word)
        assert code == 1
        assert err.startswith(f"error: {word!r} is no NAME=NUMBER")
