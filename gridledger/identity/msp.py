"""Membership: which organisation a certificate belongs to, and in what role.

An MSP is one organisation's roots and revocation lists. A manager holds the MSPs of one channel config and never
changes; a new config has a new manager with a new cache. Every peer decides alike, because nothing here reads a clock
or the network. A revocation holds from the config that carries it. ``nextUpdate`` is ignored: an old list must neither
admit the revoked nor exclude everybody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import (
    BadMSP,
    CertificateExpired,
    CertificateRevoked,
    IdentityError,
    MalformedCertificate,
    RoleMissing,
    UnknownAuthority,
)
from gridledger.identity.reading import reading

ROLES: Final = frozenset({"client", "peer", "orderer", "admin"})
MAX_CACHED_JUDGEMENTS = 8192
MAX_ROOTS_OF_A_NAME = 32
MAX_TRIES = 64
"""Roots that all lists of one organisation are tried against: one a list where the list names its issuer's key."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate stands for under one config. ``role`` is client, peer, orderer or admin."""

    mspid: str
    role: str
    certificate: Certificate

    @property
    def name(self) -> str:
        """The common name."""
        return self.certificate.common_name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, in hex."""
        return self.certificate.fingerprint

    @property
    def signer(self) -> tuple[str, str]:
        """The holder, whichever of their certificates this is: (MSP id, subject). A renewed one has the same."""
        return self.mspid, self.certificate.subject

    @property
    def attributes(self) -> Mapping[str, str]:
        """What the organisation's CA says of the holder."""
        return self.certificate.attributes


class RootIndex:
    """Roots by their subject and key id: which of them can have issued a certificate or a revocation list.

    A signature is tried only against those. Without it, an organisation with many roots of one name had every list
    and every certificate tried against each.
    """

    __slots__ = ("_named",)

    def __init__(self, roots: Iterable[Certificate]) -> None:
        self._named: dict[bytes, list[tuple[bytes | None, Certificate]]] = {}
        for root in roots:
            own = _extension(root.x509.extensions, x509.SubjectKeyIdentifier)
            named = self._named.setdefault(root.subject_der, [])
            named.append((None if own is None else own.digest, root))

    def candidates(self, issuer_der: bytes, extensions: x509.Extensions) -> list[Certificate]:
        """The roots of the issuer's name, less those whose key id is not the one that the extensions name."""
        named = self._named.get(issuer_der)
        if named is None:
            return []
        authority = _extension(extensions, x509.AuthorityKeyIdentifier)
        wanted = None if authority is None else authority.key_identifier
        return [root for own, root in named if wanted is None or own is None or own == wanted]


class MSP:
    """One organisation's roots and what they have revoked. Never changes."""

    __slots__ = ("_index", "_tries", "mspid", "revoked", "roots")

    def __init__(self, mspid: str, roots_pem: Sequence[str], crls_pem: Sequence[str] = ()) -> None:
        """Raises :class:`BadMSP` for a root that is no self-signed CA and for a list that none of the roots signed."""
        if not roots_pem:
            raise BadMSP(f"{mspid} has no root certificate")
        self.mspid = mspid
        self.roots = tuple(_root(mspid, pem) for pem in roots_pem)
        self._index = RootIndex(self.roots)
        self._tries = 0
        self.revoked = frozenset(entry for pem in crls_pem for entry in self._revoked_by(pem))

    def _revoked_by(self, pem: str) -> list[tuple[bytes, int]]:
        """The (issuer name, serial) pairs of one list, after its signature was checked."""
        with reading(BadMSP, f"a revocation list of {self.mspid} cannot be read"):
            crl = x509.load_pem_x509_crl(pem.encode())
            critical = [extension.oid.dotted_string for extension in crl.extensions if extension.critical]
            issuer = crl.issuer.public_bytes()
            roots = self._index.candidates(issuer, crl.extensions)
            self._count_tries(len(roots))
            signed = any(crl.is_signature_valid(root.public_key) for root in roots)
            serials = [entry.serial_number for entry in crl]
        if critical:
            raise BadMSP(f"a revocation list of {self.mspid} is not a plain one: critical extension {critical[0]}")
        if not signed:
            raise BadMSP(f"a revocation list of {self.mspid} is signed by none of its roots")
        return [(issuer, serial) for serial in serials]

    def _count_tries(self, more: int) -> None:
        self._tries += more
        if self._tries > MAX_TRIES:
            raise BadMSP(
                f"the revocation lists of {self.mspid} fit too many of its roots: have its CA name the key that signs "
                "them (authorityKeyIdentifier)"
            )

    def issuer_of(self, certificate: Certificate) -> Certificate | None:
        """The root that issued ``certificate``: by name, key id and signature. Costs a verification."""
        for root in self._index.candidates(certificate.issuer_der, certificate.x509.extensions):
            if certificate.is_issued_by(root):
                return root
        return None


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What holds of a certificate at all times within [not_before_us, not_after_us], and the refusal, if it is one."""

    identity: Identity | None
    not_before_us: int
    not_after_us: int
    refusal: type[IdentityError] = IdentityError
    reason: str = ""


class MSPManager:
    """All MSPs of one config. Safe to share between threads."""

    __slots__ = ("_earlier", "_max_cached", "_recent", "msps")

    def __init__(self, msps: Mapping[str, MSP], *, max_cached: int = MAX_CACHED_JUDGEMENTS) -> None:
        """Raises :class:`BadMSP` when two organisations share a root's name and key: members could be of either. And
        when more than ``MAX_ROOTS_OF_A_NAME`` roots have one name: a certificate that names no key is tried against
        each."""
        self.msps: Mapping[str, MSP] = dict(msps)
        names = Counter(root.subject_der for msp in self.msps.values() for root in msp.roots)
        if names and max(names.values()) > MAX_ROOTS_OF_A_NAME:
            raise BadMSP(f"more than {MAX_ROOTS_OF_A_NAME} roots have the same name: give each CA a name of its own")
        owners: dict[tuple[bytes, bytes], str] = {}
        for mspid, msp in self.msps.items():
            if msp.mspid != mspid:
                raise BadMSP(f"the MSP under the name {mspid} calls itself {msp.mspid}")
            for root in msp.roots:
                holder = owners.setdefault((root.subject_der, _key_bytes(root)), mspid)
                if holder != mspid:
                    raise BadMSP(f"{mspid} and {holder} have the same root {root.common_name!r}")
        # Two generations: entries move from the earlier to the recent one when they are used, and when the recent one
        # is full it becomes the earlier one. Bounded like an LRU, without its bookkeeping on every look-up.
        self._max_cached = max_cached
        self._recent: dict[str, _Judgement] = {}
        self._earlier: dict[str, _Judgement] = {}

    def identify(self, certificate: Certificate, at_us: int) -> Identity:
        """Who this is at the time ``at_us`` (microseconds since 1970).

        Raises :class:`UnknownAuthority`, :class:`CertificateRevoked`, :class:`RoleMissing` or
        :class:`CertificateExpired`. The chain is checked once per certificate, the dates at every call.
        """
        judgement = self._recent.get(certificate.fingerprint) or self._judgement(certificate)
        identity = judgement.identity
        if identity is None:
            raise judgement.refusal(judgement.reason, common_name=certificate.common_name)
        if judgement.not_before_us <= at_us <= judgement.not_after_us:
            return identity
        raise CertificateExpired(
            f"the certificate of {certificate.common_name!r} or its root is not valid at the time in question; "
            "renew it at the organisation's CA, and compare the clocks",
            common_name=certificate.common_name,
            at_us=at_us,
            not_before_us=judgement.not_before_us,
            not_after_us=judgement.not_after_us,
        )

    def roots_pem(self) -> str:
        """All roots as one PEM bundle, for TLS."""
        return "".join(root.pem for mspid in sorted(self.msps) for root in self.msps[mspid].roots)

    def _judgement(self, certificate: Certificate) -> _Judgement:
        judgement = self._earlier.get(certificate.fingerprint) or self._judge(certificate)
        if len(self._recent) >= self._max_cached // 2:
            self._earlier, self._recent = self._recent, {}
        self._recent[certificate.fingerprint] = judgement
        return judgement

    def _judge(self, certificate: Certificate) -> _Judgement:
        def refuse(refusal: type[IdentityError], reason: str) -> _Judgement:
            return _Judgement(None, 0, 0, refusal, reason)

        name = repr(certificate.common_name)
        msp, root = self._issuer_of(certificate)
        if msp is None or root is None:
            return refuse(UnknownAuthority, f"the certificate of {name} is issued by no organisation of this network")
        if certificate.is_authority or not certificate.may_sign:
            return refuse(RoleMissing, f"the certificate of {name} is not one for signing; a CA's own is no identity")
        if (certificate.issuer_der, certificate.serial) in msp.revoked:
            return refuse(CertificateRevoked, f"the certificate of {name} is revoked by {msp.mspid}")
        roles = certificate.organisational_units & ROLES
        if len(roles) != 1:
            wanted = ", ".join(sorted(ROLES))
            return refuse(RoleMissing, f"the certificate of {name} must have exactly one of the OUs {wanted}")
        return _Judgement(
            Identity(msp.mspid, next(iter(roles)), certificate),
            max(certificate.not_before_us, root.not_before_us),
            min(certificate.not_after_us, root.not_after_us),
        )

    def _issuer_of(self, certificate: Certificate) -> tuple[MSP | None, Certificate | None]:
        for msp in self.msps.values():
            root = msp.issuer_of(certificate)
            if root is not None:
                return msp, root
        return None, None


def _extension(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _root(mspid: str, pem: str) -> Certificate:
    try:
        root = Certificate.from_pem(pem)
    except MalformedCertificate as error:
        raise BadMSP(f"a root of {mspid} cannot be used: {error.message}") from None
    if not root.is_authority:
        raise BadMSP(f"the root {root.common_name!r} of {mspid} is not a CA certificate")
    if root.issuer_der != root.subject_der or not root.is_issued_by(root):
        raise BadMSP(f"the root {root.common_name!r} of {mspid} is not self-signed; give the root, not an intermediate")
    return root


def _key_bytes(certificate: Certificate) -> bytes:
    return certificate.public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
