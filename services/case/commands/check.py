"""``gridledger case check``: one proof of a kind, or the bits of a filter, from JSON."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from gridledger.cli.output import say_json
from gridledger.evidence import schnorr
from gridledger.evidence.bloom import Bloom
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.p256 import POINT_BYTES
from gridledger.protocol import merkle
from services.case.commands.json_input import check_members, hashes, hex_bytes, read_json, text, texts, whole_number
from services.case.commands.options import new_parser

_MOST_HASHES: Final = 64
"""Of a path or a consistency proof: a tree of 2^63 leaves needs no more."""


def main(argv: list[str]) -> int:
    """Read one object and print the answer."""
    parser = new_parser(
        "check",
        "Check one Schnorr proof, Merkle path or consistency proof, or make a Bloom filter's bits. Reads a JSON object "
        "whose member kind is schnorr, inclusion, consistency or bloom, and prints JSON. Needs no network, no extra.",
        (
            'check --json - <<< \'{"kind": "bloom", "names": ["pmu-7"], "m": 16, "k": 1}\'',
            "check --json proof.json",
        ),
    )
    parser.add_argument(
        "--json",
        dest="json_input",
        metavar="FILE",
        required=True,
        help="read the object from a JSON file, - for standard input",
    )
    given = read_json(parser.parse_args(argv).json_input)
    kind = text(given.get("kind", ""), "kind")
    if kind not in KINDS:
        raise EvidenceError("kind", f"must be one of {', '.join(KINDS)}, not {kind!r:.40}")
    members, check = KINDS[kind]
    check_members(given, ("kind", *members))
    say_json(check(given))
    return 0


def _schnorr(given: dict[str, Any]) -> dict[str, Any]:
    public = hex_bytes(given["A"], "A", POINT_BYTES)
    proof = schnorr.Proof(hex_bytes(given["V"], "V", POINT_BYTES), hex_bytes(given["r"], "r", 32))
    valid = schnorr.verify(public, text(given["user"], "user"), text(given["other"], "other"), proof)
    return {"valid": valid}


def _inclusion(given: dict[str, Any]) -> dict[str, Any]:
    path = hashes(given["path"], "path", _MOST_HASHES)
    index, count = whole_number(given["index"], "index"), whole_number(given["count"], "count")
    reached = merkle.root_from_path(hex_bytes(given["leaf_hex"], "leaf_hex"), index, count, path)
    return {"valid": reached == hex_bytes(given["root"], "root", 32)}


def _consistency(given: dict[str, Any]) -> dict[str, Any]:
    first, size = whole_number(given["first"], "first"), whole_number(given["size"], "size")
    first_root, root = hex_bytes(given["first_root"], "first_root", 32), hex_bytes(given["root"], "root", 32)
    proof = hashes(given["proof"], "proof", _MOST_HASHES)
    return {"valid": merkle.consistency_holds(first, first_root, size, root, proof)}


def _bloom(given: dict[str, Any]) -> dict[str, Any]:
    bloom = Bloom(whole_number(given["m"], "m"), whole_number(given["k"], "k"))
    for name in texts(given["names"], "names"):
        bloom.add(name)
    return {"bits_sha256": sha256(bloom.bits).hexdigest()}


KINDS: Final[dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any]], dict[str, Any]]]]] = {
    "schnorr": (("A", "V", "r", "user", "other"), _schnorr),
    "inclusion": (("leaf_hex", "index", "count", "path", "root"), _inclusion),
    "consistency": (("first", "first_root", "size", "root", "proof"), _consistency),
    "bloom": (("names", "m", "k"), _bloom),
}
"""The members of each kind, and what answers it."""
