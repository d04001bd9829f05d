"""``gridledger vault leak``: what shares of the profile ``article`` tell of the data."""

from __future__ import annotations

from typing import Any

from gridledger.cli.output import say, say_json, say_table
from gridledger.sharing.errors import SharingError
from gridledger.sharing.field import P521
from gridledger.sharing.leak import Leak, leak
from services.vault.commands.json_input import check_members, number, read_json, whole_number, whole_numbers
from services.vault.commands.options import add_json_input, add_scheme, new_parser, whole


def main(argv: list[str]) -> int:
    """Print for k = 1 ... t how many of the t - 1 parts the first k shares tell, and the weak ids."""
    parser = new_parser(
        "leak",
        "Tell what the first k shares of the profile article tell of the data's t - 1 parts, and which ids are weak: "
        "their share does not depend on the random number. Needs no network and no extra.",
        (
            "leak -t 3 --ids 11,12,13",
            "leak -t 3 --p 13 --ids 6,1,2",
            'leak --json - <<< \'{"t": 3, "p": 13, "ids": [1, 2, 3]}\'',
        ),
    )
    add_scheme(parser)
    parser.add_argument("--p", type=whole, metavar="PRIME", help="the field's prime (default: 2^521 - 1)")
    parser.add_argument("--points", choices=("counted", "ids"), default=None, help="where inner values are taken")
    add_json_input(parser, "t, p and ids")
    options = parser.parse_args(argv)
    if options.json_input is not None:
        if any(value is not None for value in (options.t, options.ids, options.p, options.points)):
            parser.error("--json stands in place of -t, --ids, --p and --points")
        say_json(_leak_json(read_json(options.json_input)))
        return 0
    if options.t is None or options.ids is None:
        parser.error("-t and --ids are needed, or --json")
    found = leak(options.t, options.ids, P521 if options.p is None else options.p, options.points or "counted")
    _tell(options.t, found)
    return 0


def _leak_json(given: dict[str, Any]) -> dict[str, Any]:
    check_members(given, ("t", "ids"), ("p", "points"))
    t, ids = whole_number(given["t"], "t"), whole_numbers(given["ids"], "ids")
    p = whole_number(given["p"], "p") if "p" in given else P521
    points = given.get("points", "counted")
    if points not in ("counted", "ids"):
        raise SharingError("points", 'neither "counted" nor "ids"')
    found = leak(t, ids, p, points)
    return {"elements": list(found.elements), "weak": [number(x) for x in found.weak]}


def _tell(t: int, found: Leak) -> None:
    rows = [
        (k, f"{told} of {t - 1}", ", ".join(f"d_{part}" for part in parts) or "none")
        for k, (told, parts) in enumerate(zip(found.elements, found.parts, strict=True), start=1)
    ]
    say_table(("shares", "parts' worth told", "parts in the open"), rows)
    say(f"weak ids: {', '.join(map(str, found.weak)) or 'none'}")
    if found.repeated:
        say(f"equal modulo the prime to one before them: {', '.join(map(str, found.repeated))}")
