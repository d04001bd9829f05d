"""The command ``gridledger``. See docs/command.md.

``simulate`` and the kinds of companions (``feeder``, ``rest``) have parsers of their own and are handed on before
anything else is imported; every other command is a function in one of this package's modules, which imports what it
needs when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gridledger.cli.own_parsers import NAMES, run_own


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in NAMES:
        return run_own(arguments[0], arguments[1:])
    from gridledger.cli.app import run  # noqa: PLC0415

    return run(arguments)
