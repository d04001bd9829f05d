"""Interactive control of a stream in process: commands on a pipe, what the grid and the ledger become, what is told."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gridledger.errors import PortTaken
from services.feeder.control.console import stream_control
from services.feeder.control.lines import lines_of
from services.feeder.control.operator import GridOperator, answered
from services.feeder.live_stream import LiveStream, Operator
from services.feeder.open_loop import OpenLoopStream, StreamResult
from services.feeder.results.recorder import NoRecorder
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import scenario_for
from tests.support.dvs_world import FakeClock, World, dvs_client
from tests.support.feeder_world import SHARDED
from tests.support.processes import free_ports
from tests.support.solved_grid import base_state, planner, power_flow
from tests.support.waiting import until

RATE = 20.0
Work = Callable[[GridOperator, LiveStream], Awaitable[None]]


class Changes(NoRecorder):
    """Keeps what it is told of changes."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def change(self, change: Any) -> None:
        self.found.append((change.kind, change.text))


async def controlled(work: Work, seconds: float = 30.0) -> tuple[StreamResult, World, ScenarioRunner, Changes]:
    """A stream on which ``work`` is done, and which then ends."""

    async def operate(stream: LiveStream) -> None:
        await work(GridOperator(stream), stream)
        stream.clock.end()

    return await controlled_by(operate, seconds)


async def controlled_by(
    operator: Operator, seconds: float = 30.0
) -> tuple[StreamResult, World, ScenarioRunner, Changes]:
    """A stream that an operator works on, until it ends it."""
    world, clock, recorder = World(SHARDED), FakeClock(), Changes()
    runner = ScenarioRunner(planner("corrected"), power_flow(), dvs=dvs_client(world, None, clock), clock=clock)
    runner.recorder = recorder
    await runner.prepare()
    scenario = scenario_for("base", planner("corrected"), power_flow(), base_state()).lasting(seconds, rate=RATE)
    async with asyncio.timeout(60):
        result = await OpenLoopStream(runner, scenario, tell=lambda _line: None, operator=operator).run()
    return result, world, runner, recorder


async def test_a_load_is_raised_by_hand_and_the_loop_answers() -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        assert await operator.answer("load 3 52.8 26.4") == "by hand: bus 3 at 52.8 + j26.4 MVA"
        await until(lambda: bool(stream.run.injections))

    result, _, runner, recorder = await controlled(work)
    assert [injection.bus for injection in result.run.injections] == [3]
    assert runner.plant.demand(3) == (52.8, 26.4)
    assert ("load", "by hand: bus 3 at 52.8 + j26.4 MVA") in recorder.found
    assert ("load", "by hand: bus 3 at 52.8 + j26.4 MVA") in [(mark.kind, mark.text) for mark in result.run.marks]
    assert result.total.valid + result.total.superseded == result.total.sent


async def test_loads_are_scaled_by_bus_by_group_and_whole() -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        await operator.answer("scale 2 bus 3 4")
        assert stream.plant.demand(3) == (4.8, 2.4)
        await operator.answer("scale 0.5 group 1")
        assert stream.plant.demand(3) == (2.4, 1.2)
        await operator.answer("scale 1.5")
        assert stream.plant.demand(3) == pytest.approx((3.6, 1.8))

    await controlled(work)


async def test_reactive_power_is_taken_away_and_given() -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        await operator.answer("vvc 3 0")
        await operator.answer("vvc 14 40")

    result, world, _, _ = await controlled(work)
    assert world.owned_by("1")["3"] == 0.0
    assert world.owned_by("3")["14"] == 0.4
    assert result.run.vvc_given == pytest.approx(-1.5 - 1.1)
    assert result.run.vvc_after == pytest.approx(result.run.vvc_before + result.run.vvc_given)


async def test_a_line_trips_and_is_closed_by_hand() -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        before = stream.plant.case
        assert await operator.answer("trip 14 15") == "by hand: branch 14-15 trips"
        assert "out: branch 14-15" in operator.status()
        sent = stream.counts()[1]
        await until(lambda: stream.counts()[1] > sent + 6)
        await operator.answer("close 14 15")
        assert stream.plant.case is not before or len(stream.plant.case.branches) == len(before.branches)

    result, world, runner, _ = await controlled(work)
    stored = world.channel_of("3").stored("group/3")
    assert stored is not None
    assert [14, 15] in stored["branches"]
    assert result.total.faults == {}
    assert runner.plant.grid.outages == frozenset()


async def test_a_merge_by_hand_lasts_until_it_is_split() -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        assert await operator.answer("merge 1") == "by hand: groups 1_2 merge, until they are split"
        count = stream.counts()[1]
        await until(lambda: stream.counts()[1] > count + 6)
        assert "1_2" in stream.coordinator.measured
        assert (await answered(operator, "merge 2"))[1].startswith("error: group 2 is in a merge")
        await operator.answer("split 1_2")
        assert stream.coordinator.measured == ("1", "2", "3")

    result, world, _, _ = await controlled(work)
    assert world.unclosed_merges() == {}
    assert result.run.vvc_after == pytest.approx(result.run.vvc_before)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("load 99 1 1", "error: case30 has no bus 99"),
        ("load 3 5000 5000", "error: .*the power flow does not converge"),
        ("scale 40", "error: .*the power flow does not converge"),
        ("scale 2 group 9", "error: there is no group 9"),
        ("vvc 2 10", "error: bus 2 of case30 is a generator's"),
        ("trip 4 13", "error: case30 has no branch 4-13"),
        ("trip 12 13", "error: .*bus 13"),
        ("merge 7", "error: there is no group 7"),
        ("split 1_2", "error: there is no merge 1_2"),
        ("jump", "error: there is no command 'jump'"),
    ],
)
async def test_a_command_that_cannot_be_done_changes_nothing(line: str, told: str) -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        before = stream.plant.state()
        done, answer = await answered(operator, line)
        assert not done
        assert answer.startswith("error: ")
        assert re.match(told, answer)
        assert stream.plant.state() is before

    _, _, _, recorder = await controlled(work)
    assert [kind for kind, _ in recorder.found if kind != "record"] == []


async def test_a_pause_holds_frames_and_time() -> None:
    async def work(operator: GridOperator, stream: LiveStream) -> None:
        await until(lambda: stream.counts()[1] > 3)
        assert "pauses" in await operator.answer("pause")
        assert await operator.answer("pause") == "the stream is paused already"
        at_s = stream.clock.at_s
        await until(lambda: stream.counts()[0] == stream.counts()[1])
        sent = stream.counts()[0]
        assert "(paused)" in operator.status()
        assert stream.counts()[0] == sent
        assert stream.clock.at_s == at_s
        assert "goes on" in await operator.answer("resume")
        await until(lambda: stream.counts()[0] > sent)

    await controlled(work)


async def test_commands_come_from_a_pipe_and_are_answered_in_a_line_each() -> None:
    told: list[str] = []
    read, write = os.pipe()
    os.write(write, b"load 3 52.8 26.4\n\nnonsense\nstatus\nquit\n")
    world, clock = World(SHARDED), FakeClock()
    runner = ScenarioRunner(planner("corrected"), power_flow(), dvs=dvs_client(world, None, clock), clock=clock)
    await runner.prepare()
    scenario = scenario_for("base", planner("corrected"), power_flow(), base_state()).lasting(60.0, rate=RATE)
    async with asyncio.timeout(30):
        result = await OpenLoopStream(
            runner, scenario, tell=lambda _line: None, operator=stream_control(told.append, descriptor=read)
        ).run()
    os.close(write)
    assert told[0] == "by hand: bus 3 at 52.8 + j26.4 MVA"
    assert told[1].startswith("error: there is no command 'nonsense'")
    assert "frames sent" in told[2]
    assert told[3] == "by hand: the stream ends"
    assert result.total.sent < 60 * RATE


async def test_commands_come_by_http_with_the_token(tmp_path: Path) -> None:
    told: list[str] = []
    (port,) = free_ports(1)

    async def ask(session: aiohttp.ClientSession, line: str, token: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(f"http://127.0.0.1:{port}/control", data=line, headers=headers) as answer:
            return answer.status, await answer.json()

    async def operate(stream: LiveStream) -> None:
        control = stream_control(told.append, port=port, folder=tmp_path)
        assert control is not None
        serving = asyncio.ensure_future(control(stream))
        await until(lambda: any("control at" in line for line in told))
        file = tmp_path / "control.token"
        assert file.stat().st_mode & 0o777 == 0o600
        token = file.read_text().strip()
        async with aiohttp.ClientSession() as session:
            assert (await ask(session, "status", "wrong"))[0] == 401
            assert await ask(session, "load 3 52.8 26.4", token) == (
                200,
                {"answer": "by hand: bus 3 at 52.8 + j26.4 MVA"},
            )
            status, refused = await ask(session, "load 99 1 1", token)
            assert (status, refused["error"]["message"]) == (400, "case30 has no bus 99")
            assert (await ask(session, "x" * 5000, token))[0] == 413
            assert stream.plant.demand(3) == (52.8, 26.4)
            assert (await ask(session, "quit", token))[0] == 200
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert not file.exists()

    await controlled_by(operate)
    assert "by hand: bus 3 at 52.8 + j26.4 MVA" in told


async def test_a_port_that_is_taken_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        control = stream_control(lambda _line: None, port=taken.getsockname()[1], folder=tmp_path)
        assert control is not None
        with pytest.raises(PortTaken):
            await controlled_by(control)


async def test_lines_end_with_their_input_and_long_ones_are_cut() -> None:
    read, write = os.pipe()
    os.write(write, b"one\n" + b"x" * 3000 + b"\nlast")
    os.close(write)
    found = [line async for line in lines_of(read)]
    assert found[0] == "one"
    assert set(found[1]) == {"x"}
    assert len(found[1]) == 1001
    assert found[2] == "last"
    os.close(read)
