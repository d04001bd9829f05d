"""``gridledger vault split``: split data into shares, offline."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from gridledger.cli.output import note, say, say_json
from gridledger.sharing import recursive
from gridledger.sharing.errors import SharingError
from gridledger.sharing.field import P521, evaluate
from gridledger.sharing.primes import check_prime
from gridledger.sharing.profiles import PROFILES, check_ids, split, split_plain
from services.vault.commands.draw import draw_of
from services.vault.commands.json_input import (
    check_members,
    hex_bytes,
    number,
    read_json,
    whole_number,
    whole_numbers,
)
from services.vault.commands.options import add_json_input, add_scheme, new_parser, whole_list
from services.vault.commands.share_folder import write_shares

WARNING = (
    "warning: the profile article hides next to nothing: k shares tell k - 1 of t - 1 parts of the data. It is for "
    "study; sealed is smaller and secret"
)


def main(argv: list[str]) -> int:
    """Split a file into a folder of shares, or what stands in a JSON document."""
    parser = new_parser(
        "split",
        "Split data into shares, of which any T join. Without a network; --profile sealed needs the extra vault.",
        (
            "split readings.csv -t 3 --ids 11,12,13,14,15 --out shares",
            "split readings.csv --profile article -t 3 --ids 11,12,13,14,15 --out shares",
            'split --profile article --json - <<< \'{"t": 3, "ids": [1, 2, 3], "data_hex": "00ff"}\'',
        ),
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="what to split, at most 64 MiB")
    parser.add_argument("--profile", choices=PROFILES, default="sealed", help="how (default: sealed)")
    add_scheme(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a new folder: a file a share, and manifest.json")
    parser.add_argument(
        "--draw", type=whole_list, metavar="NUMBER,...", help="the random numbers, for tests; not for sealed"
    )
    add_json_input(parser, "t, ids and data_hex, or t, ids, pieces, a, p and points,")
    options = parser.parse_args(argv)
    if options.profile == "article":
        note(WARNING)
    if options.json_input is not None:
        _refuse_beside_json(parser, options)
        say_json(_split_json(options.profile, read_json(options.json_input)))
        return 0
    if options.file is None or options.t is None or options.ids is None or options.out is None:
        parser.error("FILE, -t, --ids and --out are needed, or --json")
    drawn = None if options.draw is None else draw_of(options.profile, options.draw)
    count = write_shares(options.file, options.out, options.profile, options.t, options.ids, draw=drawn)
    say(f"{len(options.ids)} shares of {count:,} bytes each, and manifest.json, in {options.out}")
    return 0


def _refuse_beside_json(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if any(value is not None for value in (options.file, options.t, options.ids, options.out, options.draw)):
        parser.error("--json stands in place of FILE, -t, --ids, --out and --draw")


def _split_json(profile: str, given: dict[str, Any]) -> dict[str, Any]:
    if "pieces" in given:
        return _split_pieces(profile, given)
    check_members(given, ("t", "ids", "data_hex"), ("draws", "head"))
    t, ids = whole_number(given["t"], "t"), whole_numbers(given["ids"], "ids")
    data = hex_bytes(given["data_hex"], "data_hex")
    if profile == "sealed":
        if "draws" in given:
            raise SharingError("draws", "the profile sealed takes its key from the system alone")
        cut = split(profile, data, t, ids, head=head_of(given), randbytes=os.urandom)
        return {"shares": _as_hex(cut.shares), "length": len(data), "cipher_sha256": cut.cipher_sha256}
    if "head" in given:
        raise SharingError("head", "only the profile sealed binds shares to a head")
    check_ids(profile, t, ids)
    if "draws" not in given:
        return {"shares": _as_hex(split(profile, data, t, ids, head=b"", randbytes=os.urandom).shares)}
    drawn = draw_of(profile, whole_numbers(given["draws"], "draws"))
    shares = split_plain(profile, data, t, ids, drawn)
    drawn.check_all_used()
    return {"shares": _as_hex(shares)}


def _split_pieces(profile: str, given: dict[str, Any]) -> dict[str, Any]:
    """The article's scheme for parts that are given, in any prime field and either reading."""
    if profile != "article":
        raise SharingError("pieces", "only the profile article splits parts that are given")
    check_members(given, ("t", "ids", "pieces", "a"), ("p", "points"))
    t, ids = whole_number(given["t"], "t"), whole_numbers(given["ids"], "ids")
    p = whole_number(given["p"], "p") if "p" in given else P521
    check_prime(p)
    points = given.get("points", "counted")
    if points not in ("counted", "ids"):
        raise SharingError("points", 'neither "counted" nor "ids"')
    pieces, a = whole_numbers(given["pieces"], "pieces"), whole_number(given["a"], "a")
    recursive.check_ids(t, ids, p, points)
    if len(pieces) != t - 1:
        raise SharingError("pieces", f"{len(pieces)} are there, t - 1 = {t - 1} are wanted")
    for name, values in (("pieces", pieces), ("a", [a])):
        if max(values) >= p:
            raise SharingError(name, f"{max(values)} is not below p")
    coefficients = recursive.polynomial(pieces, a, recursive.inner_points(points, t, ids), p)
    return {
        "coefficients": [number(coefficient) for coefficient in coefficients],
        "shares": [[number(x), number(evaluate(coefficients, x, p))] for x in ids],
    }


def head_of(given: dict[str, Any]) -> bytes:
    """The associated data: what the member ``head`` holds as hex, nothing without it."""
    return hex_bytes(given["head"], "head") if "head" in given else b""


def _as_hex(shares: dict[int, bytes]) -> dict[str, str]:
    return {str(x): share.hex() for x, share in shares.items()}
