"""``gridledger case check``: the pinned JSON of each kind, what is false, and refusals that name the member."""

from __future__ import annotations

import io
import json
import sys
from hashlib import sha256
from typing import Any

import pytest

from gridledger.evidence import schnorr
from gridledger.protocol import merkle
from services.case.__main__ import SUBCOMMANDS, main
from tests.support.openssl_points import times_g

ORDER = 115792089210356248762697446949407573529996955224135760342422259061068512044369


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Check a JSON document from standard input: (exit code, answer, standard error)."""

    def call(given: Any) -> tuple[int, Any, str]:
        text = given if isinstance(given, str) else json.dumps(given)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code = main(["check", "--json", "-"])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    return call


def openssl_proof() -> dict[str, str]:
    """A proof with a = 3 and v = 5, its points by OpenSSL, its hash written out."""
    g, a, v = times_g(1), times_g(3), times_g(5)
    user, other = "pmu-7", '{"seq":1}'
    hashed = b"".join(len(part).to_bytes(4, "big") + part for part in (g, v, a, user.encode(), other.encode()))
    c = int(sha256(hashed).hexdigest(), 16) % ORDER
    r = (5 - 3 * c) % ORDER
    return {"kind": "schnorr", "A": a.hex(), "V": v.hex(), "r": f"{r:064x}", "user": user, "other": other}


SCHNORR = openssl_proof()
LEAVES = [b"a", b"b", b"c", b"d", b"e"]
INCLUSION: dict[str, Any] = {
    "kind": "inclusion",
    "leaf_hex": b"c".hex(),
    "index": 2,
    "count": 5,
    "path": [item.hex() for item in merkle.path(LEAVES, 2)],
    "root": merkle.root(LEAVES).hex(),
}


def consistency() -> dict[str, Any]:
    tree = merkle.Tree()
    for item in LEAVES:
        tree.append(merkle.leaf_hash(item))
    proof = [item.hex() for item in tree.consistency(3, 5)]
    roots = {"first_root": tree.root(3).hex(), "root": tree.root(5).hex()}
    return {"kind": "consistency", "first": 3, "size": 5, "proof": proof, **roots}


CONSISTENCY = consistency()
BLOOM: dict[str, Any] = {"kind": "bloom", "names": ["pmu-7"], "m": 16, "k": 1}


def test_each_kind_is_answered(check: Any) -> None:
    for given in (SCHNORR, INCLUSION, CONSISTENCY):
        assert check(given) == (0, {"valid": True}, "")
    # printf 'gridledger-bloom-1\0pmu-7' | sha256sum begins with 403a83cdaf796f52, which is 2 modulo 16
    assert check(BLOOM) == (0, {"bits_sha256": sha256(b"\x20\x00").hexdigest()}, "")


def test_of_each_kind_what_does_not_hold_is_false(check: Any) -> None:
    other_point = schnorr.public_of(77).hex()
    for given in (
        {**SCHNORR, "user": "pmu-8"},
        {**SCHNORR, "other": "{}"},
        {**SCHNORR, "A": other_point},
        {**SCHNORR, "V": other_point},
        {**SCHNORR, "A": "04" + "0" * 128},
        {**SCHNORR, "r": "f" * 64},
        {**SCHNORR, "r": "0" * 64},
        {**INCLUSION, "index": 3},
        {**INCLUSION, "index": 5},
        {**INCLUSION, "count": 4},
        {**INCLUSION, "leaf_hex": ""},
        {**INCLUSION, "path": INCLUSION["path"][:-1]},
        {**INCLUSION, "root": "0" * 64},
        {**CONSISTENCY, "first": 2},
        {**CONSISTENCY, "first": 6},
        {**CONSISTENCY, "size": 9},
        {**CONSISTENCY, "proof": []},
        {**CONSISTENCY, "first_root": CONSISTENCY["root"]},
    ):
        assert check(given) == (0, {"valid": False}, "")


def test_big_hex_digits_and_numbers_as_text_are_read_too(check: Any) -> None:
    assert check({**SCHNORR, "A": SCHNORR["A"].upper()})[1] == {"valid": True}
    assert check({**INCLUSION, "index": "2", "count": "5"})[1] == {"valid": True}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "not a JSON text"),
        ("[]", "is no object"),
        ('{"kind":"bloom","kind":"bloom"}', "comes twice"),
        ({}, "kind: must be one of schnorr, inclusion, consistency, bloom"),
        ({"kind": 1}, "kind: a text is wanted"),
        ({"kind": "ring"}, "kind: must be one of"),
        ({**SCHNORR, "c": "1"}, "c: there is no such member"),
        ({name: SCHNORR[name] for name in SCHNORR if name != "r"}, "r: it is missing"),
        ({**SCHNORR, "A": SCHNORR["A"][:-2]}, "A: 130 hex digits are wanted, not 128"),
        ({**SCHNORR, "V": "zz" * 65}, "V: they are no hex digits in pairs"),
        ({**SCHNORR, "r": " " + SCHNORR["r"][1:]}, "r: they are no hex digits"),
        ({**SCHNORR, "user": None}, "user: a text is wanted"),
        ({**INCLUSION, "index": -1}, "index: -1 is no whole number"),
        ({**INCLUSION, "index": True}, "index: True is no whole number"),
        ({**INCLUSION, "count": 1.5}, "count: 1.5 is no whole number"),
        ({**INCLUSION, "path": "x"}, "path: a list of texts is wanted"),
        ({**INCLUSION, "path": ["00"]}, "path[0]: 64 hex digits are wanted"),
        ({**INCLUSION, "path": ["00" * 32] * 65}, "path: at most 64 hashes"),
        ({**CONSISTENCY, "proof": [1]}, "proof[0]: a text is wanted"),
        ({**CONSISTENCY, "root": "0" * 62}, "root: 64 hex digits are wanted"),
        ({**BLOOM, "m": 0}, "m: a filter has 1 to"),
        ({**BLOOM, "m": 2**40}, "m: a filter has 1 to"),
        ({**BLOOM, "k": 65}, "k: a name sets 1 to 64"),
        ({**BLOOM, "names": "pmu-7"}, "names: a list of texts is wanted"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_member(given: Any, says: str, check: Any) -> None:
    code, answer, told = check(given)
    assert (code, answer) == (1, None)
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert says in told


def test_a_file_is_read_as_standard_input_is(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(SCHNORR))
    assert main(["check", "--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True}
    assert main(["check", "--json", str(tmp_path / "none")]) == 1
    assert "none: No such file" in capsys.readouterr().err


def test_wrong_usage_has_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["nonsense"]) == 2
    for wrong in (["check"], ["check", "--json"], ["check", "--unknown"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2
    capsys.readouterr()


def test_help_tells_of_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in SUBCOMMANDS)
    for name in SUBCOMMANDS:
        assert exit_code([name, "--help"]) == 0
        assert f"gridledger case {name}" in capsys.readouterr().out


def exit_code(argv: list[str]) -> object:
    """How a command ends: argparse leaves by SystemExit, a command with verbs of its own answers."""
    try:
        return main(argv)
    except SystemExit as ended:
        return ended.code
