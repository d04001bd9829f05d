"""``gridledger vault get``: read an object."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from gridledger.cli.output import note, say, say_json
from gridledger.errors import InputError
from gridledger.files import write_atomically
from services.vault.commands.network_options import add_network, opened
from services.vault.commands.options import new_parser
from services.vault.layering import get_layered
from services.vault.reader import Read, Reader

_PRIVATE = 0o600


def main(argv: list[str]) -> int:
    """Read an object into a file; the exit code."""
    parser = new_parser(
        "get",
        "Read an object: the ledger grants and keeps the read, the first holders that serve good shares give the data. "
        "Holders that serve others are reported.",
        (
            "get oil-2026.11 -o oil.csv --purpose 'yearly report'",
            "get oil-2026.11 -o - --purpose inspection --all | head",
        ),
    )
    parser.add_argument("object", metavar="OBJECT", help="its name")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="where the data go; - for standard output")
    parser.add_argument("--purpose", required=True, metavar="TEXT", help="why; it stands on the ledger")
    parser.add_argument("--version", type=int, metavar="N", help="which version (default: the newest that is stored)")
    parser.add_argument("--all", dest="ask_all", action="store_true", help="wait for every holder, to find wrong ones")
    parser.add_argument(
        "--layered", action="store_true", help="where heads do not serve, take their shares from their clusters"
    )
    parser.add_argument(
        "--even-if-false", action="store_true", help="give the data although the dealer's shares do not belong together"
    )
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    if options.layered and (options.ask_all or options.even_if_false or options.version):
        parser.error("--layered goes with none of --all, --even-if-false, --version")
    read = asyncio.run(_run(options))
    _write(options.out, read.data)
    for holder in read.reported:
        note(f"warning: {holder} served another share than it committed to; the ledger has the proof")
    for holder in read.suspected:
        note(f"warning: {holder} served wrong bytes under the right root; the ledger has it as suspected")
    for holder in read.false:
        note(f"warning: the dealer gave {holder} a share that does not belong to these data")
    if options.as_json and options.out != "-":
        say_json({**read.to_dict(), "file": options.out})
    elif options.out != "-":
        say(f"{options.out}: {len(read.data)} bytes of {options.object}, by {', '.join(read.answered)}")
    return 0


async def _run(options: argparse.Namespace) -> Read:
    async with opened(options) as session:
        if options.layered:
            return await get_layered(session, options.object, options.purpose)
        return await Reader(session).get(
            options.object,
            options.purpose,
            version=options.version,
            ask_all=options.ask_all,
            even_if_false=options.even_if_false,
        )


def _write(target: str, data: bytes) -> None:
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        write_atomically(Path(target), data, mode=_PRIVATE)
    except OSError as error:
        raise InputError(f"{target}: {error.strerror or error}") from None
