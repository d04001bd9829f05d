"""The command ``gridledger``. See docs/command.md.

``simulate`` and the kinds of companions (``feeder``, ``rest``) have parsers of their own and are handed on before
anything else is imported; every other command is a function in one of this package's modules, which imports what it
needs when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gridledger.network.companion_kinds import KINDS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["simulate"]:
        from gridledger.contract.simulator.cli import main as simulate  # noqa: PLC0415

        return simulate(arguments[1:])
    if arguments and (kind := KINDS.get(arguments[0])) is not None:
        from gridledger.cli.project import run_service  # noqa: PLC0415

        return run_service(kind.module, arguments[1:], extra=kind.extra)
    from gridledger.cli.app import run  # noqa: PLC0415

    return run(arguments)
