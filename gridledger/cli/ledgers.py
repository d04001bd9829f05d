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
    anchors: Annotated[
        Path | None,
        typer.Option(metavar="LEDGER", help="The ledger of the channel with its anchors: compare them too, offline."),
    ] = None,
    chaincode: Annotated[str, typer.Option(metavar="NAME", help="The contract of the anchors.")] = "anchors",
    as_json: Json = False,
) -> int:
    """Validate every block of a ledger again from block 0, and compare all that is stored about it.

    With --anchors also: whether it is the chain of which another channel keeps the heads. Take that ledger from another
    organisation. The peer may go on running. The exit code is 0 when all agrees, else 1. It needs the extra 'server'.

    \b
    Examples:
      gridledger verify out/network/nodes/peer1/data/ledger/shard1
      gridledger verify nodes/peer1/data/ledger/shard1 --anchors nodes/peer3/data/ledger/mainchain
    """
    import gridledger.ledger  # noqa: PLC0415, F401 - says which extra is missing
    from gridledger.cli.verifying import verify_in_child  # noqa: PLC0415

    for folder in filter(None, (ledger, anchors)):
        if not (folder / "data.mdb").is_file():
            raise NotFoundError(f"{folder} is no ledger's folder; one is NODE/data/ledger/CHANNEL")
    report = verify_in_child(ledger.resolve(), None if anchors is None else (anchors.resolve(), chaincode))
    text = report.pop("text")
    if as_json:
        say_json(report)
    else:
        say(text)
    return 0 if report["ok"] else EXIT_FAILED
