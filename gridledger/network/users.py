"""Enrolling users of a running network through its CA."""

from __future__ import annotations

from collections.abc import Mapping

from gridledger.client.ca import CAClient
from gridledger.client.profile import REGISTRAR, ConnectionProfile
from gridledger.errors import NotFoundError
from gridledger.identity.signer import SigningIdentity


async def enroll_user(
    profile: ConnectionProfile, organisation: str, name: str, role: str, attributes: Mapping[str, str]
) -> SigningIdentity:
    """Register ``name`` as the organisation's registrar, enrol it, and keep its identity in the network's folder.

    An identity that is there already is returned as it is.
    """
    if organisation not in profile.ca.organisations:
        raise NotFoundError(f"there is no organisation {organisation!r}; there are {list(profile.ca.organisations)}")
    home = profile.user(organisation, name)
    if (home / "cert.pem").exists():
        return SigningIdentity.load(home)
    client = CAClient(profile.ca.url, organisation, profile.ca.tls_root)
    registrar = SigningIdentity.load(profile.user(organisation, REGISTRAR))
    secret = await client.register(registrar, name, role, attributes)
    return await client.enroll(name, secret, directory=home)
