"""The network under load: with the chaincodes, group records and identities that the workloads need."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import PROJECT
from benchmarks.load.plan import LoadStream
from benchmarks.load.topologies import running_topology
from gridledger.client import Gateway, NodeClient, SigningIdentity
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.client.queries import read_config
from gridledger.errors import SettingsError
from gridledger.grid.case import load_case
from gridledger.grid.frames import FrameMaker
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import layout_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.network.deploy import deploy_chaincode
from gridledger.network.schema import NetworkConfig
from gridledger.network.users import enroll_user

GROUPS = ("1", "2", "3")
"""The groups of the IEEE 30-bus case."""
WORKLOADS = ("put", "read-write", "query", "ComputeVSI", "LocalController")
ALARM_COPIES = 48
"""Copies of each group for LocalController: together more groups than there are transactions under way."""
PUT_BYTES = 100
COUNTERS = 10_000
"""The number of keys that read-write chooses from."""
BASE_TIME_US = 1_767_225_600_000_000
_PREPARED_AT_ONCE = 12
_AMPLE_MVAR = 1e6


@dataclass(frozen=True, slots=True)
class BenchNetwork:
    """A running network; ``frames`` and ``records`` hold each group's base frame and record once it is prepared."""

    config: NetworkConfig
    profile: ConnectionProfile
    frames: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarm_streams: list[LoadStream] = field(default_factory=list)

    @property
    def topology(self) -> str:
        """The network's name."""
        return self.config.name

    @property
    def root(self) -> Path:
        """The network's folder."""
        return self.profile.organisations.parent

    def channel_of(self, group: str) -> str:
        """The channel that a group's frames are sent to."""
        return layout_of(self.profile).channel_of(group)

    def named(self, group: str, record: dict[str, Any]) -> dict[str, Any]:
        """A record of a group, or of a copy of it, which names the MSPs as the topology says."""
        named = layout_of(self.profile).naming_msps(self.channel_of(group), record | {"id": group})
        return named | {"id": record["id"]}

    def shards(self) -> dict[str, str]:
        """The channels under load, each with the first of its groups."""
        first: dict[str, str] = {}
        for group in GROUPS:
            first.setdefault(self.channel_of(group), group)
        return first

    async def streams(self, workload: str) -> list[LoadStream]:
        """A workload's streams (workloads.py); what LocalController needs is put on the ledger at the first call."""
        if workload == "put":
            return self._kv_streams("put", {"bytes": PUT_BYTES})
        if workload == "read-write":
            return self._kv_streams("add", {"keys": COUNTERS})
        if workload == "ComputeVSI":
            return self._frame_streams()
        if workload == "query":
            return [
                stream.model_copy(
                    update={"function": "GetGroup", "argument": {"group": stream.argument["group"]}, "readonly": True}
                )
                for stream in self._frame_streams()
            ]
        if workload == "LocalController":
            if not self.alarm_streams:
                self.alarm_streams.extend(await _prepare_alarms(self))
            return self.alarm_streams
        raise SettingsError(f"there is no workload {workload!r}; there are {', '.join(WORKLOADS)}")

    def _kv_streams(self, function: str, argument: dict[str, Any]) -> list[LoadStream]:
        """A stream to every peer of every shard."""
        shards = self.shards()
        return [
            self.stream((channel, index), shards[channel], "kv", function, argument)
            for channel, index in self._places(shards)
        ]

    def _frame_streams(self) -> list[LoadStream]:
        """A stream of each group's frames to every peer of its channel."""
        return [
            self.stream((self.channel_of(group), index), group, "dvs", "ComputeVSI", self.frames[group])
            for group, index in self._places(GROUPS)
        ]

    def _places(self, names: Iterable[str]) -> list[tuple[str, int]]:
        """All names with the first peer of their channel, then all with the second, and so on."""
        most = max(len(self.profile.channels[channel].peers) for channel in self.shards())
        names = list(names)
        return [(name, index) for index in range(most) for name in names]

    def stream(
        self, to: tuple[str, int], group: str, chaincode: str, function: str, argument: dict[str, Any]
    ) -> LoadStream:
        """A stream ``to`` a channel's peer of this index, sent by the aggregator of a group."""
        channel, index = to
        organisation = self.profile.peer_of(channel).organisation
        return LoadStream(
            url=self.profile.peer_of(channel, index).url,
            channel=channel,
            chaincode=chaincode,
            identity=str(self.profile.user(organisation, _aggregator(organisation, group))),
            function=function,
            argument=argument,
        )

    def gateway(self, channel: str, identity: SigningIdentity) -> Gateway:
        """A connection to the first peer of a channel."""
        return Gateway.connect(self.profile.peer_of(channel).url, identity, roots=self.profile.roots)

    async def height(self, stream: LoadStream) -> int:
        """The number of blocks of a stream's channel."""
        async with self.gateway(stream.channel, SigningIdentity.load(stream.identity)) as gateway:
            return (await gateway.get_network(stream.channel).get_chain_info()).height


@asynccontextmanager
async def running_bench_network(
    topology: str, folder: Path, *, port_offset: int, companions: Sequence[str] = ()
) -> AsyncIterator[BenchNetwork]:
    """Run a topology with these of its companions, prepared for all workloads, in ``folder`` (an absolute path), which
    is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    async with running_topology(topology, folder, port_offset=port_offset, companions=companions) as config:
        network = BenchNetwork(config, load_profile(folder))
        await prepare(network)
        yield network


async def prepare(network: BenchNetwork) -> None:
    """Deploy kv where it is missing, enrol a planner for each channel and an aggregator for each group, submit the
    groups' records of the IEEE 30-bus case."""
    for channel in network.shards():
        if not await _has_chaincode(network.profile, channel, "kv"):
            policy = network.config.channels[channel].chaincodes["dvs"].policy
            await deploy_chaincode(network.profile, PROJECT / "chaincode" / "kv", channel, policy=policy)
    case = load_case("case30")
    state = Grid(PowerFlow(case)).state()
    planner = planner_for(case, grouping_of(case), "published", state)
    for group in GROUPS:
        channel = network.channel_of(group)
        organisation = network.profile.peer_of(channel).organisation
        roles = {"grid.role": "planner"}
        submitter = await enroll_user(network.profile, organisation, f"planner-{channel}", "client", roles)
        await _enroll_aggregator(network, organisation, group)
        network.frames[group] = dict(FrameMaker(planner.area(group)).frame(state, BASE_TIME_US))
        network.records[group] = dict(planner.record(group, state))
        await _submit(network, submitter, channel, "InitialGrouping", network.named(group, network.records[group]))


async def _has_chaincode(profile: ConnectionProfile, channel: str, chaincode: str) -> bool:
    entry = profile.peer_of(channel)
    admin = SigningIdentity.load(profile.user(entry.organisation, "admin"))
    async with NodeClient(entry.url, admin, profile.roots.read_text(encoding="ascii")) as node:
        return chaincode in (await read_config(node, channel)).chaincodes


async def _prepare_alarms(network: BenchNetwork) -> list[LoadStream]:
    """Make copies of the three groups in which every frame alarms, each with an aggregator, and their streams. The
    streams of a channel go to its peers in turn."""
    at_once = asyncio.Semaphore(_PREPARED_AT_ONCE)

    async def one(group: str, copy: int) -> LoadStream:
        async with at_once:
            return await _prepare_alarm(network, group, copy)

    return await asyncio.gather(*(one(group, copy) for copy in range(ALARM_COPIES) for group in GROUPS))


async def _prepare_alarm(network: BenchNetwork, group: str, copy: int) -> LoadStream:
    channel, name = network.channel_of(group), f"{group}{copy + 1:03}"
    organisation = network.profile.peer_of(channel).organisation
    aggregator = await _enroll_aggregator(network, organisation, name)
    planner = SigningIdentity.load(network.profile.user(organisation, f"planner-{channel}"))
    # Every frame is below this threshold, no injection reaches this voltage, and the loads' VVCs never run out.
    record = network.records[group] | {"id": name, "threshold": 1.0, "v_required": 1.5}
    capacity = {str(load["bus"]): _AMPLE_MVAR for load in record["Zth"]}
    await _submit(network, planner, channel, "InitialGrouping", network.named(group, record))
    await _submit(network, aggregator, channel, "UpdateResources", {"group": name, "vvc": capacity})
    frame = network.frames[group] | {"group": name}
    stream = network.stream((channel, copy), name, "dvs", "ComputeVSI", frame)
    return stream.model_copy(update={"exclusive": True})


async def _enroll_aggregator(network: BenchNetwork, organisation: str, group: str) -> SigningIdentity:
    attributes = {"grid.role": "aggregator", "grid.group": group}
    return await enroll_user(network.profile, organisation, _aggregator(organisation, group), "client", attributes)


async def _submit(
    network: BenchNetwork, identity: SigningIdentity, channel: str, function: str, argument: dict[str, Any]
) -> None:
    async with network.gateway(channel, identity) as gateway:
        await gateway.get_network(channel).get_contract("dvs").submit_transaction(function, argument)


def _aggregator(organisation: str, group: str) -> str:
    return f"aggregator-{organisation}-{group}"
