"""The grid, live: what it reads of the ledger before and beside the blocks, and what it tells browsers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gridledger.client.testing import FakeGateway
from gridledger.contract.context import EVERY_ATTRIBUTE
from services.console.grid.diagram import Diagram
from services.console.grid.drawing import Drawing
from services.console.grid.live import BACK_BLOCKS, GridLive
from services.console.live.hub import Hub
from services.console.viewers import Viewer, Viewers
from tests.support.dvs_channel import example
from tests.support.grid_blocks import GridChain, at
from tests.support.processes import REPOSITORY

FRAME = example("frame-1-s1_before")
T0 = 1_767_225_600_000_000
STEP = 33_333


class NoDrawing:
    """Draws nothing: a diagram's process has tests of its own."""

    diagram: Diagram | None = None
    fault: str | None = None
    asked = 0

    async def follow(self, records: list[dict[str, Any]]) -> bool:
        self.asked += 1
        return True


class Scene:
    """One identity on one channel in memory; frames come from a chain beside it."""

    def __init__(self) -> None:
        self.now_us = T0
        gateway = FakeGateway(
            {name: REPOSITORY / "chaincode" / name for name in ("dvs", "alarms")},
            channel="shard1",
            attributes={"alarms.role": "operator", "grid.role": "planner"},
            clock_us=lambda: self.now_us,
        )
        self.network = gateway.get_network("shard1")
        config = SimpleNamespace(chaincodes={"dvs": None, "alarms": None})
        self.viewer = SimpleNamespace(configs={"shard1": config}, network=gateway.get_network)
        self.viewers = viewers = SimpleNamespace(
            profile=SimpleNamespace(applications={"dvs": {"chaincode": "dvs", "main": "mainchain"}}),
            channels={"shard1": self.viewer},
        )
        self.hub = Hub(lambda: 0.0, pictures_a_s=1e6)
        self.drawing = NoDrawing()
        self.live = GridLive(cast("Viewers", viewers), self.hub, cast("Drawing", self.drawing), lambda: self.now_us)
        self.chain = GridChain("shard1", T0)
        self.chain.call("dvs", "InitialGrouping", example("record-1-corrected"), EVERY_ATTRIBUTE)

    def frame(self, n: int) -> None:
        self.now_us = self.chain.now_us = T0 + n * STEP
        self.chain.call("dvs", "ComputeVSI", at(FRAME, self.now_us))
        self.live.take("shard1", self.chain.block())

    async def told(self) -> dict[str, Any]:
        """The latest message of each topic."""
        self.live.tell()
        stream = self.hub.stream()
        await anext(stream)
        lines = (await anext(stream)).decode().splitlines()
        await stream.aclose()
        found = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        return {each["topic"]: each["message"] for each in found}

    def as_viewer(self) -> Viewer:
        return cast("Viewer", self.viewer)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_group_is_told_when_it_changes_and_when_its_frames_stay_away(scene: Scene) -> None:
    for n in range(5):
        scene.frame(n)
    first = await scene.told()
    picture = first["grid/shard1/1"]
    assert (picture["word"], picture["stale"], picture["weak_bus"]) == ("escalated", False, 3)
    numbers = {bus[0]: bus for bus in picture["buses"]}
    assert numbers.keys() == {row["bus"] for row in FRAME["buses"]}
    assert (numbers[3][3], numbers[3][4]) == ("low", True)
    assert first["alarms/shard1"]["top"]["kind"] == "escalated"
    assert (first["alarms/shard1"]["active"], first["alarms/shard1"]["waiting"], first["alarms/shard1"]["changes"]) == (
        2,
        2,
        1,
    )
    assert await scene.told() == first
    scene.now_us += 3_000_000
    later = await scene.told()
    assert (later["grid/shard1/1"]["word"], later["grid/shard1/1"]["stale"]) == ("no data", True)
    assert all(bus[1:] == [None, None, "none", False] for bus in later["grid/shard1/1"]["buses"])
    assert later["alarms/shard1"]["changes"] == 2
    assert later["alarms/shard1"]["active"] == 3


async def test_a_group_is_told_without_its_namesake_on_another_channel(scene: Scene) -> None:
    scene.frame(0)
    alone = (await scene.told())["grid/shard1/1"]
    other = GridChain("another", scene.now_us)
    other.call("dvs", "InitialGrouping", example("record-1-corrected"), EVERY_ATTRIBUTE)
    frame = at(FRAME, scene.now_us)
    buses = [{**bus, "Vm": bus["Vm"] - 0.001} for bus in frame["buses"]]
    other.call("dvs", "ComputeVSI", {**frame, "buses": buses})
    scene.live.take("another", other.block())
    scene.frame(1)
    told = await scene.told()
    assert told["grid/shard1/1"]["buses"] == alone["buses"] != told["grid/another/1"]["buses"]


async def test_a_stream_begins_in_the_past_and_then_where_it_was(scene: Scene) -> None:
    contract = scene.network.get_contract("alarms")
    await contract.submit_transaction("Shelve", {"group": "1", "kind": "vsi", "duration_s": 60, "reason": "test"})
    assert await scene.live.start(scene.as_viewer(), "shard1") == 0
    assert scene.live.state.channels["shard1"].alarms.shelf("1", "vsi", T0 + 1) is not None
    scene.frame(0)
    height = (await scene.network.get_chain_info()).height
    assert scene.live.state.channels["shard1"].height == 1 <= height
    assert await scene.live.start(scene.as_viewer(), "shard1") == 1
    scene.live.state.channels["shard1"].height = 10**6  # another network has taken this one's place
    assert await scene.live.start(scene.as_viewer(), "shard1") == max(0, height - BACK_BLOCKS)
    assert scene.live.state.channels["shard1"].groups == {}


async def test_what_older_blocks_said_is_asked_for(scene: Scene) -> None:
    planner = scene.network.get_contract("dvs")
    await planner.submit_transaction("InitialGrouping", example("record-1-corrected"))
    scene.frame(0)
    raised = {"group": "1", "kind": "vsi", "raised_us": T0}
    await scene.network.get_contract("alarms").submit_transaction("Acknowledge", raised)
    look = asyncio.ensure_future(scene.live._look_once())
    await asyncio.wait_for(look, 10)
    assert scene.live.records.keys() == {"1"}
    assert scene.drawing.asked == 1
    states = {alarm.kind: alarm.state for alarm in scene.live.alarms_now()}
    assert states == {"escalated": "unacknowledged", "vsi": "acknowledged"}
    assert "diagram" in await scene.told()


async def test_who_may_not_read_a_channel_sees_nothing_of_it(scene: Scene) -> None:
    await scene.network.get_contract("dvs").submit_transaction("InitialGrouping", example("record-1-corrected"))
    scene.frame(0)
    await scene.live._look_once()
    assert (len(scene.live.groups()), len(scene.live.alarms_now()), len(scene.live.channels())) == (1, 2, 1)
    assert scene.live.record("1") is not None
    assert scene.live.diagram() == (None, None)
    scene.viewers.channels = {}
    assert (scene.live.groups(), scene.live.alarms_now(), scene.live.channels()) == ([], [], [])
    assert scene.live.record("1") is None
    assert scene.live.diagram() == (None, "it shows groups of channels that you may not read")


async def test_a_diagram_is_made_of_a_case_with_the_groups_of_the_records() -> None:
    record = example("record-1-corrected")
    drawing = Drawing(Path("case30"))
    assert await drawing.follow([record])
    assert drawing.diagram is not None
    assert {bus.number for bus in drawing.diagram.buses if bus.group == "1"} == set(record["members"])
    assert not await drawing.follow([record])
    missing = Drawing(Path("nowhere.m"))
    assert await missing.follow([])
    assert (missing.diagram, "nowhere.m" in (missing.fault or "")) == (None, True)
    nothing = Drawing(None)
    assert await nothing.follow([])
    assert "no record of a group" in (nothing.fault or "")
