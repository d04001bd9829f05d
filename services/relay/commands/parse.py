"""``gridledger relay parse``: a capture's text as JSON. Needs no network."""

from __future__ import annotations

from pathlib import Path

from gridledger.cli.output import say_json
from gridledger.field.capture import MAX_BYTES, read_capture
from services.relay.commands.files import read_bytes
from services.relay.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Print the capture; a refusal names the field and the line."""
    parser = new_parser(
        "parse",
        "Print a capture's text as JSON. Without --strict the article's figure 2 is read as it is printed.",
        ("parse capture.txt", "parse --strict '30 11 2026 02 24.txt'"),
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the capture's text")
    parser.add_argument("--strict", action="store_true", help="demand what the ledger demands of a capture")
    options = parser.parse_args(argv)
    say_json(read_capture(read_bytes(options.file, MAX_BYTES), strict=options.strict).to_dict())
    return 0
