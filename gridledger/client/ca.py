"""The CA's client, for asyncio and blocking: enrol, renew, register, revoke.

Enrolling makes the private key here and sends a signing request, so a key never leaves the machine that uses it. What
needs an identity shows its certificate in the TLS handshake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from gridledger import jsontext
from gridledger.errors import (
    GridLedgerError,
    NotFoundError,
    SettingsError,
    TimeoutExceeded,
    UnavailableError,
    from_wire,
)
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import MSP
from gridledger.identity.signer import KeyKind, PrivateKey, SigningIdentity, generate_key, make_csr
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of
from gridledger.transport.node_client import ConnectionFailed, client_tls

_MAX_PEM_CHARACTERS = 64 * 1024
_MAX_SERIALS = 1_000_000

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class RegisteredIdentity:
    """What a CA has registered of an identity. ``revoked_us``: microseconds since 1970, None while it is good."""

    id: str
    role: str
    attributes: Mapping[str, str]
    revoked_us: int | None


@dataclass(frozen=True, slots=True)
class _Request:
    """One request of the CA's API, independent of the HTTP client that sends it."""

    method: str
    path: str
    members: Mapping[str, Any] | None = None
    identity: SigningIdentity | None = None
    credentials: tuple[str, str] | None = None

    def arguments(self, url: str) -> dict[str, Any]:
        """The keyword arguments of httpx's ``request``."""
        content = None if self.members is None else jsontext.dumps(dict(self.members))
        return {"method": self.method, "url": url + self.path, "content": content, "auth": self.credentials}


class _CARequests:
    """What the asyncio and the blocking client share: how requests are made and failures reported."""

    def __init__(self, url: str, org: str, tls_root_path: str | Path, *, timeout_s: float = TIMEOUT_S) -> None:
        """``org`` is the organisation's name at the CA service, ``tls_root_path`` the service's own root (PEM file)."""
        self.url = url.rstrip("/")
        self.org = org
        self._timeout_s = timeout_s
        try:
            self._tls_root = Path(tls_root_path).read_text(encoding="ascii")
        except FileNotFoundError:
            raise SettingsError(
                f"there is no TLS root of the CA service at {tls_root_path}: the service writes it, so start that first"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot read the CA service's TLS root {tls_root_path}: {error}") from None

    def _path(self, action: str) -> str:
        return f"/cas/{quote(self.org, safe='')}/{action}"

    def _options(self, request: _Request) -> dict[str, Any]:
        """The keyword arguments of httpx's client."""
        # trust_env: a proxy of the environment is for the world outside, not for the network's own machines.
        return {
            "verify": client_tls(request.identity, self._tls_root),
            "timeout": self._timeout_s,
            "trust_env": False,
        }

    def _enroll(self, identity: str, secret: str, key: PrivateKey, hosts: Sequence[str] | None) -> _Request:
        return _Request(
            "POST", self._path("enroll"), _signing_request(key, identity, hosts), credentials=(identity, secret)
        )

    def _reenroll(self, identity: SigningIdentity, key: PrivateKey) -> _Request:
        return _Request("POST", self._path("reenroll"), _signing_request(key, identity.name, None), identity)

    def _register(
        self,
        registrar: SigningIdentity,
        identity: str,
        role: str,
        *,
        attributes: Mapping[str, str] | None,
        hosts: Sequence[str],
        secret: str | None,
        max_enrollments: int,
    ) -> _Request:
        members: dict[str, Any] = {
            "id": identity,
            "role": role,
            "attributes": dict(attributes or {}),
            "hosts": list(hosts),
            "max_enrollments": max_enrollments,
        }
        if secret is not None:
            members["secret"] = secret
        return _Request("POST", self._path("register"), members, registrar)

    def _registered(self, registrar: SigningIdentity, identity: str) -> _Request:
        return _Request("GET", self._path(f"identities/{quote(identity, safe='')}"), identity=registrar)

    def _revoke(self, registrar: SigningIdentity, identity: str | None, serial: int | None) -> _Request:
        if (identity is None) == (serial is None):
            raise SettingsError("revoke either an identity or a serial number")
        members = {"id": identity} if serial is None else {"serial": f"{serial:x}"}
        return _Request("POST", self._path("revoke"), members, registrar)

    def _failed(self, error: httpx.HTTPError) -> UnavailableError | TimeoutExceeded:
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return TimeoutExceeded(f"{self.url}: no answer within {self._timeout_s} s")
        return ConnectionFailed(f"the CA service at {self.url} cannot be reached: {error}. See gridledger status")


class CAClient(_CARequests):
    """One organisation's CA, for asyncio. Each call makes a connection of its own: there is nothing to close."""

    async def enroll(
        self,
        identity: str,
        secret: str,
        *,
        directory: str | Path | None = None,
        key_kind: KeyKind = "p256",
        hosts: Sequence[str] | None = None,
    ) -> SigningIdentity:
        """Make a key and get a certificate for it; save both in ``directory`` if it is given.

        ``hosts`` are the names that the certificate holds, some of those registered; by default all of them.
        """
        key = generate_key(key_kind)
        return _identity(await self._send(self._enroll(identity, secret, key, hosts)), key, directory)

    async def reenroll(
        self, identity: SigningIdentity, *, directory: str | Path | None = None, key_kind: KeyKind = "p256"
    ) -> SigningIdentity:
        """Renew an identity: a new key and certificate, saved in ``directory`` or in the folder of ``identity``."""
        key = generate_key(key_kind)
        return _identity(await self._send(self._reenroll(identity, key)), key, directory or identity.directory)

    async def register(
        self,
        registrar: SigningIdentity,
        identity: str,
        role: str,
        attributes: Mapping[str, str] | None = None,
        hosts: Sequence[str] = (),
        *,
        secret: str | None = None,
        max_enrollments: int = 1,
    ) -> str:
        """Register an identity; returns the secret with which it enrolls. ``role``: client, peer, orderer or admin."""
        request = self._register(
            *(registrar, identity, role),
            attributes=attributes,
            hosts=hosts,
            secret=secret,
            max_enrollments=max_enrollments,
        )
        return text_of(_members(await self._send(request)), "secret")

    async def registered(self, registrar: SigningIdentity, identity: str) -> RegisteredIdentity | None:
        """What is registered of an identity, None where nothing is."""
        try:
            return _read_registered(await self._send(self._registered(registrar, identity)))
        except NotFoundError as error:
            _raise_unless_unknown(error)
            return None

    async def revoke(
        self, registrar: SigningIdentity, identity: str | None = None, *, serial: int | None = None
    ) -> list[int]:
        """Revoke an identity with all its certificates, or one certificate; returns the serials revoked by this."""
        return _serials(await self._send(self._revoke(registrar, identity, serial)))

    async def crl(self) -> str:
        """The current revocation list (PEM), for the channel configs."""
        return (await self._send(_Request("GET", self._path("crl")))).decode("ascii")

    async def root(self) -> str:
        """The organisation's root certificate (PEM)."""
        return (await self._send(_Request("GET", self._path("root")))).decode("ascii")

    async def _send(self, request: _Request) -> bytes:
        try:
            async with httpx.AsyncClient(**self._options(request)) as client:
                return _content(await client.request(**request.arguments(self.url)))
        except httpx.HTTPError as error:
            raise self._failed(error) from None


class BlockingCAClient(_CARequests):
    """One organisation's CA, for programs without an event loop."""

    def enroll(
        self,
        identity: str,
        secret: str,
        *,
        directory: str | Path | None = None,
        key_kind: KeyKind = "p256",
        hosts: Sequence[str] | None = None,
    ) -> SigningIdentity:
        """See :meth:`CAClient.enroll`."""
        key = generate_key(key_kind)
        return _identity(self._send(self._enroll(identity, secret, key, hosts)), key, directory)

    def reenroll(
        self, identity: SigningIdentity, *, directory: str | Path | None = None, key_kind: KeyKind = "p256"
    ) -> SigningIdentity:
        """See :meth:`CAClient.reenroll`."""
        key = generate_key(key_kind)
        return _identity(self._send(self._reenroll(identity, key)), key, directory or identity.directory)

    def register(
        self,
        registrar: SigningIdentity,
        identity: str,
        role: str,
        attributes: Mapping[str, str] | None = None,
        hosts: Sequence[str] = (),
        *,
        secret: str | None = None,
        max_enrollments: int = 1,
    ) -> str:
        """See :meth:`CAClient.register`."""
        request = self._register(
            *(registrar, identity, role),
            attributes=attributes,
            hosts=hosts,
            secret=secret,
            max_enrollments=max_enrollments,
        )
        return text_of(_members(self._send(request)), "secret")

    def registered(self, registrar: SigningIdentity, identity: str) -> RegisteredIdentity | None:
        """See :meth:`CAClient.registered`."""
        try:
            return _read_registered(self._send(self._registered(registrar, identity)))
        except NotFoundError as error:
            _raise_unless_unknown(error)
            return None

    def revoke(
        self, registrar: SigningIdentity, identity: str | None = None, *, serial: int | None = None
    ) -> list[int]:
        """See :meth:`CAClient.revoke`."""
        return _serials(self._send(self._revoke(registrar, identity, serial)))

    def crl(self) -> str:
        """See :meth:`CAClient.crl`."""
        return self._send(_Request("GET", self._path("crl"))).decode("ascii")

    def root(self) -> str:
        """See :meth:`CAClient.root`."""
        return self._send(_Request("GET", self._path("root"))).decode("ascii")

    def _send(self, request: _Request) -> bytes:
        try:
            with httpx.Client(**self._options(request)) as client:
                return _content(client.request(**request.arguments(self.url)))
        except httpx.HTTPError as error:
            raise self._failed(error) from None


def _signing_request(key: PrivateKey, identity: str, hosts: Sequence[str] | None) -> dict[str, Any]:
    members: dict[str, Any] = {"csr": make_csr(key, identity)}
    if hosts is not None:
        members["hosts"] = list(hosts)
    return members


def _content(answer: httpx.Response) -> bytes:
    if answer.is_success:
        return answer.content
    try:
        members = jsontext.loads(answer.content)
    except GridLedgerError:
        members = None
    raise from_wire(answer.status_code, members.get("error") if isinstance(members, dict) else None)


def _members(content: bytes) -> dict[str, Any]:
    members = jsontext.loads(content)
    if not isinstance(members, dict):
        raise UnavailableError("the CA's answer is not one JSON object")
    return members


def _read_registered(content: bytes) -> RegisteredIdentity:
    members = _members(content)
    attributes, revoked_us = object_of(members.get("attributes"), "an identity's attributes"), members.get("revoked_us")
    return RegisteredIdentity(
        text_of(members, "id"),
        text_of(members, "role"),
        {str(name): str(value) for name, value in attributes.items()},
        None if revoked_us is None else integer_of(members, "revoked_us"),
    )


def _raise_unless_unknown(error: NotFoundError) -> None:
    """Only where it is the identity that is not known; not where the organisation or the route is not."""
    if error.code != "IDENTITY_UNKNOWN":
        raise error


def _serials(content: bytes) -> list[int]:
    serials = list_of(_members(content), "revoked", max_length=_MAX_SERIALS)
    try:
        return [int(text, 16) for text in serials]
    except (TypeError, ValueError):
        raise UnavailableError("the CA's answer has no serial numbers") from None


def _identity(content: bytes, key: PrivateKey, directory: str | Path | None) -> SigningIdentity:
    """The identity in the CA's answer, verified against the CA's root, and saved in ``directory`` if it is given."""
    members = _members(content)
    mspid, root = text_of(members, "mspid"), text_of(members, "root", max_length=_MAX_PEM_CHARACTERS)
    certificate = Certificate.from_pem(text_of(members, "certificate", max_length=_MAX_PEM_CHARACTERS))
    if MSP(mspid, [root]).issuer_of(certificate) is None:
        raise UnavailableError("the CA sent a certificate that its own root has not issued")
    identity = SigningIdentity(certificate, key, mspid)
    if directory is not None:
        identity.save(directory)
    return identity
