"""The command ``gridledger feeder``: a stream on a running network, its table and its report."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.demonstration.console import Console
from gridledger.demonstration.summary import percentiles_ms
from gridledger.errors import GridLedgerError
from gridledger.grid.layout import layout_of
from gridledger.grid.planning import CASE30_THRESHOLDS, THRESHOLD_MARGIN, warnings_of
from gridledger.grid.power_flow import Grid
from services.feeder.clock import SystemClock
from services.feeder.control.console import stream_control
from services.feeder.dvs_client import DvsClient
from services.feeder.gateway_ledger import connected
from services.feeder.layout_follower import LayoutFollower, ProfileWatch
from services.feeder.live_stream import Operator
from services.feeder.one_feeder import only_feeder
from services.feeder.open_loop import GroupTally, OpenLoopStream, StreamResult
from services.feeder.pmu.measurement import Streams
from services.feeder.pmu_stream import measured_by_pmus
from services.feeder.results.told import run_meta
from services.feeder.scenario_file.reading import ScenarioFile
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.set_up import Asked, SetUp, set_up

_COLUMNS = "  {:<10} {:>6} {:>6} {:>9} {:>9} {:>9} {:>9}   {}"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What shall run, in which network's folder, and where the report and the run's tables go.

    ``control``: commands come from standard input; ``control_port``: by HTTP on loopback.
    """

    file: ScenarioFile
    asked: Asked
    folder: Path
    report: Path | None = None
    results: Path | None = None
    control: bool = False
    pmu: Streams | None = None
    """Frames come from PMUs over C37.118, in one stream or one for each bus; None: read off the grid's state."""
    control_port: int | None = None


async def stream(options: StreamOptions, console: Console) -> int:
    """Stream; the exit code: 0 when every frame was valid or superseded, and no alarm is left."""
    made, result = await run_stream(options, console.say)
    _show(result, console)
    _show_moves(result, console)
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_bytes(jsontext.dumps(_report(made, result)) + b"\n")
        console.say(f"report: {options.report}")
    return _judge(result, console)


async def run_stream(options: StreamOptions, tell: Callable[[str], None]) -> tuple[SetUp, StreamResult]:
    """Set everything up, enrol, submit the records, stream; ``tell`` is given a line about each."""
    made = await asyncio.to_thread(set_up, options.file, options.asked)  # first: a wrong file is told without a network
    watch = ProfileWatch(options.folder)
    connection = load_profile(options.folder)
    layout = layout_of(connection)
    scenario = made.scenario
    _tell_grid(made, options, tell)
    async with only_feeder(options.folder), connected(connection, layout, made.grouping) as callers:
        dvs = DvsClient(layout, callers, SystemClock(), SystemRandom())
        runner = ScenarioRunner(made.planner, made.power_flow, dvs=dvs, clock=SystemClock())
        merges, records = await runner.prepare()
        tell(f"enrolled, {records} records submitted" + (f", {merges} old merges finished" if merges else ""))
        follower = LayoutFollower(connection, watch, clock=SystemClock(), tell=tell)
        for group, channel in await runner.gather_lists(connection):
            tell(f"group {group} had VVC left on {channel}: it is on {layout.channel_of(group)} now")
        tell(
            f"{scenario.rate:g} frames/s of each group for {scenario.duration_s:g} s; scenario {scenario.name}: "
            f"{scenario.title}"
        )
        async with measured_by_pmus(runner, options.pmu, rate=scenario.rate, clock=SystemClock(), tell=tell):
            result = await recorded_stream(
                runner,
                made,
                options.file,
                connection,
                tell=tell,
                follower=follower,
                results=options.results,
                operator=_operator(options, tell),
            )
    return made, result


def _operator(options: StreamOptions, tell: Callable[[str], None]) -> Operator | None:
    descriptor = sys.stdin.fileno() if options.control else None
    return stream_control(tell, descriptor=descriptor, port=options.control_port, folder=options.folder)


async def recorded_stream(
    runner: ScenarioRunner,
    made: SetUp,
    file: ScenarioFile,
    connection: ConnectionProfile,
    *,
    tell: Callable[[str], None],
    follower: LayoutFollower | None,
    results: Path | None,
    operator: Operator | None = None,
) -> StreamResult:
    """Stream; the run's tables are written into the folder ``results``, where one is given."""
    if results is None:
        return await OpenLoopStream(runner, made.scenario, tell=tell, follower=follower, operator=operator).run()
    from services.feeder.results.run_writer import RunWriter  # noqa: PLC0415 -- pyarrow takes half a second

    recorder, meta = RunWriter(results), run_meta(file, made, connection)
    try:
        result = await OpenLoopStream(
            runner, made.scenario, tell=tell, follower=follower, operator=operator, recorder=recorder, meta=meta
        ).run()
        summary = _report(made, result)
    except BaseException:
        # Why the stream ended is told, not that its results cannot be closed either: one full disk causes both.
        with suppress(GridLedgerError):
            recorder.end(None)
        raise
    recorder.end(summary)
    tell(f"results: {results}")
    return result


def _tell_grid(made: SetUp, options: StreamOptions, tell: Callable[[str], None]) -> None:
    case, groups = made.case, len(made.grouping)
    tell(f"{case.name}: {len(case.numbers)} buses in {groups} groups; profile {made.planner.profile}")
    given = options.file.form.thresholds
    margin = THRESHOLD_MARGIN if given is None else given.margin
    if margin is not None and made.planner.thresholds != CASE30_THRESHOLDS[made.planner.profile]:
        tell(f"thresholds: {margin} below each group's weakest bus in the base case")
    for warning in warnings_of(made.planner, Grid(made.power_flow).state()):
        tell(f"release: {warning}")


def _judge(result: StreamResult, console: Console) -> int:
    run, total = result.run, result.total
    text = f"{total.valid} of {total.sent} frames valid"
    if total.superseded:
        text += f", {total.superseded} superseded by a change that was made while they were on their way"
    if result.skipped:
        text += f", {result.skipped} not sent (too many in flight)"
    if missed := result.gaps.missed.total():
        text += f", {missed} not sent while their group moved"
    if run.alarms:
        buses = "bus" if len(run.alarms) == 1 else "buses"
        text += f"; {buses} {', '.join(map(str, run.alarms))} still below the threshold"
    good = total.valid + total.superseded == total.sent and not result.skipped and not run.alarms
    console.verdict(text, good=good)
    return 0 if good else 1


def _show(result: StreamResult, console: Console) -> None:
    console.title("Latency from the intended send time to the durable commit, ms")
    console.line(_COLUMNS.format("group", "sent", "valid", "p50", "p95", "p99", "worst", "outcomes"))
    for name, tally in (*result.tallies.items(), ("all", result.total)):
        shown = percentiles_ms(tally.latencies_s)
        worst = 1000.0 * max(tally.latencies_s, default=0.0)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
        faults = "".join(f", {count} {code}" for code, count in sorted(tally.faults.items()))
        values = [f"{shown.get(key, 0.0):.1f}" for key in ("p50", "p95", "p99")]
        console.line(_COLUMNS.format(name, tally.sent, tally.valid, *values, f"{worst:.1f}", outcomes + faults))


def _show_moves(result: StreamResult, console: Console) -> None:
    if result.moves:
        console.title("Groups moved while the frames streamed")
    for moved in result.moves:
        console.line(
            f"  {moved.group} from {moved.old} to {moved.new} with {moved.vvc:.3f} p.u.: "
            f"{result.gaps.missed[moved.group]} frames not sent, "
            f"longest time without one committed {result.gaps.longest_s.get(moved.group, 0.0):.2f} s"
        )


def _report(made: SetUp, result: StreamResult) -> dict[str, Any]:
    def of(tally: GroupTally) -> dict[str, Any]:
        return {
            "sent": tally.sent,
            "valid": tally.valid,
            "superseded": tally.superseded,
            "latency_ms": {
                **percentiles_ms(tally.latencies_s),
                "max": round(1000.0 * max(tally.latencies_s, default=0.0), 2),
            },
            "outcomes": dict(sorted(tally.outcomes.items())),
            "faults": dict(sorted(tally.faults.items())),
        }

    return {
        "case": made.case.name,
        "profile": made.planner.profile,
        "scenario": made.scenario.name,
        "rate_per_group": made.scenario.rate,
        "seconds": made.scenario.duration_s,
        "groups": {name: of(tally) for name, tally in result.tallies.items()},
        "all": of(result.total),
        "not_sent": result.skipped,
        "not_sent_while_moved": dict(sorted(result.gaps.missed.items())),
        "longest_gap_s": {group: round(gap, 3) for group, gap in sorted(result.gaps.longest_s.items())},
        "moves": [
            {"group": m.group, "from": m.old, "to": m.new, "not_measured_s": round(m.held_s, 3), "vvc_pu": m.vvc}
            for m in result.moves
        ],
        "injections": [
            {"group": i.group, "bus": i.bus, "q_mvar": i.q_mvar, "tx_id": i.tx_id} for i in result.run.injections
        ],
        "merges": result.run.merges,
        "vvc_pu": {
            "before": result.run.vvc_before,
            "left": result.run.vvc_after,
            "injected": result.run.injected_pu,
            "given": result.run.vvc_given,
        },
    }
