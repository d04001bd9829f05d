"""The command ``verify``: validates a ledger's files again, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridledger.cli.options import Json
from gridledger.cli.output import say, say_json
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import NotFoundError


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Ledger")(verify)


def verify(
    ledger: Annotated[Path, typer.Argument(metavar="LEDGER", help="A ledger's folder, .../data/ledger/CHANNEL.")],
    *,
    as_json: Json = False,
) -> int:
    """Validate every block of a ledger again from block 0, and compare all that is stored about it.

    The peer may go on running. The exit code is 0 when all agrees, else 1. It needs the extra 'server'.

    \b
    Example:
      gridledger verify out/network/nodes/peer1/data/ledger/shard1
    """
    import gridledger.ledger  # noqa: PLC0415, F401 - says which extra is missing
    from gridledger.cli.verifying import verify_in_child  # noqa: PLC0415

    if not (ledger / "data.mdb").is_file():
        raise NotFoundError(f"{ledger} is no ledger's folder; one is NODE/data/ledger/CHANNEL")
    report = verify_in_child(ledger.resolve())
    text = report.pop("text")
    if as_json:
        say_json(report)
    else:
        say(text)
    return 0 if report["ok"] else EXIT_FAILED
