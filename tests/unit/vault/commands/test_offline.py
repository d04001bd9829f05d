"""``gridledger vault split``, ``join`` and ``leak``: the pinned JSON, files, and refusals that name the field."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from gridledger import cli
from gridledger.sharing import recursive
from gridledger.sharing.field import P521
from services.vault.__main__ import SUBCOMMANDS, main
from services.vault.commands import share_folder

PIECES = {"t": 3, "ids": [1, 2, 3, 4], "pieces": [5, 7], "a": 3, "p": 13, "points": "counted"}
DATA = {"t": 3, "ids": [11, "18446744073709551615", 13], "data_hex": "00ff", "draws": [str(P521 - 1)]}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with a JSON document on standard input: (exit code, document or text, standard error)."""

    def call(command: str, given: Any = None, *arguments: str) -> tuple[int, Any, str]:
        if given is not None:
            text = given if isinstance(given, str) else json.dumps(given)
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            arguments = (*arguments, "--json", "-")
        try:
            code = main([*command.split(), *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, json.loads(told.out) if given is not None and told.out else told.out, told.err

    return call


def test_the_vector_by_hand_in_both_readings(run: Any) -> None:
    assert run("split --profile article", PIECES)[:2] == (
        0,
        {"coefficients": [7, 8, 11], "shares": [[1, 0], [2, 2], [3, 0], [4, 7]]},
    )
    by_ids = {**PIECES, "points": "ids", "ids": [2, 3, 4]}
    assert run("split --profile article", by_ids)[:2] == (
        0,
        {"coefficients": [7, 11, 1], "shares": [[2, 7], [3, 10], [4, 2]]},
    )


def test_numbers_beyond_2_to_the_53_are_decimal_text(run: Any) -> None:
    given = {"t": 2, "ids": [1, str(2**64)], "pieces": [str(2**500)], "a": "1", "p": str(P521), "points": "counted"}
    assert run("split --profile article", given)[:2] == (
        0,
        {
            "coefficients": [str(2**500), 1],
            "shares": [[1, str(2**500 + 1)], [str(2**64), str(2**500 + 2**64)]],
        },
    )
    assert run("split --profile article", {**given, "a": 2**53, "pieces": [0]})[1]["coefficients"] == [0, 2**53]
    assert run("split --profile article", {**given, "a": 2**53 + 1})[1]["coefficients"][1] == str(2**53 + 1)


def test_data_split_and_join_in_the_pinned_form(run: Any) -> None:
    code, told, warning = run("split --profile article", DATA)
    assert code == 0
    assert "hides next to nothing" in warning
    wanted = recursive.split(b"\x00\xff", 3, [11, 2**64 - 1, 13], lambda: P521 - 1)
    assert told == {"shares": {str(x): share.hex() for x, share in wanted.items()}}
    assert {len(share) for share in told["shares"].values()} == {132}
    joined = run("join --profile article", {"t": 3, "ids": DATA["ids"], "shares": told["shares"]})
    assert joined == (0, {"data_hex": "00ff"}, "")


@pytest.mark.parametrize("profile", ["sealed", "article", "shamir", "copies"])
@pytest.mark.parametrize("length", [0, 1, 300])
def test_every_profile_there_and_back(profile: str, length: int, run: Any) -> None:
    data = random.Random(length).randbytes(length).hex()
    more = {"head": b"head".hex()} if profile == "sealed" else {}
    _, told, _ = run(f"split --profile {profile}", {"t": 2, "ids": [5, 6, 7, 8], "data_hex": data, **more})
    for chosen in (("7", "5"), ("8", "6", "5"), ("5", "6", "7", "8")):
        given = {**told, **more, "t": 2, "ids": [5, 6, 7, 8], "shares": {x: told["shares"][x] for x in chosen}}
        assert run(f"join --profile {profile}", given)[:2] == (0, {"data_hex": data})


def test_the_default_is_sealed(run: Any) -> None:
    assert set(run("split", {"t": 2, "ids": [5, 6, 7], "data_hex": "00"})[1]) == {"shares", "length", "cipher_sha256"}


@pytest.mark.parametrize("profile", ["sealed", "article", "shamir", "copies"])
def test_a_share_that_does_not_fit_the_others_is_told_of(profile: str, run: Any) -> None:
    given = {"t": 2, "ids": [5, 6, 7]}
    _, told, _ = run(f"split --profile {profile}", {**given, "data_hex": "0011"})
    text = told["shares"]["7"]
    told["shares"]["7"] = ("1" if text[0] == "0" else "0") + text[1:]
    code, _, error = run(f"join --profile {profile}", {**told, **given})
    assert code == 1
    assert error.startswith("error: shares: 7 do not fit 5")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"t": 1}, "t"),
        ({"t": 5}, "t"),
        ({"t": "3.0"}, "t"),
        ({"t": True}, "t"),
        ({"ids": [0, 1, 2]}, "ids"),
        ({"ids": [1, 2, 15]}, "ids"),  # 2 + 13
        ({"ids": [1, 2, 6]}, "ids"),  # weak
        ({"ids": [1, 2, -3]}, "ids"),
        ({"ids": "1,2,3"}, "ids"),
        ({"pieces": [5]}, "pieces"),
        ({"pieces": [5, 13]}, "pieces"),
        ({"a": 13}, "a"),
        ({"a": 1e300}, "a"),
        ({"a": None}, "a"),
        ({"a": "9" * 401}, "a"),
        ({"p": 15}, "p"),
        ({"points": "other"}, "points"),
        ({"points": 1}, "points"),
        ({"d": 1}, "d"),
    ],
)
def test_refusals_of_pieces_name_the_field(change: dict[str, Any], named: str, run: Any) -> None:
    code, out, error = run("split --profile article", {**PIECES, **change})
    assert (code, out) == (1, "")
    assert error.splitlines()[-1].startswith(f"error: {named}: ")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data_hex": "0"}, "data_hex"),
        ({"data_hex": "zz"}, "data_hex"),
        ({"data_hex": "00 1"}, "data_hex"),
        ({"data_hex": None}, "data_hex"),
        ({"draws": []}, "draws"),
        ({"draws": [1, 2]}, "draws"),
        ({"draws": [str(P521)]}, "draws"),
        ({"ids": [1, 2, str((P521 - 1) // 2)]}, "ids"),
        ({"head": "00"}, "head"),
    ],
)
def test_refusals_of_data_name_the_field(change: dict[str, Any], named: str, run: Any) -> None:
    code, out, error = run("split --profile article", {**DATA, **change})
    assert (code, out) == (1, "")
    assert error.splitlines()[-1].startswith(f"error: {named}: ")


@pytest.mark.parametrize("member", ["t", "ids", "data_hex"])
def test_a_member_that_is_missing_is_named(member: str, run: Any) -> None:
    given = {name: value for name, value in DATA.items() if name != member}
    assert run("split --profile article", given)[2].splitlines()[-1] == f"error: {member}: it is missing"


def test_random_numbers_are_not_taken_for_sealed(run: Any) -> None:
    code, _, error = run("split", DATA)
    assert (code, error.startswith("error: draws: ")) == (1, True)
    code, _, error = run("split --profile copies", DATA)
    assert (code, error.startswith("error: draws: ")) == (1, True)
    assert run("split --profile shamir", PIECES)[2].startswith("error: pieces: ")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"shares": {}}, "shares"),
        ({"shares": []}, "shares"),
        ({"shares": {"11": "0"}}, "shares.11"),
        ({"shares": {"x": "00"}}, "shares"),
        ({"shares": {"4": "00"}}, "shares"),
        ({"shares": {"11": "00" * 66, "13": "00" * 67, "18446744073709551615": "00" * 66}}, "shares"),
        ({"shares": {"11": "00" * 67, "13": "00" * 67, "18446744073709551615": "00" * 67}}, "shares"),
        ({"shares": {"11": "00" * 66, "13": "00" * 66, "18446744073709551615": "00" * 66}}, "shares"),
    ],
)
def test_refusals_of_shares_name_the_field(change: dict[str, Any], named: str, run: Any) -> None:
    code, out, error = run("join --profile article", {"t": 3, "ids": DATA["ids"], **change})
    assert (code, out) == (1, "")
    assert error.startswith(f"error: {named}: ")


@pytest.mark.parametrize("text", ["", "[]", '{"t": 1, "t": 2}', "{", "null"])
def test_what_is_no_object_is_refused(text: str, run: Any) -> None:
    for command in ("split", "join", "leak"):
        code, _, error = run(command, text)
        assert code == 1
        assert error.startswith("error: ")


def test_leak_in_the_pinned_form(run: Any) -> None:
    assert run("leak", {"t": 3, "p": 13, "ids": [1, 2, 3]}) == (0, {"elements": [0, 1, 2], "weak": []}, "")
    assert run("leak", {"t": 3, "p": 13, "ids": [6, 1, 2]})[1] == {"elements": [1, 1, 2], "weak": [6]}
    weak = str((P521 - 1) // 2)
    assert run("leak", {"t": 3, "p": str(P521), "ids": [1, weak, 2]})[1] == {"elements": [0, 1, 2], "weak": [weak]}
    assert run("leak", {"t": 3, "p": 12, "ids": [1, 2, 3]})[2].startswith("error: p: ")
    assert run("leak", {"t": 3, "p": 13})[2].startswith("error: ids: ")
    assert run("leak", {"t": 3, "p": 13, "ids": [1], "points": 1})[2].startswith("error: points: ")


def test_leak_for_people(run: Any) -> None:
    code, told, _ = run("leak -t 3 --p 13 --ids 2,4,15,6")
    assert code == 0
    assert "1 of 2" in told
    assert "d_1" in told
    assert "weak ids: 6" in told
    assert "equal modulo the prime to one before them: 15" in told


@pytest.mark.parametrize("profile", ["sealed", "article", "shamir", "copies"])
def test_a_file_there_and_back(profile: str, tmp_path: Path, run: Any) -> None:
    source, folder, back = tmp_path / "readings.csv", tmp_path / "shares", tmp_path / "back.csv"
    source.write_bytes(random.Random(1).randbytes(10_000))
    code, told, _ = run(f"split {source} --profile {profile} -t 3 --ids 11,12,13,14,15 --out {folder}")
    assert (code, "5 shares of" in told) == (0, True)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["profile"], manifest["t"], manifest["ids"]) == (profile, 3, ["11", "12", "13", "14", "15"])
    assert (folder / "11.share").stat().st_mode & 0o777 == 0o600
    (folder / "11.share").unlink()
    changed = bytearray((folder / "14.share").read_bytes())
    changed[100] ^= 1
    (folder / "14.share").write_bytes(changed)
    code, told, warning = run(f"join {folder} -o {back}")
    assert code == 0
    assert back.read_bytes() == source.read_bytes()
    assert "14.share is not what was split" in warning


def test_too_few_good_shares_are_told_by_name(tmp_path: Path, run: Any) -> None:
    source, folder, back = tmp_path / "readings.csv", tmp_path / "shares", tmp_path / "back.csv"
    source.write_bytes(b"reading")
    run(f"split {source} -t 3 --ids 11,12,13,14 --out {folder}")
    (folder / "11.share").unlink()
    (folder / "12.share").write_bytes(b"")
    code, _, error = run(f"join {folder} -o {back}")
    assert code == 1
    assert error.startswith("error: shares: needs 3 of 4, 2 are good: 13, 14; not there: 11; ")
    assert "12.share is not what was split" in error
    assert not back.exists()


def test_a_file_of_several_parts(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_folder, "part_lengths", lambda length: [1000, 1000, length - 2000])
    source, folder, back = tmp_path / "readings.csv", tmp_path / "shares", tmp_path / "back.csv"
    source.write_bytes(random.Random(1).randbytes(2500))
    run(f"split {source} -t 2 --ids 1,2,3 --out {folder}")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [part["length"] for part in manifest["parts"]] == [1000, 1000, 500]
    (folder / "1.share").unlink()
    assert run(f"join {folder} -o {back}")[0] == 0
    assert back.read_bytes() == source.read_bytes()


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, run: Any) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    code, _, error = run(f"split {source} --profile copies -t 2 --ids 1,2 --out {tmp_path / 'shares'}")
    assert code == 1
    assert error == "error: length: 67108865 bytes are more than 67108864\n"
    assert not (tmp_path / "shares").exists()


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path, run: Any) -> None:
    source, folder = tmp_path / "readings.csv", tmp_path / "shares"
    source.write_bytes(b"reading")
    folder.mkdir()
    (folder / "mine").touch()
    code, _, error = run(f"split {source} -t 2 --ids 1,2,3 --out {folder}")
    assert (code, "not empty" in error) == (1, True)
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_given_random_numbers_make_the_same_files(tmp_path: Path, run: Any) -> None:
    source, folder = tmp_path / "readings.csv", tmp_path / "shares"
    source.write_bytes(b"reading")
    assert run(f"split {source} --profile article --draw 5 -t 2 --ids 1,2 --out {folder}")[0] == 0
    assert (folder / "2.share").read_bytes() == recursive.split(b"reading", 2, [1, 2], lambda: 5)[2]
    code, _, error = run(f"split {source} --draw 5 -t 2 --ids 1,2 --out {tmp_path / 'other'}")
    assert (code, error.startswith("error: draws: ")) == (1, True)


def mutated(manifest: dict[str, Any], drawn: random.Random) -> dict[str, Any]:
    """A manifest with one value, anywhere in it, replaced or removed."""
    copy: dict[str, Any] = json.loads(json.dumps(manifest))
    place: Any = copy
    while True:
        key = drawn.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], (dict, list)) or not place[key] or drawn.random() < 0.3:
            break
        place = place[key]
    if isinstance(place, dict) and drawn.random() < 0.2:
        del place[key]
    else:
        place[key] = drawn.choice([None, 0, -1, 2**70, "", "x", "0" * 64, [], {}, [1], {"a": 1}, True, 1.5])
    return copy


def test_a_manifest_that_was_changed_never_gives_other_data(tmp_path: Path, run: Any) -> None:
    source, folder, back = tmp_path / "readings.csv", tmp_path / "shares", tmp_path / "back.csv"
    source.write_bytes(b"reading")
    run(f"split {source} -t 2 --ids 1,2,3 --out {folder}")
    path = folder / "manifest.json"
    manifest, drawn = json.loads(path.read_text()), random.Random(4)
    refused = 0
    for _ in range(300):
        path.write_text(json.dumps(mutated(manifest, drawn)))
        code, _, error = run(f"join {folder} -o {back}")
        if code == 0:
            assert back.read_bytes() == b"reading"
            back.unlink()
        else:
            assert (code, error.startswith("error: "), error.count("\n")) == (1, True, 1), error
            refused += 1
        assert not back.exists()
    assert refused > 200


@pytest.mark.parametrize(
    "line",
    [
        "split",
        "split x -t 2",
        "split --json - -t 2",
        "join",
        "join x",
        "join x -o y --json -",
        "leak",
        "leak -t 2",
        "leak -t x --ids 1",
        "leak -t 2 --ids 1,,2",
        "leak --json - -t 2",
        "join x -o y --profile copies",
        "other",
        "",
    ],
)
def test_wrong_usage(line: str, run: Any) -> None:
    code, _, error = run(line)
    assert code == 2
    assert not line or (error.startswith("error: ") and error.count("\n") == 1)


def test_a_file_that_is_not_there(tmp_path: Path, run: Any) -> None:
    for line in (f"split {tmp_path}/no -t 2 --ids 1,2 --out {tmp_path}/out", f"join {tmp_path}/no -o {tmp_path}/back"):
        code, _, error = run(line)
        assert code == 1
        assert "No such file" in error


def test_help_names_every_subcommand(run: Any) -> None:
    code, told, _ = run("--help")
    assert code == 0
    assert all(name in told for name in SUBCOMMANDS)


@pytest.mark.parametrize("name", ["split", "join", "leak"])
def test_a_subcommands_help(name: str, run: Any) -> None:
    code, told, _ = run(f"{name} --help")
    assert code == 0
    assert f"gridledger vault {name}" in told


def test_the_command_is_known() -> None:
    assert {"vault"} <= cli.own_parsers.NAMES
