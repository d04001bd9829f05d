"""A network to measure: started, with the chaincodes, records and identities that the workloads need."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load.plan import Target
from gridledger.client import Gateway, SigningIdentity
from gridledger.errors import SettingsError
from gridledger.grid.case import load_case
from gridledger.grid.frames import FrameMaker
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.network.connection import ConnectionProfile, load_connection
from gridledger.network.deploy import deploy_chaincode
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.supervisor import running_network
from gridledger.network.users import enroll_user

PROJECT = Path(__file__).resolve().parents[2]
GROUPS = ("1", "2", "3")
WORKLOADS = ("put", "read-write", "query", "ComputeVSI", "LocalController")
COPIES = 48
"""Groups for each of the three that LocalController alarms in: more in all than there are transactions under way."""
_AT_ONCE = 12
_PLENTY = 1e6
BASE_TIME_US = 1_767_225_600_000_000
PUT_BYTES = 100
COUNTERS = 10_000
"""Keys that read-write chooses from."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A running network with all that the workloads need."""

    config: NetworkConfig
    profile: ConnectionProfile
    frames: dict[str, dict[str, Any]]
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarms: list[Target] = field(default_factory=list)

    @property
    def topology(self) -> str:
        """The network's name."""
        return self.config.name

    @property
    def root(self) -> Path:
        """The network's folder."""
        return self.profile.organisations.parent

    async def targets(self, workload: str) -> list[Target]:
        """A workload's streams (benchmarks/load/workloads.py), with what they need on the ledger."""
        if workload == "put":
            return self.put_targets(PUT_BYTES)
        if workload == "read-write":
            return self._kv_targets("add", {"keys": COUNTERS})
        if workload == "ComputeVSI":
            return self.vsi_targets()
        if workload == "query":
            return [
                target.model_copy(
                    update={"function": "GetGroup", "argument": {"group": target.argument["group"]}, "readonly": True}
                )
                for target in self.vsi_targets()
            ]
        if workload == "LocalController":
            if not self.alarms:
                self.alarms.extend(await prepare_alarms(self))
            return self.alarms
        raise SettingsError(f"there is no workload {workload!r}; there are {', '.join(WORKLOADS)}")

    def channel_of(self, group: str) -> str:
        """The channel on which a group's frames run."""
        channels = self.config.applications["dvs"]["groups"]
        return str(channels[(int(group) - 1) % len(channels)])

    def shards(self) -> list[str]:
        """The channels that carry load, each once."""
        return list(dict.fromkeys(self.channel_of(group) for group in GROUPS))

    def put_targets(self, size: int) -> list[Target]:
        """A stream of puts to every peer of every shard."""
        return self._kv_targets("put", {"bytes": size})

    def _kv_targets(self, function: str, argument: dict[str, Any]) -> list[Target]:
        return [
            self.target((channel, index), "kv", function, argument, group=self._group_on(channel))
            for index in range(max(len(self.profile.channels[channel].peers) for channel in self.shards()))
            for channel in self.shards()
        ]

    def vsi_targets(self) -> list[Target]:
        """A stream of each group's frames to every peer of its channel."""
        return [
            self.target((self.channel_of(group), index), "dvs", "ComputeVSI", self.frames[group], group=group)
            for index in range(max(len(self.profile.channels[channel].peers) for channel in self.shards()))
            for group in GROUPS
        ]

    def _group_on(self, channel: str) -> str:
        return next(group for group in GROUPS if self.channel_of(group) == channel)

    def target(
        self, stream: tuple[str, int], chaincode: str, function: str, argument: dict[str, Any], *, group: str
    ) -> Target:
        """A stream (its channel, and which of the channel's peers) as the aggregator of a group."""
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
        bench.records[group] = dict(planner.record(group, state))
        await _submit(bench, plans, channel, "InitialGrouping", bench.records[group])


async def prepare_alarms(bench: Bench) -> list[Target]:
    """Copies of the three groups, with thresholds that every frame falls below, voltages that are never enough and
    power that does not run out; an aggregator each. Their streams go round the peers of their channels."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(group: str, copy: int) -> Target:
        async with at_once:
            return await _prepare_alarm(bench, group, copy)

    return await asyncio.gather(*(one(group, copy) for copy in range(COPIES) for group in GROUPS))


async def _prepare_alarm(bench: Bench, group: str, copy: int) -> Target:
    channel, name = bench.channel_of(group), f"{group}{copy + 1:03}"
    entry = bench.profile.peer_of(channel)
    roles = {"grid.role": "aggregator", "grid.group": name}
    aggregator = await enroll_user(bench.profile, entry.organisation, _user(entry.organisation, name), "client", roles)
    planner = SigningIdentity.load(bench.profile.user(entry.organisation, f"planner-{channel}"))
    record = bench.records[group] | {"id": name, "threshold": 1.0, "v_required": 1.5}
    power = {str(load["bus"]): _PLENTY for load in record["Zth"]}
    await _submit(bench, planner, channel, "InitialGrouping", record)
    await _submit(bench, aggregator, channel, "UpdateResources", {"group": name, "vvc": power})
    frame = bench.frames[group] | {"group": name}
    target = bench.target((channel, copy), "dvs", "ComputeVSI", frame, group=name)
    return target.model_copy(update={"exclusive": True})


async def _submit(
    bench: Bench, identity: SigningIdentity, channel: str, function: str, argument: dict[str, Any]
) -> None:
    url = bench.profile.peer_of(channel).url
    async with Gateway.connect(url, identity, roots=bench.profile.roots) as gateway:
        await gateway.get_network(channel).get_contract("dvs").submit_transaction(function, argument)


def _user(organisation: str, group: str) -> str:
    return f"aggregator-{organisation}-{group}"
