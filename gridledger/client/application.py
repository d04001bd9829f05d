"""What clients of an application's contract share: where the connection profile has it, which peers come first, and
calls that take and answer one JSON object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from gridledger.client.connection import Timeouts
from gridledger.client.gateway import Contract, Gateway, Network
from gridledger.client.profile import ConnectionProfile
from gridledger.client.retry import Retry
from gridledger.client.signers import Signer
from gridledger.errors import SettingsError
from gridledger.protocol.chain_info import ChainInfo

TIMEOUTS: Final = Timeouts(evaluate_s=10.0, endorse_s=10.0, submit_s=15.0, commit_status_s=30.0)
"""How long servers and commands of an application wait: longer than a program with a user before it."""

Answer = dict[str, Any]


class ContractCalls:
    """One identity's calls of a contract whose functions take one JSON object and answer one.

    Errors are the SDK's: a refusal is ``CHAINCODE_REFUSED``.
    """

    again: Retry | None = None
    """How transactions are tried again that name nothing else; None: as the gateway does."""

    def __init__(self, contract: Contract, network: Network | None = None) -> None:
        self.contract = contract
        self._network = network

    @property
    def network(self) -> Network:
        """The channel, for its configuration, blocks and events."""
        if self._network is None:
            raise SettingsError("this ledger was opened for a contract alone")
        return self._network

    async def chain_info(self) -> ChainInfo:
        """How far the channel is."""
        return await self.network.get_chain_info()

    async def _submit(self, function: str, argument: Mapping[str, Any], retry: Retry | None = None) -> Answer:
        answer: Answer = await self.contract.submit_transaction(function, dict(argument), retry=retry or self.again)
        return answer

    async def _evaluate(self, function: str, argument: Mapping[str, Any]) -> Answer:
        answer: Answer = await self.contract.evaluate_transaction(function, dict(argument))
        return answer


def given(**members: Any) -> Answer:
    """Those of an argument's optional members that are there."""
    return {name: value for name, value in members.items() if value is not None}


async def each_item(read_page: Callable[[str | None], Awaitable[Answer]]) -> AsyncIterator[Answer]:
    """The items of all pages; the next page is asked for when the one before is used up."""
    bookmark: str | None = None
    while True:
        page = await read_page(bookmark)
        for item in page["items"]:
            yield item
        bookmark = page["bookmark"]
        if bookmark is None:
            return


def application_of(profile: ConnectionProfile, application: str, called: str) -> tuple[str, str]:
    """The channel and the chaincode of an application, which a message calls ``called``.

    Raises :class:`SettingsError` where a network has none.
    """
    entry = profile.applications.get(application)
    if entry is None:
        raise SettingsError(
            f"the network {profile.name} has no {called}: its description wants applications.{application} "
            "with chaincode and channel"
        )
    try:
        return str(entry["channel"]), str(entry["chaincode"])
    except KeyError as error:
        raise SettingsError(f"applications.{application} of the network {profile.name} lacks {error}") from None


def peers_of(profile: ConnectionProfile, channel: str, mspid: str, own_peer: str | None = None) -> list[str]:
    """A channel's peers: ``own_peer`` first, then those of the organisation ``mspid``, then the others.

    Raises :class:`SettingsError` where the profile knows none of them, or not ``own_peer``.
    """
    entry = profile.channels.get(channel)
    names = [name for name in entry.peers if name in profile.peers] if entry else []
    if not names:
        raise SettingsError(f"the connection profile knows no peer of the channel {channel}")
    if own_peer is not None and own_peer not in names:
        raise SettingsError(f"there is no peer {own_peer} on {channel}; there are: {', '.join(names)}")
    return sorted(names, key=lambda name: (name != own_peer, profile.peers[name].mspid != mspid))


@asynccontextmanager
async def network_through(
    profile: ConnectionProfile,
    channel: str,
    peers: Sequence[str],
    signer: Signer,
    *,
    timeouts: Timeouts = TIMEOUTS,
    retry: Retry | None = None,
) -> AsyncIterator[Network]:
    """A channel through these peers' gateways, which are open in the block: a later one takes over when those before it
    fail. ``retry`` is that of calls that name no other."""
    ways = [profile.way_to(name) for name in peers]
    async with Gateway.through(ways, signer, timeouts=timeouts, retry=retry) as gateway:
        yield gateway.get_network(channel)
