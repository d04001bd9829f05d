"""``make scale``: checks the model against a report, and runs it for 1 to 1,000 shards.

Prints the table of measured and modelled throughput, writes ``scale.png`` to ``--out`` and the results into ``--page``.
Exits with 1 if the model is more than 15 % off what was measured with one, two or three shards.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.results import BenchmarkReport
from benchmarks.model import figure, markdown, sweep
from benchmarks.model.check import Check, check
from benchmarks.model.costs import IDLE_MS, ReportUnusable, saturation
from benchmarks.model.deployment import GIGABIT_S
from gridledger.command_line import tell_error
from gridledger.errors import GridLedgerError


def main() -> int:
    """Read the options and run."""
    options = _options()
    try:
        return run(options)
    except GridLedgerError as error:
        tell_error(error)
        return 2


def run(options: argparse.Namespace) -> int:
    """Check the model, run the sweep, write the results; the exit code."""
    report = _read(options.report)
    checks = []
    for workload in options.workload or _workloads(report):
        done = check(report, workload, fitted=options.fit, seed=options.seed)
        checks.append(replace(done, costs=replace(done.costs, idle_cores=options.idle_ms / 1000)))
        print(f"{workload}\n{markdown.check_table(done)}\n{markdown.costs_line(done)}\n", flush=True)
    scaled = checks[0]
    if not options.check_only:
        _scale(options, report, checks, scaled)
    wrong = [done.workload for done in checks if not done.holds]
    if wrong:
        print(f"the model is too far from what was measured: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def _scale(options: argparse.Namespace, report: BenchmarkReport, checks: list[Check], scaled: Check) -> None:
    lines = sweep.sweep_lines(options.main_share)
    points = sweep.run(
        scaled.costs,
        share=options.main_share,
        seed=options.seed,
        link_bytes_s=options.link_gbit * GIGABIT_S,
        tell=lambda point: print(f"{point.line:<6} {point.shards:>5} {point.tx_s:>10,.0f} {point.bound}", flush=True),
    )
    path = options.out / "scale.png"
    ends = sweep.most_shards(scaled.costs)
    figure.draw(path, lines, points, ends=ends, note=_note(report, scaled, options))
    text = markdown.block(report, checks, scaled, lines, points)
    print(
        f"\n{markdown.sweep_table(lines, points)}\n\n{markdown.findings(lines, points, scaled.costs)}\n\nwrote {path}"
    )
    if options.page is not None:
        markdown.rewrite(options.page, text)
        print(f"wrote {options.page}")


def _note(report: BenchmarkReport, scaled: Check, options: argparse.Namespace) -> str:
    return (
        f"{scaled.workload}. Costs of commit {report.machine['commit']}. Each peer and orderer has 4 cores and a link "
        f"of {options.link_gbit:g} Gbit/s; {options.main_share * 100:g} % of all transactions are its main chain's."
    )


def _workloads(report: BenchmarkReport) -> list[str]:
    """The workloads measured in every topology, ComputeVSI first, which the sweep takes."""
    names = dict.fromkeys(load.workload for load in report.loads)
    complete = [name for name in names if all(saturation(report, topology, name) for topology in TOPOLOGIES)]
    if not complete:
        raise ReportUnusable(f"the report has no workload that was measured in each of {', '.join(TOPOLOGIES)}")
    return sorted(complete, key=lambda name: ("vsi" not in name.lower(), name))


def _read(path: Path) -> BenchmarkReport:
    try:
        return BenchmarkReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReportUnusable(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        raise ReportUnusable(f"{path} is no benchmark's report: {error.errors()[0]['msg']}") from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.scale", description=__doc__)
    parser.add_argument("--report", type=Path, required=True, help="a benchmark's report.json")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="where scale.png goes")
    parser.add_argument("--page", type=Path, help="a page to write the results into (docs/scale.md)")
    parser.add_argument("--fit", default="three-shards", choices=TOPOLOGIES, help="the costs are fitted to this one")
    parser.add_argument("--workload", action="append", help="these only; the first is scaled up")
    parser.add_argument("--check-only", action="store_true", help="leave out the sweep")
    parser.add_argument("--main-share", type=float, default=0.001, help="of all transactions, on the main chain")
    parser.add_argument("--link-gbit", type=float, default=1.0, help="bandwidth of each machine's link")
    parser.add_argument("--idle-ms", type=float, default=IDLE_MS, help="core time per second of an idle channel")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
