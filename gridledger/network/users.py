"""Enrolling users of a running network through its CA."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gridledger.client.ca import CAClient, RegisteredIdentity
from gridledger.client.profile import REGISTRAR, ConnectionProfile
from gridledger.errors import ConflictError, InputError, NotFoundError, PermissionDeniedError
from gridledger.identity.msp import MSP
from gridledger.identity.signer import SigningIdentity

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


_EXISTS, _REVOKED = "IDENTITY_EXISTS", "IDENTITY_REVOKED"
"""The CA's own codes, for what is told here before the CA would refuse."""


async def enroll_user(
    profile: ConnectionProfile,
    organisation: str,
    name: str,
    role: str,
    attributes: Mapping[str, str],
    *,
    hosts: Sequence[str] = (),
) -> SigningIdentity:
    """Register ``name`` as the organisation's registrar, enrol it, and keep its identity in the network's folder.

    ``hosts``: names and addresses under which it serves. An identity that is there already is returned as it is.
    Raises :class:`PermissionDeniedError` where it, or its certificate, is revoked, and :class:`ConflictError` where it
    has another role or other attributes.
    """
    if organisation not in profile.ca.organisations:
        raise NotFoundError(
            f"there is no organisation {organisation!r}; there are: {', '.join(profile.ca.organisations)}"
        )
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name an identity: a letter or digit, then up to 62 of A-Z a-z 0-9 . _ @ -")
    home = profile.user(organisation, name)
    client = CAClient(profile.ca.url, organisation, profile.ca.tls_root)
    registrar = SigningIdentity.load(profile.user(organisation, REGISTRAR))
    known = await client.registered(registrar, name)
    if known is None:
        secret = await client.register(registrar, name, role, attributes, hosts=hosts)
        return await client.enroll(name, secret, directory=home)
    _check_registered(known, organisation, role, attributes)
    if not (home / "cert.pem").exists():
        raise ConflictError(
            f"{name!r} of {organisation} is enrolled already, and its identity is not in {home}: "
            "copy it there, or choose another name",
            code=_EXISTS,
        )
    identity = SigningIdentity.load(home)
    msp = MSP(identity.mspid, [await client.root()], [await client.crl()])
    if (identity.certificate.issuer_der, identity.certificate.serial) in msp.revoked:
        raise PermissionDeniedError(
            f"the certificate of {name!r} of {organisation} is revoked: choose another name", code=_REVOKED
        )
    return identity


def _check_registered(known: RegisteredIdentity, organisation: str, role: str, attributes: Mapping[str, str]) -> None:
    who = f"{known.id!r} of {organisation}"
    if known.revoked_us is not None:
        raise PermissionDeniedError(f"{who} is revoked: choose another name", code=_REVOKED)
    if known.role != role:
        raise ConflictError(f"{who} is enrolled as {known.role}, not {role}: choose another name", code=_EXISTS)
    if dict(known.attributes) != dict(attributes):
        raise ConflictError(
            f"{who} is enrolled with {_shown(known.attributes)}, not {_shown(attributes)}: choose another name",
            code=_EXISTS,
        )


def _shown(attributes: Mapping[str, str]) -> str:
    texts = [f"{name}={value}" for name, value in sorted(attributes.items())]
    return f"the attributes {', '.join(texts)}" if texts else "no attributes"
