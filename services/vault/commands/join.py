"""``gridledger vault join``: join shares to what was split, offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gridledger.cli.output import note, say, say_json
from gridledger.files import write_atomically
from gridledger.sharing.errors import ShareBroken, SharingError
from gridledger.sharing.profiles import PROFILES, join, join_plain, needed, resplit
from services.vault.commands.json_input import (
    check_members,
    hex_by_id,
    hex_bytes,
    read_json,
    whole_number,
    whole_numbers,
)
from services.vault.commands.options import add_json_input, new_parser
from services.vault.commands.share_folder import read_shares

_SHA256_DIGITS = 64


def main(argv: list[str]) -> int:
    """Join a folder of shares to a file, or what stands in a JSON document."""
    parser = new_parser(
        "join",
        "Join shares to what was split. Each share of a folder is first held against the manifest's commitment; one "
        "that does not fit is named and left out.",
        (
            "join shares -o readings.csv",
            'join --profile article --json - <<< \'{"t": 3, "ids": [1, 2, 3], "shares": {"1": "00..", ...}}\'',
        ),
    )
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="manifest.json and shares")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write the data")
    parser.add_argument("--profile", choices=PROFILES, help="of the JSON document's shares (default: sealed)")
    add_json_input(parser, "t, ids and shares; of sealed also length, cipher_sha256 and head")
    options = parser.parse_args(argv)
    if options.json_input is not None:
        if options.folder is not None or options.output is not None:
            parser.error("--json stands in place of FOLDER and -o")
        say_json(_join_json(options.profile or "sealed", read_json(options.json_input)))
        return 0
    if options.folder is None or options.output is None:
        parser.error("FOLDER and -o FILE are needed, or --json")
    if options.profile is not None:
        parser.error("the manifest names the profile")
    data, complaints = read_shares(options.folder)
    for complaint in complaints:
        note(f"warning: {complaint}")
    write_atomically(options.output, data)
    say(f"{len(data):,} bytes in {options.output}")
    return 0


def _join_json(profile: str, given: dict[str, Any]) -> dict[str, Any]:
    sealed = ("length", "cipher_sha256")
    if profile == "sealed":
        check_members(given, ("t", "ids", "shares", *sealed), ("head",))
    else:
        check_members(given, ("t", "ids", "shares"))
    t, ids = whole_number(given["t"], "t"), whole_numbers(given["ids"], "ids")
    shares = hex_by_id(given["shares"], "shares")
    head = hex_bytes(given["head"], "head") if "head" in given else b""
    if profile == "sealed":
        cipher = given["cipher_sha256"]
        if len(hex_bytes(cipher, "cipher_sha256")) * 2 != _SHA256_DIGITS:
            raise SharingError("cipher_sha256", "64 hex digits are wanted")
        length = whole_number(given["length"], "length")
        data = join(profile, shares, t, ids, head=head, length=length, cipher_sha256=cipher.lower())
    else:
        data = join_plain(profile, shares, t, ids)
    _check_others(profile, data, shares, t, ids, head=head)
    return {"data_hex": data.hex()}


def _check_others(
    profile: str, data: bytes, shares: Mapping[int, bytes], t: int, ids: Sequence[int], *, head: bytes
) -> None:
    """Shares beyond those that were joined must be of the same data: nothing else here tells a wrong share."""
    used = list(shares)[: needed(profile, t)]
    if len(shares) == len(used):
        return
    again = resplit(profile, data, {x: shares[x] for x in used}, t, ids, head=head)
    wrong = [str(x) for x, share in shares.items() if again[x] != share]
    if wrong:
        first = ", ".join(map(str, used))
        raise ShareBroken("shares", f"{', '.join(wrong)} do not fit {first}: one at least was changed")
