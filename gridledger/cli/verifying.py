"""The process in which ``gridledger verify`` reads a ledger: a damaged file may end it, and its parent says so.

``python -m gridledger.cli.verifying FOLDER [FOLDER CHAINCODE]`` writes one JSON object to standard output: the report,
or the error. The second folder is that of the channel on which the contract ``anchors`` runs, under the name CHAINCODE.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridledger import jsontext
from gridledger.command_line import EXIT_INTERRUPTED
from gridledger.errors import CorruptionError, GridLedgerError, from_wire

if TYPE_CHECKING:
    from gridledger.ledger import Ledger
    from gridledger.ledger.verify import VerifyReport


def verify_in_child(folder: Path, anchors: tuple[Path, str] | None = None) -> dict[str, Any]:
    """The report on the ledger in a folder, as ``main`` writes it. Raises what the child met, or how it ended."""
    more = [] if anchors is None else [str(anchors[0]), anchors[1]]
    command = [sys.executable, "-m", "gridledger.cli.verifying", str(folder), *more]
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


def main(folder: Path, anchors: tuple[Path, str] | None = None) -> int:
    """Verify the ledger in a folder, and write the report; with ``anchors``, compare it with what another channel keeps
    of it: the folder of that channel's ledger, and the name of the contract."""
    try:
        from gridledger.ledger import Ledger  # noqa: PLC0415
        from gridledger.ledger.verify import verify  # noqa: PLC0415

        with Ledger.open(folder.parent, folder.name, readonly=True) as ledger, _progress() as progress:
            report = verify(ledger, progress=progress)
            anchored = None if anchors is None else _compare_anchors(ledger, *anchors, report)
        answer = {
            "channel": report.channel,
            "ok": report.ok,
            "blocks": report.blocks,
            "transactions": report.transactions,
            "keys": report.keys,
            "commit_hash": report.commit_hash,
            "faults": [{"block": fault.block, "message": fault.message} for fault in report.faults],
            **({} if anchored is None else {"anchored": anchored}),
            "text": "\n".join([str(report), *([] if anchored is None else [_anchored_told(anchored)])]),
        }
    except GridLedgerError as error:
        answer = {"status": error.status, "error": error.to_dict()}
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    sys.stdout.buffer.write(jsontext.dumps(answer))
    return 0


def _compare_anchors(ledger: Ledger, folder: Path, chaincode: str, report: VerifyReport) -> dict[str, int]:
    """How many anchors agree with the ledger, and up to which size; what does not is a fault."""
    from gridledger.client.anchors import Anchor, NotAnchored, compare  # noqa: PLC0415
    from gridledger.ledger import Ledger  # noqa: PLC0415
    from gridledger.protocol.merkle import Tree  # noqa: PLC0415

    prefix = f"anchored/{ledger.channel}/"
    with Ledger.open(folder.parent, folder.name, readonly=True) as other, other.snapshot() as there:
        kept = there.range(chaincode, prefix, prefix[:-1] + "0")
        anchors = [Anchor.from_dict(jsontext.loads(value)) for _, value, _ in kept]
    if not anchors:
        report.add(None, f"the chaincode {chaincode!r} on {folder.name} has no anchor of {ledger.channel}")
    tree = Tree()
    with ledger.snapshot() as snapshot:
        for number in range(snapshot.height):
            tree.append(snapshot.header(number).leaf_hash)
    try:
        compared = compare(tree, anchors)
    except NotAnchored as error:
        report.add(error.details["blocks"][0], error.message)
        return {"anchors": len(anchors), "agree": 0, "size": error.details["blocks"][0]}
    if compared.beyond:
        report.add(
            None, f"it has {tree.size} blocks, and {anchors[-1].size} are anchored: it is behind, or was cut off"
        )
    return {"anchors": len(anchors), "agree": compared.agree, "size": compared.size}


def _anchored_told(anchored: dict[str, int]) -> str:
    return f"{anchored['agree']} of {anchored['anchors']} anchors agree, over {anchored['size']} blocks"


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
    sys.exit(main(Path(sys.argv[1]), (Path(sys.argv[2]), sys.argv[3]) if sys.argv[2:] else None))
