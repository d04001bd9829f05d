"""What tests of moving groups share: a layout with MSPs, its connection profile as a file, and a mover."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.grid.layout import Layout, describe_groups
from gridledger.grid.plant import Plant
from services.feeder.coordinator import Coordinator
from services.feeder.dvs_client import DvsClient
from services.feeder.frames_in_flight import FramesInFlight
from services.feeder.group_move import GroupMover
from services.feeder.record_submitter import RecordSubmitter
from tests.support.dvs_world import FakeClock, Life, World, dvs_client
from tests.support.feeder_world import GROUPS
from tests.support.solved_grid import planner

MSPS = {"shard1": ("OneMSP",), "shard2": ("TwoMSP",), "shard3": ("ThreeMSP",), "shard4": ("FourMSP",)}
BEFORE = Layout("mainchain", ("shard1", "shard2", "shard3"), planners={"mainchain": "Org1MSP"}, aggregators=MSPS)
"""Groups 1, 2, 3 on a shard each, and a shard without groups. Each shard's aggregators are of an MSP of its own."""
AFTER = BEFORE.placing({"2": "shard4"})


def write_profile(file: Path, layout: Layout, port: int = 7151) -> ConnectionProfile:
    """Write a connection profile whose network has this layout, and its first peer on ``port``; the profile."""
    dvs = {
        "chaincode": layout.chaincode,
        "main": layout.main,
        "groups": describe_groups(layout),
        "planners": dict(layout.planners),
        "aggregators": {channel: list(msps) for channel, msps in layout.aggregators.items()},
    }
    content = {
        "name": "small",
        "channels": {name: {"peers": []} for name in BEFORE.channels},
        "peers": {"peer1": {"url": f"https://localhost:{port}", "organisation": "Org1", "mspid": "Org1MSP"}},
        "orderers": {},
        "ca": {"url": "https://localhost", "tls_root": "tls-root.pem", "organisations": []},
        "roots": "roots.pem",
        "organisations": "organisations",
        "applications": {"dvs": dvs},
    }
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(file)
    return load_profile(file)


class EagerClock(FakeClock):
    """Lets others run while it sleeps, for next to no time."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0.005)


@dataclass
class Process:
    """One process of the feeder."""

    dvs: DvsClient
    coordinator: Coordinator
    frames: FramesInFlight
    mover: GroupMover
    told: list[str]

    async def on(self, profile: ConnectionProfile, layout: Layout, group: str) -> DvsClient:
        """The client with which a group is moved to where ``layout`` has it."""
        return self.dvs.elsewhere(layout, await self.dvs.callers.following(profile, layout, group))


def process(world: World, grid: Plant, clock: FakeClock, layout: Layout, life: Life | None = None) -> Process:
    """A process that begins with this layout."""
    dvs, told = dvs_client(world, life, clock, layout), list[str]()
    records = RecordSubmitter(planner("corrected"), dvs, clock)
    coordinator = Coordinator(GROUPS, plant=grid, records=records, dvs=dvs, clock=clock)
    frames = FramesInFlight()
    mover = GroupMover(
        coordinator=coordinator, records=records, plant=grid, dvs=dvs, frames=frames, clock=clock, tell=told.append
    )
    return Process(dvs, coordinator, frames, mover, told)
