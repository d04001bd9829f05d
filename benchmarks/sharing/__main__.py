"""``python -m benchmarks.sharing``: MB/s of each profile by (t, n), and bytes a node by t, as tables and JSON.

The exit code is 1 where a bar is missed: 150 MB/s each way for ``sealed`` at (5, 9), 1 MB/s for ``article``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.measure.machine import this_machine
from benchmarks.sharing.speeds import SCHEMES, Measured, Speed, measure
from benchmarks.sharing.storage import storage
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.errors import GridLedgerError
from gridledger.sharing.profiles import MAX_PART_BYTES, PROFILES

BARS_MB_S: Final = {("sealed", 5, 9): 150.0, ("article", 5, 9): 1.0}
"""Of split and of join, by the processor's time."""
FAST: Final = ("sealed", "copies")
"""Profiles whose data are as large as a part may be; the others' are smaller, as they are slower."""

_NO_WORK_MB_S: Final = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    options = _parser().parse_args(argv)
    try:
        machine = this_machine()
        print(machine)
        measured = [
            measure(profile, t, n, _data_bytes(profile, options), options.rounds)
            for profile in options.profiles
            for t, n in SCHEMES
        ]
    except GridLedgerError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    nodes = storage(options.storage_bytes)
    print(f"\n{speed_table(measured)}\n\n{storage_table(nodes)}")
    report = {
        "machine": machine.to_dict(),
        "rounds": options.rounds,
        "speeds": [one.to_dict() for one in measured],
        "storage": nodes,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sharing.json").write_text(json.dumps(report, indent=2) + "\n")
    missed = missed_bars(measured)
    for text in missed:
        print(f"MISSED: {text}", file=sys.stderr)
    return EXIT_FAILED if missed else 0


def missed_bars(measured: Sequence[Measured]) -> list[str]:
    """What is slower than it must be."""
    return [
        f"{one.profile} ({one.t}, {one.n}): {name} {speed.cpu_mb_s:.0f} MB/s is not above {bar:.0f} MB/s"
        for one in measured
        if (bar := BARS_MB_S.get((one.profile, one.t, one.n))) is not None
        for name, speed in (("split", one.split), ("join", one.join))
        if speed.cpu_mb_s <= bar
    ]


def speed_table(measured: Sequence[Measured]) -> str:
    """MB/s by the clock, and by the processor's time in brackets."""
    lines = [
        "MB/s of data, in brackets by the processor's time; commitments and audits are beside split and join",
        "",
        "| profile | t, n | data | split | join | all shares again | commitments | one audit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        speeds = (one.split, one.join, one.resplit, one.commit, one.audit)
        cells = " | ".join(map(_cell, speeds))
        lines.append(f"| `{one.profile}` | {one.t}, {one.n} | {one.data_bytes:,} | {cells} |")
    return "\n".join(lines)


def _cell(speed: Speed) -> str:
    if speed.cpu_mb_s > _NO_WORK_MB_S:
        return "no work"  # all copies are the same bytes
    return f"{speed.clock_mb_s:,.1f} ({speed.cpu_mb_s:,.1f})"


def storage_table(nodes: Sequence[dict[str, Any]]) -> str:
    """Bytes a node, as parts of the data."""
    lines = [
        f"Bytes a node, of {nodes[0]['data_bytes']:,} bytes of data",
        "",
        f"| t | 1/(t-1) | 1/t | {' | '.join(f'`{profile}`' for profile in PROFILES)} |",
        f"|---|---|---|{'---|' * len(PROFILES)}",
    ]
    for node in nodes:
        cells = " | ".join(f"{node[name]:.4f}" for name in ("claimed", "least", *PROFILES))
        lines.append(f"| {node['t']} | {cells} |")
    return "\n".join(lines)


def _data_bytes(profile: str, options: argparse.Namespace) -> int:
    wanted: int = options.bytes if profile in FAST else options.slow_bytes
    return wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sharing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profiles", choices=PROFILES, nargs="+", default=list(PROFILES))
    parser.add_argument("--bytes", type=int, default=MAX_PART_BYTES, help="of data, for sealed and copies")
    parser.add_argument("--slow-bytes", type=int, default=1024 * 1024, help="of data, for article and shamir")
    parser.add_argument("--storage-bytes", type=int, default=100_000, help="of data, for the bytes a node has")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("out/sharing-bench"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
