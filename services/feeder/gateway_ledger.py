"""The ledger through the SDK: REST calls to peers' gateways, as any third party would make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gridledger.client import Contract, Gateway, SigningIdentity, Status, Timeouts
from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.errors import NotFoundError, SettingsError
from gridledger.grid.grouping import components
from gridledger.grid.layout import Layout
from gridledger.network.users import enroll_user
from gridledger.transport.pins import Dialled
from services.feeder.concurrently import concurrently
from services.feeder.ledger_port import Ledger, Preview

_TIMEOUTS = Timeouts(evaluate_s=10.0, endorse_s=10.0, submit_s=15.0, commit_status_s=30.0)
_CONNECTIONS = 128
_ENROLMENTS_AT_ONCE = 4


class GatewayLedger:
    """One identity's contracts by channel. Its errors are the SDK's."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self._contracts = contracts

    async def submit(self, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        """Run a function and wait until it is committed and valid: its payload and the transaction's status."""
        return await self._contract(channel).submit_with_status(function, argument)

    async def evaluate(self, channel: str, function: str, argument: Mapping[str, Any]) -> Any:
        """The payload of a function that is run on one peer and written nowhere."""
        return await self._contract(channel).evaluate_transaction(function, argument)

    async def preview(self, channel: str, function: str, argument: Mapping[str, Any]) -> Preview:
        """Have a function endorsed, as for submit, but do not submit it."""
        proposal = await self._contract(channel).new_proposal(function, argument)
        endorsed = await proposal.endorse()
        return Preview(endorsed.result, bool(endorsed.transaction.result.writes))

    def _contract(self, channel: str) -> Contract:
        try:
            return self._contracts[channel]
        except KeyError:
            raise NotFoundError(f"this caller is no member of channel {channel}", channel=channel) from None


class GatewayCallers:
    """A planner for each channel and an aggregator for each group. Made by :func:`connected`."""

    def __init__(
        self,
        connector: _Connector,
        planners: Mapping[str, GatewayLedger],
        aggregators: Mapping[str, GatewayLedger],
    ) -> None:
        self._connector = connector
        self._planners = planners
        self._aggregators = aggregators

    async def following(self, profile: ConnectionProfile, layout: Layout, group: str) -> GatewayCallers:
        """The same callers, with those that a single group needs where another layout has it."""
        connector, channels = self._connector.with_layout(profile, layout), layout.channels_using(group)
        rank = _ranks(layout, {*self._aggregators, group})[group]
        aggregator, *planners = await concurrently(
            (connector.aggregator(group, rank), *(connector.planner(channel) for channel in channels))
        )
        return GatewayCallers(
            connector,
            {**self._planners, **dict(zip(channels, planners, strict=True))},
            {**self._aggregators, group: aggregator},
        )

    def planner(self, channel: str) -> Ledger:
        """A caller with grid.role=planner who may submit on ``channel``."""
        try:
            return self._planners[channel]
        except KeyError:
            raise NotFoundError(f"there is no certificate of a planner for channel {channel} at hand") from None

    def aggregator(self, group: str) -> Ledger:
        """The caller with grid.role=aggregator and grid.group=``group`` (merged: its first component)."""
        name = components(group)[0]
        try:
            return self._aggregators[name]
        except KeyError:
            raise NotFoundError(f"there is no certificate of the aggregator for group {name} at hand") from None


@asynccontextmanager
async def connected(profile: ConnectionProfile, layout: Layout, groups: Iterable[str]) -> AsyncIterator[GatewayCallers]:
    """Enrol (or load) a planner for each channel and an aggregator for each group; gateways are open in the block."""
    connector = _Connector(profile, layout)
    ranks = _ranks(layout, groups)
    try:
        ledgers = await concurrently(
            (
                *(connector.planner(channel) for channel in layout.channels),
                *(connector.aggregator(group, rank) for group, rank in ranks.items()),
            )
        )
        count = len(layout.channels)
        yield GatewayCallers(
            connector,
            dict(zip(layout.channels, ledgers[:count], strict=True)),
            dict(zip(ranks, ledgers[count:], strict=True)),
        )
    finally:
        await asyncio.gather(*(gateway.close() for gateway in connector.gateways.values()))


def _ranks(layout: Layout, groups: Iterable[str]) -> dict[str, int]:
    """Each group's rank among those on its channel, which spreads them over the channel's peers."""
    seen: dict[str, int] = {}
    ranks = {}
    for group in sorted(groups, key=int):
        channel = layout.channel_of(group)
        ranks[group] = seen.get(channel, 0)
        seen[channel] = ranks[group] + 1
    return ranks


class _Connector:
    """Chooses each caller's organisation and peer, enrols it, and opens its gateways."""

    def __init__(self, profile: ConnectionProfile, layout: Layout) -> None:
        self._profile = profile
        self._layout = layout
        self._enrolling = asyncio.Semaphore(_ENROLMENTS_AT_ONCE)
        self._enrolments: dict[str, asyncio.Lock] = {}
        self.gateways: dict[tuple[str, Dialled], Gateway] = {}

    def with_layout(self, profile: ConnectionProfile, layout: Layout) -> _Connector:
        """A connector for another layout, which shares this one's gateways."""
        other = _Connector(profile, layout)
        other._enrolling, other._enrolments, other.gateways = self._enrolling, self._enrolments, self.gateways
        return other

    async def planner(self, channel: str) -> GatewayLedger:
        """A planner of the organisation that the layout names for the channel, or of the channel's first peer."""
        peers, mspid = self._peers_of(channel), self._layout.planners.get(channel)
        name = next((name for name in peers if mspid in (None, self._peer(name).mspid)), None)
        if name is None:
            wanted = f"applications.dvs names {mspid} as planner of {channel}, which" if mspid else channel
            raise SettingsError(f"{wanted} has no peer{' there' if mspid else ''}")
        organisation = self._peer(name).organisation
        identity = await self._enrolled(organisation, "grid-planner", {"grid.role": "planner"})
        return self._ledger(identity, {channel: name})

    async def aggregator(self, group: str, rank: int) -> GatewayLedger:
        """An aggregator of an organisation that is a member of the group's channel and of the main channel."""
        own, main = self._layout.channel_of(group), self._layout.main
        on_main = self._peers_of(main)
        members = {self._peer(name).organisation for name in on_main}
        named = self._layout.aggregators.get(own)
        candidates = [
            name
            for name in self._peers_of(own)
            if self._peer(name).organisation in members and (not named or self._peer(name).mspid in named)
        ]
        if not candidates:
            raise SettingsError(
                f"no organisation that may be its aggregator is on both {own} and {main}: group {group} has none"
            )
        name = candidates[rank % len(candidates)]
        attributes = {"grid.role": "aggregator", "grid.group": group}
        identity = await self._enrolled(self._peer(name).organisation, f"grid-aggregator-{group}", attributes)
        return self._ledger(identity, {own: name, main: name if name in on_main else on_main[0]})

    def _peers_of(self, channel: str) -> list[str]:
        """A channel's peers, those that the profile tells more of."""
        entry = self._profile.channels.get(channel)
        return [name for name in entry.peers if name in self._profile.peers] if entry else []

    def _peer(self, name: str) -> NodeEntry:
        return self._profile.peers[name]

    async def _enrolled(self, organisation: str, name: str, attributes: Mapping[str, str]) -> SigningIdentity:
        async with self._enrolments.setdefault(f"{organisation}/{name}", asyncio.Lock()), self._enrolling:
            return await enroll_user(self._profile, organisation, name, "client", attributes)

    def _ledger(self, identity: SigningIdentity, peers: Mapping[str, str]) -> GatewayLedger:
        contracts = {}
        for channel, name in peers.items():
            way = self._profile.way_to(name)
            key = (identity.fingerprint, way)
            if key not in self.gateways:
                self.gateways[key] = Gateway.through([way], identity, timeouts=_TIMEOUTS, max_connections=_CONNECTIONS)
            contracts[channel] = self.gateways[key].get_network(channel).get_contract(self._layout.chaincode)
        return GatewayLedger(contracts)
