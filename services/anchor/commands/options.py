"""What the commands share: their parsers, and how they reach the ledger."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gridledger.client import SigningIdentity
from gridledger.client.profile import DEFAULT_PROFILE, PROFILE_VARIABLE, ConnectionProfile, load_profile
from gridledger.command_line import EXIT_USAGE, one_line

PROGRAM = "gridledger anchor"


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line, as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        sys.stderr.write(f"error: {one_line(message)}. See {self.prog} --help\n")
        sys.exit(EXIT_USAGE)


def new_parser(name: str, description: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """A subcommand's parser; each example is what follows ``gridledger anchor``."""
    shown = "\n".join(f"  {PROGRAM} {example}" for example in examples)
    parser = _Parser(
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE),
        help=f"the network's folder, or its connection profile (default: %(default)s; {PROFILE_VARIABLE})",
    )
    parser.add_argument("--user", metavar="ORG/NAME", help="as whom (default: the network's first user)")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for programs")
    return parser


def identity_of(options: argparse.Namespace) -> tuple[ConnectionProfile, SigningIdentity]:
    """The network, and the user that ``--user`` names."""
    profile = load_profile(options.directory)
    return profile, SigningIdentity.load(profile.user_folder(options.user))
