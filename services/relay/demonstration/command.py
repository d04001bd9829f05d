"""``gridledger relay demo``: the demonstration from the command line."""

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
_LEAST_MINUTE_S, _MOST_MINUTE_S = 2.0, 60.0
_MOST_MINUTES = 400


def main(argv: list[str]) -> int:
    """Run the demonstration; the exit code: 0 when all that had to hold did."""
    parser = argparse.ArgumentParser(
        prog="gridledger relay demo",
        description="Four servers read a simulated relay while one is killed, the relay falls silent and contradicts "
        "itself, a peer is cut off, and two servers lie. Leaves a report in --out.",
    )
    parser.add_argument("--minutes", type=_minutes, default=12, help="of the relay's clock (default and least: 12)")
    parser.add_argument("--minute-s", type=_minute_s, default=6.0, help="how long each lasts, seconds (default: 6)")
    parser.add_argument(
        "--dir", dest="folder", type=Path, default=Path("out/network-relay"), help="the network's folder, made anew"
    )
    parser.add_argument("--out", type=Path, default=Path("out/relay"), help="where report, tables and summary go")
    parser.add_argument("--port-offset", type=int, default=0, help="add this to every port")
    arguments = parser.parse_args(argv)
    require_server("gridledger relay demo")
    require_extra("relay", "gridledger relay demo")
    from services.relay.demonstration.demo import DemoOptions, demonstrate  # noqa: PLC0415 -- --help does without

    try:
        return run_to_end(demonstrate(DemoOptions(**vars(arguments), begun=_BEGUN), Console()))
    except asyncio.CancelledError:
        sys.stderr.write("stopped\n")
        return EXIT_INTERRUPTED


def _minutes(text: str) -> int:
    value = int(text)
    if not 0 < value <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"must be at most {_MOST_MINUTES}")
    return value


def _minute_s(text: str) -> float:
    value = float(text)
    if not _LEAST_MINUTE_S <= value <= _MOST_MINUTE_S:
        raise argparse.ArgumentTypeError(f"must be {_LEAST_MINUTE_S:g} to {_MOST_MINUTE_S:g}")
    return value
