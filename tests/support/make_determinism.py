"""Writes the files that tests/acceptance/test_determinism.py compares with: scripted runs on this machine.

    python -m tests.support.make_determinism

To be run again only where the specification, or the iterate of the power flow, has changed on purpose.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.context import EVERY_ATTRIBUTE
from gridledger.grid.case import load_case
from gridledger.grid.grouping import CASE30_GROUPS
from gridledger.grid.planning import CASE30_THRESHOLDS
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, GridState, PowerFlow
from gridledger.grid.records import PROFILES, Planner
from gridledger.grid.rules import Check, Release
from gridledger.machine import processor
from services.feeder.scenarios.shipped import THESIS, scenario_for, shipped
from tests.support.contract_replay import Calls, replayed
from tests.support.dvs_channel import DvsChannel, full_list
from tests.support.dvs_world import FakeClock, World
from tests.support.feeder_world import SHARDED, scenario_runner
from tests.support.processes import REPOSITORY
from tests.support.solved_grid import base_state, planner, power_flow

DATA = REPOSITORY / "tests" / "acceptance" / "data"
CONTRACT, POWER_FLOW = DATA / "contract-runs.json.gz", DATA / "power-flow-states.json.gz"
NUMERICS = ("numpy", "scipy", "pandapower")


class LoggedWorld(World):
    """A world that keeps every call that could write."""

    def __init__(self) -> None:
        super().__init__(SHARDED)
        self.calls: Calls = []

    def submit(self, channel: str, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> Any:
        """See :meth:`World.submit`."""
        self.calls.append((channel, function, json.loads(json.dumps(argument))))
        return super().submit(channel, function, argument, caller)


async def scenario_calls() -> Calls:
    """Every scenario of the thesis in both profiles, one after the other, on three shards."""
    world, clock = LoggedWorld(), FakeClock()
    for profile in PROFILES:
        runner = scenario_runner(world, profile, clock=clock)
        await runner.prepare()
        for name in THESIS:
            if profile in shipped(name).form.profile:
                await runner.run(scenario_for(name, planner(profile), power_flow(), base_state()))
    return world.calls


def release_calls() -> Calls:
    """Group 1 with the rules of sections 12 and 13: a load comes and goes, and what was injected is released."""
    plan = Planner(
        load_case("case30"),
        CASE30_GROUPS,
        "corrected",
        CASE30_THRESHOLDS["corrected"],
        release=Release(v_max=1.05),
        check=Check(),
        deadband_mw=1.0,
    )
    channel, plant, calls = DvsChannel(), Plant(Grid(power_flow()), plan.area), Calls()

    def call(function: str, argument: Any) -> Any:
        calls.append(("release", function, json.loads(json.dumps(argument))))
        return channel.call(function, argument)

    call("InitialGrouping", plan.record("1", plant.state()))
    call("UpdateResources", {"group": "1", "vvc": full_list(plan.area("1").load_buses)})
    plant.start_counting("1", 0)
    for second in range(40):
        plant.set_loads({3: (52.8, 26.4) if 5 <= second < 15 else (2.4, 1.2)})
        result = call("ComputeVSI", plant.frame("1", second * 1_000_000))
        if result["control"] is not None:
            plant.apply("1", result["control"])
        if result["outcome"] == "stale":
            call("InitialGrouping", plan.record("1", plant.state()))
    return calls


def solved_states() -> list[dict[str, Any]]:
    """The states of the thesis's scenarios before and after, of larger cases, and with reactive limits."""
    loads: list[tuple[str, bool, dict[int, tuple[float, float]]]] = [
        *(("case30", False, dict(shipped_loads(name))) for name in THESIS),
        *((case, False, {}) for case in ("case57", "case118", "case300")),
        ("case30", True, {3: (100.0, 60.0)}),
    ]
    states = []
    for case, enforced, changed in loads:
        flow = PowerFlow(load_case(case), enforce_q_limits=enforced)
        grid = Grid(flow)
        grid.set_loads(changed)
        states.append(
            {"case": case, "enforce_q_limits": enforced, "loads": list(changed.items()), **values(grid.state())}
        )
    return states


def shipped_loads(name: str) -> dict[int, tuple[float, float]]:
    """The loads of a scenario of the thesis."""
    profile = shipped(name).form.profile[0]
    return dict(scenario_for(name, planner(profile), power_flow(), base_state()).loads)


def values(state: GridState) -> dict[str, Any]:
    """What is compared of a state."""
    return {"vm": state.vm.tolist(), "va": state.va.tolist(), "flows": state.flows.tolist()}


def made_on() -> dict[str, str]:
    """What the bits of a power flow depend on."""
    return {"processor": processor(), **{package: version(package) for package in NUMERICS}}


def write(path: Path, value: Any) -> None:
    """Pack it; no time goes into the file."""
    path.write_bytes(gzip.compress(json.dumps(value).encode(), mtime=0))


if __name__ == "__main__":
    calls = asyncio.run(scenario_calls()) + release_calls()
    write(CONTRACT, {"calls": calls, **replayed(calls)})
    write(POWER_FLOW, {"made_on": made_on(), "states": solved_states()})
