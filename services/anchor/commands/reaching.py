"""What the commands read: the anchors, and the chains of a channel's peers, each by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gridledger.client import Network, SigningIdentity
from gridledger.client.anchors import AnchorsLedger, application_of
from gridledger.client.application import network_through
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import NotFoundError
from services.anchor.ledger import anchors_ledger


@dataclass(frozen=True, slots=True)
class Reached:
    """A network as one user reaches it."""

    profile: ConnectionProfile
    signer: SigningIdentity
    ledger: AnchorsLedger

    def channels(self, wanted: list[str] | None = None) -> list[str]:
        """The channels that can be anchored, or those of them that are wanted; :class:`NotFoundError`."""
        anchoring, _ = application_of(self.profile)
        known = [name for name in self.profile.channels if name != anchoring]
        unknown = [name for name in wanted or () if name not in known]
        if unknown:
            raise NotFoundError(f"there is no channel {unknown[0]!r} beside {anchoring}; there are: {', '.join(known)}")
        return wanted or known

    def peers(self, channel: str) -> list[str]:
        """The channel's peers, those of the user's own organisation first."""
        names = self.profile.channels[channel].peers
        return sorted(names, key=lambda name: self.profile.peers[name].mspid != self.signer.mspid)

    @asynccontextmanager
    async def channel(self, name: str, *peers: str) -> AsyncIterator[Network]:
        """A channel through these peers, or all of its."""
        async with network_through(self.profile, name, peers or self.peers(name), self.signer) as network:
            yield network


@asynccontextmanager
async def reached(profile: ConnectionProfile, signer: SigningIdentity) -> AsyncIterator[Reached]:
    """The network; connections are open in the block."""
    async with anchors_ledger(profile, signer) as ledger:
        yield Reached(profile, signer, ledger)
