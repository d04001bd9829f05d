"""The demonstration: starts a network (or uses a running one), runs every scenario, compares peers, draws plots."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import SettingsError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import layout_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import PROFILES
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import load_network_config
from gridledger.network.status import NetworkState, network_state, own_admins
from gridledger.network.supervisor import Supervisor, running_network
from services.feeder.clock import SystemClock
from services.feeder.console import Console
from services.feeder.dvs_client import DvsClient
from services.feeder.expectations import unmet_expectations
from services.feeder.gateway_ledger import connected
from services.feeder.scenario_run import ScenarioRun
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios import CASE30_SCENARIOS
from services.feeder.summary import percentiles_ms, write_summary

PROJECT = Path(__file__).resolve().parents[2]
AGREED_WITHIN_S = 20.0
_PACE_S = 0.08
_POLL_S = 0.2

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``connect``: the folder of a running network; None to start ``network`` in the fresh folder ``folder``."""

    network: Path
    out: Path
    folder: Path
    port_offset: int = 0
    connect: Path | None = None
    begun: float = 0.0


async def demonstrate(options: DemoOptions, console: Console) -> int:
    """Run everything; the exit code: 0 when every scenario met its expectations and all peers agree."""
    options.out.mkdir(parents=True, exist_ok=True)
    # pandapower takes seconds to import: while the network's processes start, on another thread.
    solving = asyncio.create_task(asyncio.to_thread(PowerFlow, load_case("case30")))
    try:
        async with _network(options, console) as (profile, ready_s, supervisor):
            runs, faults = await _while_running(supervisor, _scenarios(profile, await solving, console))
            state = await _while_running(supervisor, _agreement(profile))
    finally:
        solving.cancel()
    console.channels(state)
    console.latencies(percentiles_ms(latency for run in runs for latency in run.latencies_s))
    write_summary(options.out / "summary.json", ready_s, runs, state)
    await _draw(options.out, runs, console)
    disagreeing = [name for name, channel in state.channels.items() if not channel.level]
    disagreeing += [f"{name} is down" for name in state.down]
    if faults or disagreeing:
        console.verdict(f"The demonstration failed: {'; '.join([*faults, *disagreeing])}", good=False)
        return 1
    console.verdict(f"All scenarios met their expectations, all peers agree. Results: {options.out}", good=True)
    return 0


async def _while_running(supervisor: Supervisor | None, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of ``work``; raises what the supervisor says where a process of the network ends before."""
    if supervisor is None:
        return await work
    task = asyncio.create_task(work)
    watching = asyncio.create_task(supervisor.watch())
    try:
        await asyncio.wait((task, watching), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            watching.result()
        return await task
    finally:
        for each in (task, watching):
            each.cancel()
        await asyncio.gather(task, watching, return_exceptions=True)


@asynccontextmanager
async def _network(
    options: DemoOptions, console: Console
) -> AsyncIterator[tuple[ConnectionProfile, float, Supervisor | None]]:
    """The network's profile, the seconds until it was ready, and the supervisor of one that was started here."""
    if options.connect is not None:
        profile = load_profile(options.connect)
        console.say(f"using the network {profile.name} in {options.connect}")
        yield profile, time.monotonic() - options.begun, None
        return
    config = load_network_config(options.network).with_port_offset(options.port_offset)
    folder = NetworkFolder(options.folder.resolve())
    _clear(folder)
    console.say(f"starting {config.name}: CA, {len(config.orderers)} orderers, {len(config.peers)} peers")
    async with running_network(config, folder, project=PROJECT, sink=lambda _name, _line: None) as supervisor:
        ready_s = time.monotonic() - options.begun
        console.say(f"ready, {ready_s:.1f} s after the begin; channels {', '.join(config.channels)}")
        yield load_profile(folder.root), ready_s, supervisor
        console.say("stopping the network")


def _clear(folder: NetworkFolder) -> None:
    """Remove an earlier network; SettingsError for a folder that holds something else."""
    if not folder.root.exists():
        return
    if any(folder.root.iterdir()) and not (folder.config.exists() or folder.supervisor_lock.exists()):
        raise SettingsError(f"{folder.root} holds something other than a network of GridLedger; name another --dir")
    shutil.rmtree(folder.root)


async def _scenarios(
    profile: ConnectionProfile, power_flow: PowerFlow, console: Console
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
    return runs, faults


async def _profile(runner: ScenarioRunner, console: Console, runs: list[ScenarioRun], faults: list[str]) -> None:
    """All scenarios of one profile; adds to ``runs`` and ``faults``."""
    name = runner.planner.profile
    merges, records = await runner.prepare()
    console.say(f"submitted {records} records of profile {name}")
    if merges:
        console.say(f"finished {merges} merges that an earlier run left behind")
    console.table_head(name)
    for scenario in CASE30_SCENARIOS:
        if name in scenario.profiles:
            run = await runner.run(scenario)
            unmet = unmet_expectations(run)
            console.run(run, unmet)
            runs.append(run)
            faults += [f"{scenario.name} ({name}): {fault}" for fault in unmet]


async def _agreement(profile: ConnectionProfile) -> NetworkState:
    """The state once all peers of each channel are level, or as it is after AGREED_WITHIN_S."""
    deadline = time.monotonic() + AGREED_WITHIN_S
    while True:
        state = await network_state(profile, own_admins(profile))
        if not state.down and all(channel.level for channel in state.channels.values()):
            return state
        if any(not channel.agree for channel in state.channels.values()) or time.monotonic() > deadline:
            return state
        await asyncio.sleep(_POLL_S)


async def _draw(out: Path, runs: list[ScenarioRun], console: Console) -> None:
    from services.feeder.plots import draw_all  # noqa: PLC0415 -- matplotlib takes a second

    files = await asyncio.to_thread(draw_all, out, runs)
    console.say(f"drew {len(files)} plots")
