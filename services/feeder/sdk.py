"""The ledger through the SDK: REST to peers' gateways, as any third party would speak to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gridledger.client import Contract, Gateway, SigningIdentity, Timeouts
from gridledger.client.errors import CommitError, TransactionError
from gridledger.errors import (
    BusyError,
    GridLedgerError,
    NotFoundError,
    SettingsError,
    TimeoutExceeded,
    UnavailableError,
)
from gridledger.network.connection import ConnectionProfile, NodeEntry
from gridledger.network.users import enroll_user
from gridledger.protocol.codes import TxValidationCode
from services.feeder.ledger import Layout, Ledger, Preview, Receipt, Refused, Superseded

_CONFLICTS = frozenset((TxValidationCode.MVCC_READ_CONFLICT, TxValidationCode.PHANTOM_READ_CONFLICT))
_BY_STATUS: dict[int, type[GridLedgerError]] = {429: BusyError, 503: UnavailableError, 504: TimeoutExceeded}
_TIMEOUTS = Timeouts(evaluate_s=10.0, endorse_s=10.0, submit_s=15.0, commit_status_s=30.0)
_CONNECTIONS = 128
_ENROLMENTS_AT_ONCE = 4


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SdkLedger:
    """One identity's contracts by channel."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self._contracts = contracts

    async def submit(self, channel: str, function: str, argument: Mapping[str, Any]) -> Receipt:
        """Run a function and wait until it is committed and valid."""
        try:
            payload, status = await self._contract(channel).submit_with_status(function, argument)
        except TransactionError as error:
            raise _translated(error) from error
        return Receipt(status.tx_id, payload)

    async def evaluate(self, channel: str, function: str, argument: Mapping[str, Any]) -> Any:
        """The answer of a function that is run on one peer and written nowhere."""
        try:
            return await self._contract(channel).evaluate_transaction(function, argument)
        except TransactionError as error:
            raise _translated(error) from error

    async def preview(self, channel: str, function: str, argument: Mapping[str, Any]) -> Preview:
        """Have a function endorsed, as for submit, and let it be."""
        try:
            proposal = await self._contract(channel).new_proposal(function, argument)
            endorsed = await proposal.endorse()
        except TransactionError as error:
            raise _translated(error) from error
        return Preview(endorsed.result, bool(endorsed.transaction.result.writes))

    def _contract(self, channel: str) -> Contract:
        try:
            return self._contracts[channel]
        except KeyError:
            raise NotFoundError(f"this caller has no business on channel {channel}", channel=channel) from None


class SdkCallers:
    """A planner for each channel and an aggregator for each group. Made by :func:`connected`."""

    def __init__(self, planners: Mapping[str, SdkLedger], aggregators: Mapping[str, SdkLedger]) -> None:
        self._planners = planners
        self._aggregators = aggregators

    def planner(self, channel: str) -> Ledger:
        """A caller with grid.role=planner who may submit on ``channel``."""
        return _at_hand(self._planners, channel, "planner for channel")

    def aggregator(self, group: str) -> Ledger:
        """The caller with grid.role=aggregator, grid.group=``group``."""
        return _at_hand(self._aggregators, group, "aggregator for group")


def layout_of(profile: ConnectionProfile) -> Layout:
    """Where the application ``dvs`` runs, as the network's description says; SettingsError where it says nothing."""
    try:
        described = profile.applications["dvs"]
        layout = Layout(described["main"], tuple(described["groups"]), described["chaincode"])
    except (KeyError, TypeError):
        raise SettingsError(
            f"the network {profile.name} does not say where dvs runs: its description needs "
            "applications: {dvs: {chaincode: ..., main: ..., groups: [...]}}"
        ) from None
    missing = [channel for channel in layout.channels if channel not in profile.channels]
    if missing or not layout.groups:
        raise SettingsError(f"applications.dvs of the network {profile.name} names no channel of it: {missing}")
    return layout


@asynccontextmanager
async def connected(profile: ConnectionProfile, layout: Layout, groups: Iterable[str]) -> AsyncIterator[SdkCallers]:
    """Enrol (or load) everybody, and open their gateways for the length of the block."""
    desk = _Desk(profile, layout)
    groups = sorted(groups, key=int)
    try:
        async with asyncio.TaskGroup() as tasks:
            planners = {channel: tasks.create_task(desk.planner(channel)) for channel in layout.channels}
            aggregators = {
                group: tasks.create_task(desk.aggregator(group, rank)) for group, rank in desk.ranked(groups).items()
            }
        yield SdkCallers(
            {channel: task.result() for channel, task in planners.items()},
            {group: task.result() for group, task in aggregators.items()},
        )
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        await asyncio.gather(*(gateway.close() for gateway in desk.gateways.values()))


class _Desk:
    """Who is of which organisation and speaks to which peer."""

    def __init__(self, profile: ConnectionProfile, layout: Layout) -> None:
        self._profile = profile
        self._layout = layout
        self._roots = profile.roots.read_text(encoding="ascii")
        self._enrolling = asyncio.Semaphore(_ENROLMENTS_AT_ONCE)
        self._enrolments: dict[str, asyncio.Lock] = {}
        self.gateways: dict[tuple[str, str], Gateway] = {}

    def ranked(self, groups: Iterable[str]) -> dict[str, int]:
        """Each group's rank among those on its channel, which spreads them over the channel's peers."""
        seen: dict[str, int] = {}
        ranks = {}
        for group in groups:
            channel = self._layout.channel_of(group)
            ranks[group] = seen.get(channel, 0)
            seen[channel] = ranks[group] + 1
        return ranks

    async def planner(self, channel: str) -> SdkLedger:
        """A planner of the organisation of the channel's first peer."""
        name = self._profile.channels[channel].peers[0]
        organisation = self._profile.peers[name].organisation
        identity = await self._enrolled(organisation, "grid-planner", {"grid.role": "planner"})
        return self._ledger(identity, {channel: name})

    async def aggregator(self, group: str, rank: int) -> SdkLedger:
        """An aggregator of an organisation that is a member of the group's channel and of the main channel."""
        own, main = self._layout.channel_of(group), self._layout.main
        on_main = self._profile.channels[main].peers
        members = {self._profile.peers[name].organisation for name in on_main}
        candidates = [name for name in self._profile.channels[own].peers if self._peer(name).organisation in members]
        if not candidates:
            raise SettingsError(f"no organisation is on both {own} and {main}: group {group} has no aggregator")
        name = candidates[rank % len(candidates)]
        attributes = {"grid.role": "aggregator", "grid.group": group}
        identity = await self._enrolled(self._peer(name).organisation, f"grid-aggregator-{group}", attributes)
        return self._ledger(identity, {own: name, main: name if name in on_main else on_main[0]})

    def _peer(self, name: str) -> NodeEntry:
        return self._profile.peers[name]

    async def _enrolled(self, organisation: str, name: str, attributes: Mapping[str, str]) -> SigningIdentity:
        async with self._enrolments.setdefault(f"{organisation}/{name}", asyncio.Lock()), self._enrolling:
            return await enroll_user(self._profile, organisation, name, "client", attributes)

    def _ledger(self, identity: SigningIdentity, peers: Mapping[str, str]) -> SdkLedger:
        contracts = {}
        for channel, name in peers.items():
            key = (identity.fingerprint, name)
            if key not in self.gateways:
                self.gateways[key] = Gateway.connect(
                    self._peer(name).url, identity, roots=self._roots, timeouts=_TIMEOUTS, max_connections=_CONNECTIONS
                )
            contracts[channel] = self.gateways[key].get_network(channel).get_contract(self._layout.chaincode)
        return SdkLedger(contracts)


def _at_hand(ledgers: Mapping[str, SdkLedger], name: str, what: str) -> SdkLedger:
    try:
        return ledgers[name]
    except KeyError:
        raise NotFoundError(f"there is no certificate of the {what} {name} at hand") from None


def _translated(error: TransactionError) -> GridLedgerError:
    """What the feeder's logic calls it; the error itself where that knows no name for it."""
    if error.code == "CHAINCODE_REFUSED":
        return Refused(error.message, tx_id=error.tx_id)
    if error.code == "ENDORSEMENT_MISMATCH" or (isinstance(error, CommitError) and error.validation_code in _CONFLICTS):
        return Superseded(error.message, tx_id=error.tx_id)
    known = _BY_STATUS.get(error.status)
    return error if known is None else known(error.message, tx_id=error.tx_id)
