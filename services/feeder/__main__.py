"""``python -m services.feeder``: ``demo``, ``run FILE`` (a scenario), ``check FILE`` (without a network),
``plot RUN`` (its figures), ``pdc``, ``recorded`` (frames of others' PMUs), or a stream."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gridledger.command_line import EXIT_INTERRUPTED, tell_error
from gridledger.demonstration.running import run_to_end
from gridledger.errors import GridLedgerError
from gridledger.extras import require_extra

if TYPE_CHECKING:
    from services.feeder.scenario_file.reading import ScenarioFile

_BEGUN = time.monotonic()
_LARGEST = 1e6
_PORTS = 65536


def main(argv: list[str]) -> int:
    """Run one subcommand; the exit code. An error of ours is one line on standard error."""
    try:
        if argv[:1] == ["demo"]:
            return _demo(argv[1:])
        if argv[:1] == ["plot"]:
            return _plot(argv[1:])
        if argv[:1] == ["check"]:
            return _check(argv[1:])
        if argv[:1] == ["thresholds"]:
            return _thresholds(argv[1:])
        if argv[:1] in (["pdc"], ["recorded"]):
            return _measured(argv[0], argv[1:])
        return _run(argv[1:]) if argv[:1] == ["run"] else _stream(argv)
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
    from services.feeder.scenarios.shipped import NAMES, shipped  # noqa: PLC0415

    parser = _stream_parser(
        "gridledger feeder",
        "'gridledger feeder run FILE' runs a scenario of your own, 'check FILE' tells what is wrong in one, "
        "'thresholds' recommends alarm thresholds, "
        "'plot DIR' draws a run, 'recorded' and 'pdc' submit measurements of others, 'demo' is the demonstration; "
        "each has --help.",
    )
    parser.add_argument("--scenario", choices=NAMES, default="base", help="what happens (default: %(default)s)")
    chosen = parser.parse_args(argv[1:] if argv[:1] == ["stream"] else argv)
    case = chosen.case or shipped(chosen.scenario).form.case or "case30"
    return _run_stream(shipped(chosen.scenario), chosen, case)


def _run(argv: list[str]) -> int:
    from services.feeder.scenario_file.reading import read_scenario  # noqa: PLC0415

    parser = _stream_parser("gridledger feeder run", "docs/feeder.md says what a scenario file may hold.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the scenario")
    chosen = parser.parse_args(argv)
    return _run_stream(read_scenario(chosen.file), chosen, chosen.case)


def _check(argv: list[str]) -> int:
    from gridledger.grid.records import PROFILES  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="gridledger feeder check",
        description="Check a scenario file on its grid, without a network, and print what it is.",
        epilog="The exit code is 0, or 1 with the member and the line of what is wrong. docs/feeder.md says what a "
        "scenario file may hold.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the scenario")
    parser.add_argument("--case", metavar="CASE", help="the grid: a built-in case, or a file (default: the scenario's)")
    parser.add_argument("--groups", type=int, metavar="N", help="automatic groups (default: the case's own)")
    parser.add_argument("--profile", choices=PROFILES)
    chosen = parser.parse_args(argv)
    require_extra("feeder", "gridledger feeder check")
    from gridledger.demonstration.console import Console  # noqa: PLC0415 -- these take a second; --help does without
    from services.feeder.check_command import check  # noqa: PLC0415
    from services.feeder.scenario_file.reading import read_scenario  # noqa: PLC0415
    from services.feeder.set_up import Asked  # noqa: PLC0415

    return check(read_scenario(chosen.file), Asked(chosen.case, chosen.groups, chosen.profile), Console())


def _stream_parser(name: str, epilog: str) -> argparse.ArgumentParser:
    from gridledger.grid.case import CASE_NAMES  # noqa: PLC0415
    from gridledger.grid.records import PROFILES  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog=name,
        description="Stream PMU frames of a simulated grid to a running network and carry out what it orders.",
        epilog=epilog,
    )
    parser.add_argument("--case", metavar="CASE", help=f"the grid: {', '.join(CASE_NAMES)}, or a file")
    parser.add_argument("--rate", type=_positive, metavar="FPS", help="frames per second of each group")
    parser.add_argument("--seconds", type=_positive, help="how long; the scenario's times are stretched to it")
    parser.add_argument("--profile", choices=PROFILES)
    parser.add_argument("--groups", type=int, metavar="N", help="automatic groups (default: the case's own)")
    parser.add_argument("--dir", dest="folder", type=Path, default=Path("out/network"), help="the network's folder")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the tables as JSON")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write every bus and action, for 'plot DIR'")
    parser.add_argument("--pmu", nargs="?", const="one", choices=("one", "bus"), help="measure by PMUs (docs/pmu.md)")
    parser.add_argument("--control", action="store_true", help="take commands from standard input; try help")
    parser.add_argument("--control-port", type=_port, metavar="PORT", help="take commands by HTTP on loopback")
    return parser


def _run_stream(file: ScenarioFile, chosen: argparse.Namespace, case: str | None) -> int:
    from gridledger.demonstration.console import Console  # noqa: PLC0415
    from services.feeder.set_up import Asked  # noqa: PLC0415
    from services.feeder.stream_command import StreamOptions, stream  # noqa: PLC0415

    asked = Asked(case, chosen.groups, chosen.profile, chosen.rate, chosen.seconds)
    options = StreamOptions(
        file,
        asked,
        chosen.folder,
        report=chosen.report,
        results=chosen.results,
        control=chosen.control,
        control_port=chosen.control_port,
        pmu=chosen.pmu,
    )
    return run_to_end(stream(options, Console()))


def _measured(verb: str, argv: list[str]) -> int:
    require_extra("feeder", f"gridledger feeder {verb}")
    from services.feeder.measured_command import main as measured  # noqa: PLC0415 -- takes a second

    return measured(verb, argv)


def _plot(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="gridledger feeder plot", description="Draw the figures of a run as PNG, SVG and PDF."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--compare", type=Path, metavar="RUN2", help="also this run beside it: without control, say")
    parser.add_argument("--column", choices=("single", "double"), default="single", help="the width, as IEEE has it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the figures go (default: RUN/figures)")
    options = parser.parse_args(argv)
    require_extra("feeder", "gridledger feeder plot")
    from gridledger.demonstration.console import Console  # noqa: PLC0415 -- these take a second; --help does without
    from services.feeder.results.plot_command import plot  # noqa: PLC0415

    return plot(options.run, out=options.out, column=options.column, beside=options.compare, console=Console())


def _thresholds(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="gridledger feeder thresholds",
        description="Sweep loads to the largest that the grid can carry, and recommend thresholds for its groups.",
    )
    parser.add_argument("--case", metavar="CASE", help="the grid: a built-in case, or a file (default: case30)")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="take grid, groups and limits from this scenario")
    parser.add_argument("--groups", type=int, metavar="N", help="automatic groups (default: the case's own)")
    parser.add_argument("--profile", choices=("published", "corrected"), default="corrected")
    parser.add_argument("--margin", type=float, default=0.1, metavar="SHARE", help="before the largest load factor")
    parser.add_argument("--q-limits", action="store_true", help="keep generators within their reactive limits")
    parser.add_argument("--generation", choices=("slack", "scaled"), default="slack", help="who gives what is added")
    parser.add_argument("--buses", type=_buses, metavar="3,14", help="only these loads grow (default: all)")
    parser.add_argument("--out", type=Path, default=Path("out/thresholds"), metavar="DIR")
    chosen = vars(parser.parse_args(argv))
    require_extra("feeder", "gridledger feeder thresholds")
    from gridledger.demonstration.console import Console  # noqa: PLC0415 -- these take a second; --help does without
    from services.feeder.thresholds import ThresholdOptions, thresholds  # noqa: PLC0415

    return thresholds(ThresholdOptions(**chosen), Console())


def _buses(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("give bus numbers with commas between them, like 3,14") from None


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < _PORTS:
        raise argparse.ArgumentTypeError("must be a port, 1 to 65535")
    return port


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < _LARGEST:
        raise argparse.ArgumentTypeError(f"must be above 0 and below {_LARGEST:g}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
