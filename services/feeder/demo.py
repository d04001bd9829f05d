"""The demonstration: starts a network (or uses a running one), runs every scenario, compares peers, draws plots."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from gridledger.client.profile import ConnectionProfile
from gridledger.demonstration.network import Place, demo_network, disagreements
from gridledger.demonstration.summary import percentiles_ms, write_summary
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import layout_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import PROFILES
from services.feeder.clock import SystemClock
from services.feeder.console import ScenarioConsole
from services.feeder.dvs_client import DvsClient
from services.feeder.expectations import unmet_expectations
from services.feeder.gateway_ledger import connected
from services.feeder.one_feeder import only_feeder
from services.feeder.scenario_file.on_grid import planner_of
from services.feeder.scenario_run import ScenarioRun
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import RECOVERY, THESIS, scenario_for, shipped
from services.feeder.summary import summary

PROJECT = Path(__file__).resolve().parents[2]
_PACE_S = 0.08


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``connect``: the folder of a running network; None to start ``network`` in the fresh folder ``folder``."""

    network: Path
    out: Path
    folder: Path
    port_offset: int = 0
    connect: Path | None = None
    begun: float = 0.0


async def demonstrate(options: DemoOptions, console: ScenarioConsole) -> int:
    """Run everything; the exit code: 0 when every scenario met its expectations and all peers agree."""
    options.out.mkdir(parents=True, exist_ok=True)
    place = Place(options.network, options.folder, PROJECT, options.port_offset, options.connect, begun=options.begun)
    # pandapower takes seconds to import: while the network's processes start, on another thread.
    solving = asyncio.create_task(asyncio.to_thread(PowerFlow, load_case("case30")))
    try:
        folder = options.connect or options.folder
        async with demo_network(place, console) as network, only_feeder(folder):
            runs, faults = await network.run(_scenarios(network.profile, await solving, console))
            state = await network.run(network.agreement())
    finally:
        solving.cancel()
    console.channels(state)
    latencies = percentiles_ms(latency for run in runs for latency in run.latencies_s)
    console.latencies("frame to durable commit", latencies)
    write_summary(options.out / "summary.json", summary(network.ready_s, runs, state))
    await _draw(options.out, runs, console)
    if faults := [*faults, *disagreements(state)]:
        console.verdict(f"The demonstration failed: {'; '.join(faults)}", good=False)
        return 1
    console.verdict(f"All scenarios met their expectations, all peers agree. Results: {options.out}", good=True)
    return 0


async def _scenarios(
    profile: ConnectionProfile, power_flow: PowerFlow, console: ScenarioConsole
) -> tuple[list[ScenarioRun], list[str]]:
    layout = layout_of(profile)
    grouping = grouping_of(power_flow.case)
    runs: list[ScenarioRun] = []
    faults: list[str] = []
    async with connected(profile, layout, grouping) as callers:
        console.say(f"enrolled a planner for each channel and an aggregator for each of {len(grouping)} groups")
        dvs = DvsClient(layout, callers, SystemClock(), SystemRandom())
        for name in PROFILES:
            planner = planner_for(power_flow.case, grouping, name, Grid(power_flow).state())
            runner = ScenarioRunner(planner, power_flow, dvs=dvs, clock=SystemClock(), pace_s=_PACE_S)
            await _profile(runner, console, runs, faults)
        await _recovery(power_flow, dvs, console, runs, faults)
    return runs, faults


async def _recovery(
    power_flow: PowerFlow, dvs: DvsClient, console: ScenarioConsole, runs: list[ScenarioRun], faults: list[str]
) -> None:
    """The scenario whose records have rules of their own; adds to ``runs`` and ``faults``."""
    file, case, base = shipped(RECOVERY), power_flow.case, Grid(power_flow).state()
    planner = planner_of(file, case, grouping_of(case), "corrected", base)
    runner = ScenarioRunner(planner, power_flow, dvs=dvs, clock=SystemClock(), pace_s=_PACE_S)
    await runner.prepare()
    await _scenario(runner, RECOVERY, console, runs, faults)


async def _profile(
    runner: ScenarioRunner, console: ScenarioConsole, runs: list[ScenarioRun], faults: list[str]
) -> None:
    """All scenarios of one profile; adds to ``runs`` and ``faults``."""
    name = runner.planner.profile
    merges, records = await runner.prepare()
    console.say(f"submitted {records} records of profile {name}")
    if merges:
        console.say(f"finished {merges} merges that an earlier run left behind")
    console.table_head(name)
    for scenario_name in THESIS:
        if name in shipped(scenario_name).form.profile:
            await _scenario(runner, scenario_name, console, runs, faults)


async def _scenario(
    runner: ScenarioRunner, name: str, console: ScenarioConsole, runs: list[ScenarioRun], faults: list[str]
) -> None:
    """One scenario; adds to ``runs`` and ``faults``."""
    run = await runner.run(scenario_for(name, runner.planner, runner.power_flow, runner.base))
    unmet = unmet_expectations(run)
    console.run(run, unmet)
    runs.append(run)
    faults += [f"{name} ({runner.planner.profile}): {fault}" for fault in unmet]


async def _draw(out: Path, runs: list[ScenarioRun], console: ScenarioConsole) -> None:
    from services.feeder.plots import draw_all  # noqa: PLC0415 -- matplotlib takes a second

    files = await asyncio.to_thread(draw_all, out, runs)
    console.say(f"drew {len(files)} plots")
