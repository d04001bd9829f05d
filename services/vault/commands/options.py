"""What the commands' parsers share: their shape, and the options that several have."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import NoReturn

from gridledger.command_line import EXIT_USAGE, one_line
from gridledger.sharing.errors import SharingError
from services.vault.commands.json_input import whole_number

PROGRAM = "gridledger vault"
_DAY_S = 86_400


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line, as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        sys.stderr.write(f"error: {one_line(message)}. See {self.prog} --help\n")
        sys.exit(EXIT_USAGE)


def new_parser(name: str, description: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """A subcommand's parser, whose help ends with examples; each is what follows ``gridledger vault``."""
    shown = "\n".join(f"  {PROGRAM} {example}" for example in examples)
    return _Parser(
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_json_input(parser: argparse.ArgumentParser, members: str) -> None:
    """A JSON document in place of options and files."""
    parser.add_argument(
        "--json",
        dest="json_input",
        metavar="FILE",
        help=f"read {members} from a JSON file, - for standard input, and print JSON; numbers beyond 2^53 are decimal "
        "text in both",
    )


def add_scheme(parser: argparse.ArgumentParser) -> None:
    """Threshold and ids."""
    parser.add_argument("-t", type=whole, metavar="T", help="how many shares join, from 2 on")
    parser.add_argument("--ids", type=whole_list, metavar="ID,...", help="the holders' ids, in the order of fragments")


def whole(text: str) -> int:
    """A whole number of any size, for argparse."""
    try:
        return whole_number(text, "number")
    except SharingError as error:
        raise argparse.ArgumentTypeError(one_line(error.message)) from None


def seconds(text: str) -> float:
    """A time from 0 s to a day, for argparse: what is waited for has an end."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _DAY_S:
        raise argparse.ArgumentTypeError(f"seconds from 0 to {_DAY_S}")
    return value


def whole_list(text: str) -> list[int]:
    """Whole numbers with commas between them, for argparse."""
    return [whole(part.strip()) for part in text.split(",")]
