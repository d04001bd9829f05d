"""What the commands' parsers share: their shape."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from gridledger.command_line import EXIT_USAGE, one_line

PROGRAM = "gridledger case"


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line, as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        sys.stderr.write(f"error: {one_line(message)}. See {self.prog} --help\n")
        sys.exit(EXIT_USAGE)


def new_parser(name: str, description: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """A subcommand's parser, whose help ends with examples; each is what follows ``gridledger case``."""
    shown = "\n".join(f"  {PROGRAM} {example}" for example in examples)
    return _Parser(
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
