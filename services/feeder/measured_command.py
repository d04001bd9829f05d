"""``gridledger feeder pdc`` and ``gridledger feeder recorded``: frames of PMUs that are not the feeder's own."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from random import SystemRandom

from gridledger import jsontext
from gridledger.client.profile import load_profile
from gridledger.demonstration.console import Console
from gridledger.demonstration.running import run_to_end
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import layout_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import PROFILES
from services.feeder.clock import SystemClock
from services.feeder.dvs_client import DvsClient
from services.feeder.gateway_ledger import connected
from services.feeder.group_loop import FAILED
from services.feeder.measured_stream import CONFLICT, INCOMPLETE, SKIPPED, MeasuredStream
from services.feeder.one_feeder import only_feeder
from services.feeder.pmu.concentrator import Concentrator
from services.feeder.pmu.mapping import read_mapping
from services.feeder.recorded.columns import RowReader, read_columns
from services.feeder.recorded.replay import replay
from services.feeder.recorded.tables import rows_of


def main(verb: str, argv: list[str]) -> int:
    """Run one of the two; the exit code: 0 when frames were submitted and none failed."""
    console = Console()
    options = _parser(verb).parse_args(argv)
    return run_to_end(_run(options, console))


def _parser(verb: str) -> argparse.ArgumentParser:
    does = {
        "pdc": "Read PMUs by C37.118, align them, and submit each group's frames to a running network.",
        "recorded": "Submit the frames of recorded PMU data, CSV or Parquet, to a running network.",
    }
    parser = argparse.ArgumentParser(prog=f"gridledger feeder {verb}", description=does[verb])
    parser.add_argument("--case", default="case30", metavar="CASE", help="the grid (default: %(default)s)")
    parser.add_argument("--groups", type=int, metavar="N", help="automatic groups (default: the case's own)")
    parser.add_argument("--profile", choices=PROFILES, default="corrected")
    parser.add_argument("--dir", dest="folder", type=Path, default=Path("out/network"), help="the network's folder")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the counts as JSON")
    if verb == "pdc":
        parser.add_argument("mapping", type=Path, metavar="MAPPING", help="streams and PMUs, YAML (docs/pmu.md)")
        parser.add_argument("--seconds", type=float, default=60.0)
        parser.add_argument("--wait-ms", type=float, metavar="MS", help="for PMUs of an instant (default: MAPPING's)")
    else:
        parser.add_argument("table", type=Path, metavar="TABLE", help="a CSV or Parquet file")
        parser.add_argument("--columns", type=Path, required=True, metavar="FILE", help="what its columns are, YAML")
        parser.add_argument("--speed", type=float, default=1.0, help="1 as recorded, 0 as fast as the network takes it")
        parser.add_argument("--shift", action="store_true", help="move the times so that the first is now")
    return parser


async def _run(options: argparse.Namespace, console: Console) -> int:
    connection = load_profile(options.folder)
    layout = layout_of(connection)
    case = await asyncio.to_thread(load_case, options.case)
    grouping = grouping_of(case, options.groups)
    base = Grid(await asyncio.to_thread(PowerFlow, case)).state()
    planner = planner_for(case, grouping, options.profile, base)
    async with only_feeder(options.folder), connected(connection, layout, grouping) as callers:
        dvs = DvsClient(layout, callers, SystemClock(), SystemRandom())
        stream = MeasuredStream(planner, base, dvs=dvs, tell=console.say)
        console.say(f"{case.name}: {len(grouping)} groups; {await stream.prepare()} records submitted")
        told = await (_live(options, stream, console) if "mapping" in options else _replayed(options, stream))
    outcomes = {group: dict(sorted(counts.items())) for group, counts in stream.outcomes.items()}
    for group, counts in outcomes.items():
        console.say(f"group {group}: " + (", ".join(f"{n} {what}" for what, n in counts.items()) or "no frame"))
    console.say(", ".join(f"{what}: {counts}" for what, counts in told.items()))
    if options.report is not None:
        options.report.write_bytes(jsontext.dumps({"groups": outcomes, **told}) + b"\n")
    answered = sum(counts.total() - counts[INCOMPLETE] - counts[SKIPPED] for counts in stream.outcomes.values())
    conflicts = sum(counts[CONFLICT] for counts in stream.outcomes.values())
    failed = sum(counts[FAILED] for counts in stream.outcomes.values())
    text = f"{answered - failed - conflicts} frames valid, {conflicts} met another transaction, {failed} failed"
    console.verdict(text, good=answered > 0 and not failed)
    return 0 if answered > 0 and not failed else 1


async def _replayed(options: argparse.Namespace, stream: MeasuredStream) -> dict[str, object]:
    reader = RowReader(read_columns(options.columns), stream.case)
    rows = rows_of(options.table, reader.names)
    return {
        "rows": dict(await replay(rows, reader, stream, speed=options.speed, clock=SystemClock(), shift=options.shift))
    }


async def _live(options: argparse.Namespace, stream: MeasuredStream, console: Console) -> dict[str, object]:
    mapping, clock = read_mapping(options.mapping), SystemClock()
    pdc = Concentrator(
        [one.source() for one in mapping.streams],
        mapping.told(stream.case),
        wait_ms=options.wait_ms or mapping.wait_ms,
        now_us=clock.now_us,
        random=SystemRandom(),
        tell=console.say,
    )
    await submit_live(pdc, stream, options.seconds)
    return {"pmus": pdc.alignment.counts(), "streams": pdc.counts()["streams"]}


async def submit_live(pdc: Concentrator, stream: MeasuredStream, seconds: float) -> None:
    """Read PMUs for a time, and submit each group's frame as soon as all that it needs is there."""

    async def submit(group: str) -> None:
        last_us = -1
        while True:
            instant = await pdc.newest(stream.needs(group), last_us)
            last_us = instant.time_us
            await stream.take_group(group, instant.time_us, instant.phasors, wait=False)

    tasks = [asyncio.create_task(pdc.run()), *(asyncio.create_task(submit(group)) for group in stream.outcomes)]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await stream.drain()
