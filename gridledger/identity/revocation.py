"""Revocation lists of one organisation: read from PEM, held to its roots, a newer one put in an older one's place.

There is one list for each key that signs lists. Newer is the one with the higher CRL number (RFC 5280 5.2.3), or the
later ``thisUpdate`` where one of them has no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from gridledger.errors import ConflictError, InputError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import BadMSP
from gridledger.identity.msp import MSP, RootIndex
from gridledger.identity.reading import reading

MAX_LISTS = 16
MAX_LIST_BYTES = 512 * 1024
"""Of all lists of an organisation together, PEM: as in its entry on a channel."""

_BEGIN, _END = "-----BEGIN X509 CRL-----", "-----END X509 CRL-----"


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list whose signature holds. ``issuer`` is the fingerprint of the root that signed it, ``at_us`` when
    (microseconds since 1970)."""

    pem: str
    issuer: str
    number: int | None
    at_us: int
    revoked: int

    def to_dict(self) -> dict[str, Any]:
        """What is told of it."""
        return {"issuer": self.issuer, "number": self.number, "this_update": self.at_us, "revoked": self.revoked}

    def is_older_than(self, other: RevocationList) -> bool:
        """Whether this one was made before the other."""
        if self.number is not None and other.number is not None:
            return self.number < other.number
        return self.at_us < other.at_us


def split_lists(pem: str) -> list[str]:
    """The lists in a PEM text. Raises :class:`InputError` where there is anything besides, or none, or too many."""
    if len(pem) > MAX_LIST_BYTES:
        raise InputError(f"revocation lists have at most {MAX_LIST_BYTES} bytes together")
    texts = [part.strip() for part in pem.split(_END)]
    if texts.pop() or not texts or len(texts) > MAX_LISTS or not all(text.startswith(_BEGIN) for text in texts):
        raise InputError(
            f"from 1 to {MAX_LISTS} revocation lists in PEM are expected ({_BEGIN} ...), and nothing besides"
        )
    return [f"{text}\n{_END}\n" for text in texts]


def read_lists(mspid: str, roots: Sequence[Certificate], texts: Sequence[str]) -> list[RevocationList]:
    """The lists of an organisation, each signed by one of its roots; :class:`BadMSP` where one is not."""
    MSP(mspid, [root.pem for root in roots], texts)  # as a channel would hold them: signatures, bounds
    return [_read(mspid, roots, text) for text in texts]


def lists_of(mspid: str, roots: Sequence[Certificate], texts: Sequence[str]) -> list[str]:
    """Those of the lists that one of the roots has signed: with a root that is given up its list goes too."""
    index = RootIndex(roots)
    found: list[str] = []
    for text in texts:
        with reading(BadMSP, f"a revocation list of {mspid} cannot be read"):
            crl = x509.load_pem_x509_crl(text.encode())
            candidates = index.candidates(crl.issuer.public_bytes(), crl.extensions)
            if any(crl.is_signature_valid(root.public_key) for root in candidates):
                found.append(text)
    return found


def merged(held: Sequence[RevocationList], published: Sequence[RevocationList]) -> list[RevocationList]:
    """The lists that hold once ``published`` are taken; :class:`ConflictError` where one is older than the one held."""
    found = {item.issuer: item for item in held}
    for item in published:
        before = found.get(item.issuer)
        if before is not None and item.is_older_than(before):
            raise ConflictError(
                f"the revocation list {_named(item)} is older than the one that is held, {_named(before)}: fetch the "
                "newest from the organisation's CA"
            )
        found[item.issuer] = item
    return list(found.values())


def _named(item: RevocationList) -> str:
    return f"number {item.number}" if item.number is not None else f"of {item.at_us} us"


def _read(mspid: str, roots: Sequence[Certificate], text: str) -> RevocationList:
    with reading(BadMSP, f"a revocation list of {mspid} cannot be read"):
        crl = x509.load_pem_x509_crl(text.encode())
        issuer = next(
            root.fingerprint
            for root in roots
            if root.subject_der == crl.issuer.public_bytes() and crl.is_signature_valid(root.public_key)
        )
        at_us = int(crl.last_update_utc.timestamp()) * 1_000_000
        try:
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except x509.ExtensionNotFound:
            number = None
        return RevocationList(text, issuer, number, at_us, len(crl))
