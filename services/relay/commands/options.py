"""What the commands' parsers share: their shape, and the options of those that talk to a network."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from gridledger.client.profile import DEFAULT_PROFILE, PROFILE_VARIABLE
from gridledger.command_line import EXIT_USAGE, one_line
from gridledger.errors import InputError
from gridledger.field.minutes import minute_of

PROGRAM = "gridledger relay"


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line, as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        sys.stderr.write(f"error: {one_line(message)}. See {self.prog} --help\n")
        sys.exit(EXIT_USAGE)


def new_parser(name: str, description: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """A subcommand's parser, whose help ends with examples; each is what follows ``gridledger relay``."""
    shown = "\n".join(f"  {PROGRAM} {example}" for example in examples)
    return _Parser(
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Which network."""
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE),
        help=f"the network's folder, or its connection profile (default: %(default)s; {PROFILE_VARIABLE})",
    )


def add_reading(parser: argparse.ArgumentParser, *, relay: bool = True) -> None:
    """Which network, as whom, of which relay, for whom the output is."""
    add_network(parser)
    parser.add_argument("--user", metavar="ORG/NAME", help="as whom (default: the network's first user)")
    if relay:
        parser.add_argument("--relay", metavar="ID", help="the relay (default: the only one)")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Output for programs."""
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for programs")


def add_range(parser: argparse.ArgumentParser, default: str) -> None:
    """A range of minutes; ``default`` says in words what it is without these options."""
    parser.add_argument(
        "--from",
        dest="begin",
        type=minute_argument,
        metavar="MINUTE",
        help=f"the first minute, as 2026-11-30T02:24Z or an epoch minute (default: {default})",
    )
    parser.add_argument(
        "--to",
        dest="end",
        type=minute_argument,
        metavar="MINUTE",
        help="the minute behind the last one (default: now)",
    )


def minute_argument(text: str) -> int:
    """A minute, for argparse."""
    try:
        return minute_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(one_line(error.message)) from None


def count_up_to(most: int) -> Callable[[str], int]:
    """A whole number from 1 to ``most``, for argparse."""

    def count(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= most):
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
        return int(text)

    return count
