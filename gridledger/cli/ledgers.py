"""The command ``verify``: validates a ledger's files again, without a network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.options import Json
from gridledger.cli.output import say, say_json
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import NotFoundError

if TYPE_CHECKING:
    from gridledger.ledger.verify import VerifyReport


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
    report = _verify(ledger)
    if as_json:
        say_json(
            {
                "channel": report.channel,
                "ok": report.ok,
                "blocks": report.blocks,
                "transactions": report.transactions,
                "keys": report.keys,
                "commit_hash": report.commit_hash,
                "faults": [{"block": fault.block, "message": fault.message} for fault in report.faults],
            }
        )
    else:
        say(str(report))
    return 0 if report.ok else EXIT_FAILED


def _verify(folder: Path) -> VerifyReport:
    from gridledger.ledger import Ledger  # noqa: PLC0415
    from gridledger.ledger.verify import verify as verify_ledger  # noqa: PLC0415

    if not (folder / "data.mdb").is_file():
        raise NotFoundError(f"{folder} is no ledger's folder; one is NODE/data/ledger/CHANNEL")
    path = folder.resolve()
    with Ledger.open(path.parent, path.name, readonly=True) as ledger, _progress() as progress:
        return verify_ledger(ledger, progress=progress)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Tells of (blocks done, height) on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = ("verifying", BarColumn(), MofNCompleteColumn(), "blocks", TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, height: bar.update(task, completed=done, total=height)
