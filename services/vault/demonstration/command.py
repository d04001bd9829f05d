"""``gridledger vault demo``: the demonstration from the command line."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from gridledger.command_line import EXIT_INTERRUPTED
from gridledger.demonstration.console import Console
from gridledger.demonstration.running import run_to_end
from gridledger.extras import require_extra, require_server

_BEGUN = time.monotonic()
_MOST_PERIODS = 2000


def main(argv: list[str]) -> int:
    """Run the demonstration; the exit code: 0 when all that had to hold did."""
    parser = argparse.ArgumentParser(
        prog="gridledger vault demo",
        description="Five clusters of a substation keep their monitoring data in shares while holders are killed, a "
        "byte is flipped, sensors join and are revoked, a peer is cut off, and two holders collude. Leaves a report "
        "in --out.",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the monitoring data (default: %(default)s)")
    parser.add_argument(
        "--periods", type=_periods, default=120, help="minutes of data of each cluster (default: %(default)s)"
    )
    parser.add_argument(
        "--dir", dest="folder", type=Path, default=Path("out/network-vault"), help="the network's folder, made anew"
    )
    parser.add_argument("--out", type=Path, default=Path("out/vault"), help="where report, tables and summary go")
    parser.add_argument("--port-offset", type=int, default=0, help="add this to every port")
    arguments = parser.parse_args(argv)
    require_server("gridledger vault demo")
    require_extra("vault", "gridledger vault demo")
    from services.vault.demonstration.demo import DemoOptions, demonstrate  # noqa: PLC0415 -- --help does without

    try:
        return run_to_end(demonstrate(DemoOptions(**vars(arguments), begun=_BEGUN), Console()))
    except asyncio.CancelledError:
        sys.stderr.write("stopped\n")
        return EXIT_INTERRUPTED


def _periods(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _MOST_PERIODS:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_PERIODS}")
    return value
