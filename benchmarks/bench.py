"""A network to measure: started, with the chaincodes, records and identities that the workloads need."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plan import Outcome, Plan, Target
from gridledger.client import Gateway, SigningIdentity
from gridledger.network.connection import ConnectionProfile, load_connection
from gridledger.network.deploy import deploy_chaincode
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.supervisor import running_network
from gridledger.network.users import enroll_user
from services.feeder.case import load_case
from services.feeder.frames import FrameMaker
from services.feeder.grouping import grouping_of
from services.feeder.power_flow import Grid, PowerFlow
from services.feeder.stability import planner_for

PROJECT = Path(__file__).resolve().parents[1]
GROUPS = ("1", "2", "3")
BASE_TIME_US = 1_767_225_600_000_000
_START_DELAY_S = 1.5


@dataclass(frozen=True, slots=True)
class Bench:
    """A running network with all that the workloads need."""

    config: NetworkConfig
    profile: ConnectionProfile
    frames: dict[str, dict[str, Any]]

    def channel_of(self, group: str) -> str:
        """The channel on which a group's frames run."""
        channels = self.config.applications["dvs"]["groups"]
        return str(channels[(int(group) - 1) % len(channels)])

    def shards(self) -> list[str]:
        """The channels that carry load, each once."""
        return list(dict.fromkeys(self.channel_of(group) for group in GROUPS))

    def put_targets(self, size: int) -> list[Target]:
        """A stream of puts to every peer of every shard."""
        return [
            self._target((channel, index), "kv", "put", {"bytes": size}, group=self._group_on(channel))
            for index in range(max(len(self.profile.channels[channel].peers) for channel in self.shards()))
            for channel in self.shards()
        ]

    def vsi_targets(self) -> list[Target]:
        """A stream of each group's frames to every peer of its channel."""
        return [
            self._target((self.channel_of(group), index), "dvs", "ComputeVSI", self.frames[group], group=group)
            for index in range(max(len(self.profile.channels[channel].peers) for channel in self.shards()))
            for group in GROUPS
        ]

    def _group_on(self, channel: str) -> str:
        return next(group for group in GROUPS if self.channel_of(group) == channel)

    def _target(
        self, stream: tuple[str, int], chaincode: str, function: str, argument: dict[str, Any], *, group: str
    ) -> Target:
        channel, index = stream
        peer = self.profile.peer_of(channel, index)
        user = _user(self.profile.peer_of(channel).organisation, group)
        return Target(
            url=peer.url,
            channel=channel,
            chaincode=chaincode,
            identity=str(self.profile.user(self.profile.peer_of(channel).organisation, user)),
            function=function,
            argument=argument,
        )


@asynccontextmanager
async def running_bench(topology: str, folder: Path, *, port_offset: int) -> AsyncIterator[Bench]:
    """Start a topology in a fresh folder and make it ready for all workloads."""
    shutil.rmtree(folder, ignore_errors=True)
    config = load_network_config(PROJECT / "network-config" / f"{topology}.yaml").with_port_offset(port_offset)
    network = NetworkFolder(folder)
    async with running_network(config, network, project=PROJECT, sink=lambda _name, _line: None):
        profile = load_connection(network.root)
        bench = Bench(config, profile, {})
        policies = {name: spec.chaincodes["dvs"].policy for name, spec in config.channels.items()}
        for channel in bench.shards():
            await deploy_chaincode(profile, PROJECT / "chaincode" / "kv", channel, policy=policies[channel])
        await prepare_groups(bench)
        yield bench


async def run_load(
    bench: Bench, targets: list[Target], *, rate: float | None, concurrency: int, **times: float
) -> Outcome:
    """Load from two generator processes; their outcomes together."""
    count = 2
    shared = {"roots": str(bench.profile.roots), "targets": targets, "start_at": time.time() + _START_DELAY_S, **times}
    # One number for all: the processes' keys and frame times must interleave, not meet.
    first = int(time.time() * 1e6) % 10**12
    plans = [
        Plan(
            rate=None if rate is None else rate / count,
            concurrency=max(1, concurrency // count),
            first=first + number,
            stride=count,
            **shared,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]
    outcomes = await asyncio.gather(*(_generate(plan) for plan in plans))
    refused: dict[str, int] = {}
    for outcome in outcomes:
        for code, number in outcome.refused.items():
            refused[code] = refused.get(code, 0) + number
    return Outcome(
        latencies_s=sorted(latency for outcome in outcomes for latency in outcome.latencies_s),
        refused=refused,
        measured_s=outcomes[0].measured_s,
        cpu_s=sum(outcome.cpu_s for outcome in outcomes),
    )


async def _generate(plan: Plan) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.generator"),
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate(plan.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError(f"a generator ended with {process.returncode}")
    return Outcome.model_validate_json(answer)


async def prepare_groups(bench: Bench) -> None:
    """Enrol a planner and aggregators per channel, submit the case30 records and a base frame's worth of resources."""
    case = load_case("case30")
    state = Grid(PowerFlow(case)).state()
    planner = planner_for(case, grouping_of(case), "published", state)
    for group in GROUPS:
        channel = bench.channel_of(group)
        entry = bench.profile.peer_of(channel)
        roles = {"grid.role": "planner"}
        plans = await enroll_user(bench.profile, entry.organisation, f"planner-{channel}", "client", roles)
        attributes = {"grid.role": "aggregator", "grid.group": group}
        await enroll_user(bench.profile, entry.organisation, _user(entry.organisation, group), "client", attributes)
        bench.frames[group] = dict(FrameMaker(planner.area(group)).frame(state, BASE_TIME_US))
        await _submit(bench, plans, channel, "InitialGrouping", dict(planner.record(group, state)))


async def _submit(
    bench: Bench, identity: SigningIdentity, channel: str, function: str, argument: dict[str, Any]
) -> None:
    url = bench.profile.peer_of(channel).url
    async with Gateway.connect(url, identity, roots=bench.profile.roots) as gateway:
        await gateway.get_network(channel).get_contract("dvs").submit_transaction(function, argument)


def _user(organisation: str, group: str) -> str:
    return f"aggregator-{organisation}-{group}"
