"""``python -m services.feeder``: runs the demonstration (``demo``) or a stream (``stream``, or no subcommand)."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from gridledger.command_line import EXIT_INTERRUPTED, tell_error
from gridledger.demonstration.running import run_to_end
from gridledger.errors import GridLedgerError

_BEGUN = time.monotonic()
_LARGEST = 1e6


def main(argv: list[str]) -> int:
    """Run one subcommand; the exit code. An error of ours is one line on standard error."""
    try:
        return _demo(argv[1:]) if argv[:1] == ["demo"] else _stream(argv)
    except GridLedgerError as error:
        return tell_error(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED


def _demo(argv: list[str]) -> int:
    from services.feeder.console import ScenarioConsole  # noqa: PLC0415 -- these take a while; --help does without
    from services.feeder.demo import DemoOptions, demonstrate  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m services.feeder demo", description="The closed loop on case30.")
    parser.add_argument("--network", type=Path, default=Path("network-config/three-shards.yaml"))
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where summary.json and plots go")
    parser.add_argument(
        "--dir", dest="folder", type=Path, default=Path("out/network-demo"), help="the network's folder, made anew"
    )
    parser.add_argument("--port-offset", type=int, default=0, help="add this to every port")
    parser.add_argument("--connect", type=Path, metavar="DIR", help="use the network that runs in DIR instead")
    options = DemoOptions(**vars(parser.parse_args(argv)), begun=_BEGUN)
    return run_to_end(demonstrate(options, ScenarioConsole()))


def _stream(argv: list[str]) -> int:
    from gridledger.demonstration.console import Console  # noqa: PLC0415
    from gridledger.grid.case import CASE_NAMES  # noqa: PLC0415
    from gridledger.grid.records import PROFILES  # noqa: PLC0415
    from services.feeder.scenarios.shipped import NAMES  # noqa: PLC0415
    from services.feeder.stream_command import StreamOptions, stream  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="gridledger feeder",
        description="Stream PMU frames of a simulated grid to a running network and carry out what it orders.",
        epilog="'gridledger feeder demo' runs the demonstration; see 'gridledger feeder demo --help'.",
    )
    parser.add_argument("--case", choices=CASE_NAMES, default="case30", help="the grid (default: %(default)s)")
    parser.add_argument("--rate", type=_positive, default=30.0, metavar="FPS", help="frames per second of each group")
    parser.add_argument("--scenario", choices=NAMES, default="base", help="what happens after a quarter of the time")
    parser.add_argument("--profile", choices=PROFILES, default="corrected")
    parser.add_argument("--dir", dest="folder", type=Path, default=Path("out/network"), help="the network's folder")
    parser.add_argument("--seconds", type=_positive, default=60.0)
    parser.add_argument("--groups", type=int, metavar="N", help="automatic groups (default: the case's own)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the tables as JSON")
    options = StreamOptions(**vars(parser.parse_args(argv[1:] if argv[:1] in (["stream"], ["run"]) else argv)))
    return run_to_end(stream(options, Console()))


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < _LARGEST:
        raise argparse.ArgumentTypeError(f"must be above 0 and below {_LARGEST:g}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
