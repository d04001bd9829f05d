"""``gridledger case demo``: the demonstration from the command line."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from gridledger.command_line import EXIT_INTERRUPTED
from gridledger.demonstration.console import Console
from gridledger.demonstration.running import run_to_end
from gridledger.extras import require_extra
from services.case.commands.options import new_parser

_BEGUN = time.monotonic()
_LEAST_S, _MOST_S = 120.0, 7200.0
_MOST = 100.0


def main(argv: list[str]) -> int:
    """Run the demonstration; the exit code: 0 when all that had to hold did."""
    parser = new_parser(
        "demo",
        "The attack of December 2015 as a made-up week, on a network of three cities, while a full node dies and "
        "General is out of reach: then a case, what the rules find, and the proofs. Leaves a report in --out.",
        ("demo", "demo --seed 7 --replay-s 360"),
    )
    parser.add_argument("--seed", type=int, default=2015, help="of the story (default: %(default)s)")
    parser.add_argument(
        "--replay-s", type=_seconds, default=180.0, metavar="S", help="how long the week takes (default: %(default)g)"
    )
    parser.add_argument(
        "--quantity", type=_quantity, default=1.0, metavar="N", help="how much happens beside the attack (default: 1)"
    )
    parser.add_argument(
        "--dir", dest="folder", type=Path, default=Path("out/network-forensics"), help="the network's folder, made anew"
    )
    parser.add_argument("--out", type=Path, default=Path("out/forensics"), help="where the results go")
    parser.add_argument("--port-offset", type=int, default=0, help="add this to every port")
    arguments = parser.parse_args(argv)
    require_extra("forensics", "gridledger case demo")
    from services.case.demonstration.demo import DemoOptions, demonstrate  # noqa: PLC0415 -- --help does without

    try:
        return run_to_end(demonstrate(DemoOptions(**vars(arguments), begun=_BEGUN), Console()))
    except asyncio.CancelledError:
        sys.stderr.write("stopped\n")
        return EXIT_INTERRUPTED


def _seconds(text: str) -> float:
    value = float(text)
    if not _LEAST_S <= value <= _MOST_S:
        raise argparse.ArgumentTypeError(f"must be {_LEAST_S:g} to {_MOST_S:g}")
    return value


def _quantity(text: str) -> float:
    value = float(text)
    if not 0 < value <= _MOST:
        raise argparse.ArgumentTypeError(f"must be above 0, {_MOST:g} at most")
    return value
