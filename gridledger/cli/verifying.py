"""The process in which ``gridledger verify`` reads a ledger: a damaged file may end it, and its parent says so.

``python -m gridledger.cli.verifying FOLDER`` writes one JSON object to standard output: the report, or the error.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.command_line import EXIT_INTERRUPTED
from gridledger.errors import CorruptionError, GridLedgerError, from_wire


def verify_in_child(folder: Path) -> dict[str, Any]:
    """The report on the ledger in a folder, as ``main`` writes it. Raises what the child met, or how it ended."""
    command = [sys.executable, "-m", "gridledger.cli.verifying", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - this very Python
    if done.returncode < 0 and done.returncode != -signal.SIGINT:
        name = signal.Signals(-done.returncode).name
        raise CorruptionError(
            f"reading the ledger in {folder} ended the process that verified it ({name}): its file is damaged; remove "
            "the folder and start the peer again: it fetches all blocks anew"
        )
    if done.returncode:
        raise KeyboardInterrupt
    answer: dict[str, Any] = jsontext.loads(done.stdout)
    if "error" in answer:
        raise from_wire(answer["status"], answer["error"])
    return answer


def main(folder: Path) -> int:
    """Verify the ledger in a folder, and write the report."""
    try:
        from gridledger.ledger import Ledger  # noqa: PLC0415
        from gridledger.ledger.verify import verify  # noqa: PLC0415

        with Ledger.open(folder.parent, folder.name, readonly=True) as ledger, _progress() as progress:
            report = verify(ledger, progress=progress)
        answer = {
            "channel": report.channel,
            "ok": report.ok,
            "blocks": report.blocks,
            "transactions": report.transactions,
            "keys": report.keys,
            "commit_hash": report.commit_hash,
            "faults": [{"block": fault.block, "message": fault.message} for fault in report.faults],
            "text": str(report),
        }
    except GridLedgerError as error:
        answer = {"status": error.status, "error": error.to_dict()}
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    sys.stdout.buffer.write(jsontext.dumps(answer))
    return 0


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


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
