"""The results of the model as Markdown: for the terminal, and for the block between two markers of docs/scale.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.results import BenchmarkReport
from benchmarks.model.check import TOLERANCE, Check
from benchmarks.model.costs import Costs
from benchmarks.model.deployment import ORDERERS
from benchmarks.model.sweep import MAX_HEARTBEATS, ModelPoint, SweepLine, about, bend, most_shards
from gridledger.errors import InputError

BEGIN = "<!-- written by make scale: begin -->"
END = "<!-- written by make scale: end -->"


def check_table(check: Check) -> str:
    """A row with measured and modelled values for each topology."""
    lines = [
        "| topology | tx/s measured | modelled | error | a block: measured, modelled | p50: measured, modelled | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in check.rows:
        latency = row.load.latency
        assert latency is not None  # noqa: S101 - of loads that committed something
        status = "fitted" if row.fitted else "predicted"
        lines.append(
            f"| {row.topology} | {row.load.tx_s:,.0f} | {row.modelled.tx_s:,.0f} | {row.error:+.0%} | "
            f"{row.measured_block:.1f} / {row.modelled.block_size:.1f} | "
            f"{latency.p50_ms:.0f} / {row.modelled.p50_s * 1000:.0f} ms | "
            f"{status}{'' if row.holds else f', outside {TOLERANCE:.0%}'} |"
        )
    return "\n".join(lines)


def costs_line(check: Check) -> str:
    """The fitted costs in microseconds of core time."""
    cost = check.costs.microseconds()
    return (
        f"Fitted to {check.fitted}, in core microseconds: client {cost['client']:.0f}; edge {cost['edge']:.0f}, "
        f"and {cost['edge_block']:.0f} a block; host {cost['host']:.0f} an endorsement; the three orderers together "
        f"{cost['orderer']:.0f}, and {cost['orderer_block']:.0f} a block; committer {cost['commit']:.0f}, "
        f"{cost['verify']:.0f} a signature, and {cost['commit_block']:.0f} a block. Until a batch is on an orderer's "
        f"disk: {check.costs.append_s * 1000:.1f} ms. Cores that the processes had: {check.cores:.2f}."
    )


def sweep_table(lines: Sequence[SweepLine], points: Sequence[ModelPoint]) -> str:
    """Throughput by the number of shards, with a column for each line."""
    of = {(point.line, point.shards): point for point in points}
    rows = ["| shards | " + " | ".join(line.name for line in lines) + " |", "|---|" + "---|" * len(lines)]
    for shards in sorted({point.shards for point in points}):
        cells = [of.get((line.key, shards)) for line in lines]
        rows.append(
            f"| {shards:,} | " + " | ".join("none" if cell is None else about(cell.tx_s) for cell in cells) + " |"
        )
    return "\n".join(rows)


def findings(lines: Sequence[SweepLine], points: Sequence[ModelPoint], costs: Costs) -> str:
    """A list with the end of each line."""
    return "\n".join(f"- **{line.name}**: {finding(line, points, costs)}" for line in lines)


def finding(line: SweepLine, points: Sequence[ModelPoint], costs: Costs) -> str:
    """Where a line leaves proportion, and what limits it."""
    mine = sorted((point for point in points if point.line == line.key), key=lambda point: point.shards)
    best = max(mine, key=lambda point: point.tx_s)
    bent = bend(mine)
    if bent is None:
        last = mine[-1]
        return (
            f"in proportion up to {last.shards:,} shards, {about(last.tx_s)} tx/s, bound by {last.bound}; "
            f"the main chain would carry {last.main_allows_tx_s / last.tx_s:.1f} times its traffic."
        )
    text = f"at most {about(best.tx_s)} tx/s, at {best.shards:,} shards; from {bent.shards:,} on {bent.bound} are full"
    if line.sets(1) == 1:
        text += (
            f". Beyond {most_shards(costs):,} shards heartbeats alone take {MAX_HEARTBEATS:.0%} of an orderer's loop"
        )
    return text + "."


def provenance(report: BenchmarkReport) -> str:
    """The report that the costs were fitted to."""
    machine = report.machine
    return (
        f'Report "{report.title}", commit {machine["commit"]}, {machine["cores"]} cores ({machine["processor"]}), '
        f"Python {machine['python']}, P-256 verify {float(machine['verify_s']) * 1e6:.0f} us; loads of "
        f"{min(load.measured_s for load in report.loads):.0f} s or more."
    )


def block(
    report: BenchmarkReport,
    checks: Sequence[Check],
    scaled: Check,
    lines: Sequence[SweepLine],
    points: Sequence[ModelPoint],
) -> str:
    """The whole block."""
    parts = [provenance(report)]
    for check in checks:
        parts += [f"**{check.workload}**", check_table(check), costs_line(check)]
    parts += [
        f"### To 1,000 shards: {scaled.workload}",
        sweep_table(lines, points),
        f"Transactions per second of all shards with {ORDERERS} orderers a set. Where each line ends:",
        findings(lines, points, scaled.costs),
    ]
    return "\n\n".join(parts)


def rewrite(path: Path, text: str) -> None:
    """Put a text between the markers of a page. Raises :class:`InputError` if it has none."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise InputError(f"{path} lacks the lines {BEGIN!r} and {END!r}: put them where the results belong")
    before, after = page[: page.index(BEGIN)], page[page.index(END) :]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{after}", encoding="utf-8")
