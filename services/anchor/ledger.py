"""How an agent and the commands reach the contract ``anchors``, and an organisation's own peers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gridledger.client import Gateway, SigningIdentity
from gridledger.client.anchors import AnchorsLedger, application_of
from gridledger.client.application import TIMEOUTS, network_through, peers_of
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import SettingsError


@asynccontextmanager
async def anchors_ledger(profile: ConnectionProfile, signer: SigningIdentity) -> AsyncIterator[AnchorsLedger]:
    """The contract as ``signer`` calls it; its gateways are open in the block: first those of its organisation."""
    channel, chaincode = application_of(profile)
    peers = peers_of(profile, channel, signer.mspid)
    async with network_through(profile, channel, peers, signer) as network:
        yield AnchorsLedger(network.get_contract(chaincode), network)


@asynccontextmanager
async def own_gateway(profile: ConnectionProfile, signer: SigningIdentity) -> AsyncIterator[Gateway]:
    """The peers of the signer's organisation and no others: an agent attests what its own organisation has.

    Raises :class:`SettingsError` where the profile has none.
    """
    names = [name for name, peer in profile.peers.items() if peer.mspid == signer.mspid]
    if not names:
        raise SettingsError(f"{signer.mspid} has no peer in {profile.name}: an agent follows its own organisation's")
    async with Gateway.through([profile.way_to(name) for name in names], signer, timeouts=TIMEOUTS) as gateway:
        yield gateway
