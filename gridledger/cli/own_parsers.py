"""Commands with parsers of their own: ``simulate``, and kinds of companions (``case``, ``feeder``, ``relay``,
``rest``, ``vault``)."""

from __future__ import annotations

from collections.abc import Sequence

from gridledger.network.companion_kinds import KINDS

SIMULATE = "simulate"
NAMES = frozenset((SIMULATE, *(name for name, kind in KINDS.items() if kind.is_command)))


def run_own(name: str, arguments: Sequence[str]) -> int:
    """Run one of ``NAMES``; the exit code."""
    if name == SIMULATE:
        from gridledger.contract.simulator.cli import main as simulate  # noqa: PLC0415

        return simulate(list(arguments))
    from gridledger.cli.project import run_service  # noqa: PLC0415

    kind = KINDS[name]
    if kind.asks_for_extra:
        return run_service(kind.module, list(arguments), extra=None, server=False)
    return run_service(kind.module, list(arguments), extra=kind.extra)
