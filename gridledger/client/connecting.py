"""``connect``: a gateway by a network's connection profile, as one of its users."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gridledger.client.connection import Timeouts
from gridledger.client.gateway import Gateway
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.client.retry import Retry
from gridledger.client.signers import Signer
from gridledger.errors import SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.pins import Dialled

Profile = str | Path | ConnectionProfile
"""A network's folder, the path of its connection profile, or the profile itself."""


async def connect(
    profile: Profile | None = None,
    *,
    user: str | None = None,
    identity: Signer | None = None,
    tls_identity: SigningIdentity | None = None,
    timeouts: Timeouts | None = None,
    retry: Retry | None = None,
    max_connections: int = 64,
) -> Gateway:
    """A gateway to the network of ``profile``, as ``user`` (such as ``Org1/alice``) or as another ``identity``,
    beside which a ``tls_identity`` may stand (see :meth:`Gateway.connect`).

    Without a profile: the one that the environment's GRIDLEDGER_PROFILE names, or the one in out/network. Without a
    user: the profile's default user, or the first organisation's admin. All peers are its gateways, those of the user's
    organisation first; nobody is taken for a peer by a certificate of another organisation, or by a client's.
    Connections open when they are first needed.
    Raises :class:`SettingsError`, and :class:`NotFoundError` with a list of the users that there are.
    """
    if user is not None and identity is not None:
        raise SettingsError("give a user of the network's folder, or an identity, not both")
    peers, who = await asyncio.to_thread(_read, profile, user, identity)
    return Gateway.through(
        peers,
        who,
        tls_identity=tls_identity,
        timeouts=timeouts,
        retry=retry,
        max_connections=max_connections,
    )


def _read(profile: Profile | None, user: str | None, identity: Signer | None) -> tuple[list[Dialled], Signer]:
    """How the peers are reached, and who calls, from their files."""
    known = profile if isinstance(profile, ConnectionProfile) else load_profile(profile)
    who = identity or SigningIdentity.load(known.user_folder(user))
    if not known.peers:
        raise SettingsError(f"the connection profile of {known.name} names no peer")
    return [known.way_to(name) for name in known.peers_for(who.mspid)], who
