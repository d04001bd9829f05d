"""The closed loop over C37.118: the same results to the bit as the loop that is given the same float32 phasors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import numpy as np
import pytest

from gridledger.grid.frames import FrameMaker
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid
from services.feeder.clock import Clock
from services.feeder.pmu.measurement import GridPmus, Measured, NoMeasurement, Samples, Streams
from services.feeder.pmu.phasors import PhasorFrames, in_service, phasors_of
from services.feeder.pmu.server import Transport
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import scenario_for
from tests.support.dvs_world import Caller, FakeClock, World
from tests.support.feeder_world import SHARDED, scenario_runner
from tests.support.solved_grid import base_state, planner, power_flow


class DirectPhasors:
    """Measures without a network: frames of the very phasors that PMUs would send."""

    def __init__(self, runner: ScenarioRunner, clock: Clock) -> None:
        self._samples = Samples(runner.plant, runner.planner.area)
        self._clock = clock

    async def measure(self, group: str) -> Measured:
        self._samples.count_actions_of(group)
        sample = self._samples.take(self._clock.now_us())
        maker = self._samples.maker(group, sample.case, sample.service)
        frame = maker.frame(sample.phasors, sample.time_us, applied=sample.applied[group])
        return Measured(sample.state, sample.case, frame)


class SteppedPmus(GridPmus):
    """The grid's PMUs over sockets, sampled once for each measurement instead of at a rate."""

    clock: FakeClock

    async def measure(self, group: str) -> Measured:
        self.samples.count_actions_of(group)
        self.clock.now_us()
        self._last_us[group] = self.sample().time_us - 1
        return await super().measure(group)


@asynccontextmanager
async def loops(
    streams: Streams | None, transport: Transport = "tcp"
) -> AsyncIterator[tuple[ScenarioRunner, list[Any]]]:
    """A runner in a world of its own, and all that ComputeVSI was given and answered."""
    clock = FakeClock()
    runner = scenario_runner(World(SHARDED), clock=clock)
    await runner.prepare()
    if streams is None:
        runner.pmus = DirectPhasors(runner, clock)  # type: ignore[assignment]
        yield runner, []
        return
    pmus = SteppedPmus(
        runner.plant,
        runner.planner.area,
        rate=30,
        now_us=lambda: clock.us,
        random=Random(1),
        streams=streams,
        transport=transport,
    )
    pmus.clock = clock
    async with pmus.running():
        runner.pmus = pmus
        yield runner, []


async def one_after_the_other(measuring: Iterable[Awaitable[Any]]) -> list[Any]:
    """So that both loops sample at the same moments of the scenario, whatever waits for sockets."""
    return [await one for one in measuring]


async def results_of(name: str, streams: Streams | None, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[Any]:
    """Every frame of a scenario and the contract's result, by group in order."""
    seen: list[Any] = []
    submit = Caller.submit

    async def noting(self: Caller, channel: str, function: str, argument: Any) -> Any:
        answer = await submit(self, channel, function, argument)
        if function == "ComputeVSI":
            seen.append((argument, answer[0]))
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Caller, "submit", noting)
        patch.setattr("services.feeder.coordinator.concurrently", one_after_the_other)
        async with loops(streams, **more) as (runner, _):
            run = await runner.run(scenario_for(name, planner("corrected"), power_flow(), base_state()))
            assert run.cured
    return sorted(seen, key=lambda pair: (pair[0]["time"], pair[0]["group"]))


@pytest.mark.parametrize(("name", "streams"), [("1a", "one"), ("1a", "bus"), ("starved", "one"), ("2", "one")])
async def test_the_loop_over_c37118_equals_the_direct_one(
    name: str, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_the_protocol = await results_of(name, streams, monkeypatch)
    direct = await results_of(name, None, monkeypatch)
    assert any(result["control"] for _, result in direct)
    assert repr(over_the_protocol) == repr(direct)


@pytest.mark.parametrize("transport", ["udp"])
async def test_the_loop_closes_over_udp(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(await results_of("1a", "one", monkeypatch, transport=transport)) == repr(
        await results_of("1a", None, monkeypatch)
    )


def test_float32_phasors_move_a_frame_by_little() -> None:
    """The difference to the unrounded frame, as docs/pmu.md states it."""
    plant = Plant(Grid(power_flow()), planner("corrected").area)
    plant.set_loads({3: (52.8, 26.4)})
    state, case = plant.state(), plant.case
    worst = {"Pd": 0.0, "Vm": 0.0, "Va": 0.0, "Pf": 0.0}
    for group in ("1", "2", "3"):
        area = planner("corrected").area(group)
        exact = FrameMaker(area).frame(state, 1)
        rounded = PhasorFrames(area, in_service(case, ())).frame(phasors_of(state, case), 1)
        for kind in ("buses", "branches"):
            for one, other in zip(exact[kind], rounded[kind], strict=True):
                for name in worst.keys() & one.keys():
                    worst[name] = max(worst[name], abs(one[name] - other[name]))
    assert 0 < worst["Pd"] < 1e-5
    assert 0 < worst["Pf"] < 1e-5
    assert 0 < worst["Vm"] < 1e-6
    assert 0 < worst["Va"] < 1e-5


def test_phasors_are_floats_of_32_bits_and_signs_are_kept() -> None:
    state, case = base_state(), planner("corrected").case
    phasors = phasors_of(state, case)
    assert len(phasors) == 2 * len(case.numbers) + 2 * len(case.branches)
    assert all(complex(np.complex64(value)) == value for value in phasors.values())
    frame = PhasorFrames(planner("corrected").area("1"), in_service(case, ())).frame(phasors, 1)
    exact = FrameMaker(planner("corrected").area("1")).frame(state, 1)
    for one, other in zip(exact["branches"], frame["branches"], strict=True):
        assert (one["Pf"] > 0) == (other["Pf"] > 0)
        assert (one["f"], one["t"]) == (other["f"], other["t"])


def test_a_frame_needs_what_it_says_and_no_more() -> None:
    phasors = phasors_of(base_state(), planner("corrected").case)
    maker = PhasorFrames(planner("corrected").area("1"), in_service(planner("corrected").case, ()))
    needed = {quantity: phasors[quantity] for quantity in maker.needs}
    assert len(needed) < len(phasors)
    assert maker.frame(needed, 1) == maker.frame(phasors, 1)
    for quantity in maker.needs:
        with pytest.raises(KeyError):
            maker.frame({one: value for one, value in needed.items() if one != quantity}, 1)


async def test_a_line_that_is_out_carries_nothing_and_frames_follow() -> None:
    clock = FakeClock()
    plant = Plant(Grid(power_flow()), planner("corrected").area)
    pmus = SteppedPmus(plant, planner("corrected").area, rate=30, now_us=lambda: clock.us, random=Random(1))
    pmus.clock = clock
    async with pmus.running():
        before = (await pmus.measure("1")).frame
        plant.set_outage((2, 6, 1), True)
        measured = await pmus.measure("1")
    assert measured.case is plant.case
    exact = plant.frame("1", measured.frame["time"])
    assert len(exact["branches"]) == len(before["branches"]) - 1
    assert [(b["f"], b["t"]) for b in measured.frame["branches"]] == [(b["f"], b["t"]) for b in exact["branches"]]
    for one, other in zip(exact["branches"], measured.frame["branches"], strict=True):
        assert one["Pt"] == pytest.approx(other["Pt"], abs=1e-5)


async def test_a_group_whose_pmus_are_silent_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant(Grid(power_flow()), planner("corrected").area)
    pmus = GridPmus(plant, planner("corrected").area, rate=30, now_us=FakeClock().now_us, random=Random(1))
    async with pmus.running():
        monkeypatch.setattr("services.feeder.pmu.measurement.ANSWER_S", 0.05)
        with pytest.raises(NoMeasurement) as error:
            await pmus.measure("1")
    assert error.value.code == "NO_MEASUREMENT"


async def test_sampling_at_a_rate_gives_each_group_new_frames() -> None:
    plant = Plant(Grid(power_flow()), planner("corrected").area)
    clock = FakeClock()
    pmus = GridPmus(plant, planner("corrected").area, rate=200, now_us=clock.now_us, random=Random(1))
    async with pmus.running():
        sampling = asyncio.create_task(pmus.keep_sampling())
        frames = [(await pmus.measure("2")).frame for _ in range(5)]
        at_once = await asyncio.gather(*(pmus.measure("3") for _ in range(5)))
        sampling.cancel()
    times = [frame["time"] for frame in frames]
    assert len({measured.frame["time"] for measured in at_once}) == len(at_once)
    assert times == sorted(set(times))
