"""What the contract answers, as holders and the base's repairs need it: read in one place, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gridledger.errors import MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of, value_of
from services.vault.transport import MAX_KEY_TEXT, PublicKey, read_public_key

OBJECT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOLDER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""As the contract takes them."""
REPAIR, RESHARE, AUDIT = "repair", "reshare", "audit"
"""The purposes of reads that the contract reserves."""
JOINED, ADMITTED, ACTIVE, REVOKED = "joined", "admitted", "active", "revoked"
MAX_SHARES: Final = 256
MAX_PARTS: Final = 4
MAX_KEYS: Final = 64
_MAX_PEM: Final = 1024
_MAX_URL: Final = 512
_MAX_POLICY: Final = 4096


@dataclass(frozen=True, slots=True)
class Party:
    """A certificate of an organisation: ``certificate`` is the SHA-256 of its DER in hex."""

    mspid: str
    certificate: str

    def is_caller(self, caller: Identity) -> bool:
        """Whether a caller shows this certificate."""
        return (caller.mspid, caller.fingerprint) == (self.mspid, self.certificate)

    @classmethod
    def of(cls, value: Any) -> Party:
        """From {mspid, certificate}."""
        members = object_of(value, "a party")
        return cls(text_of(members, "mspid"), text_of(members, "certificate"))


@dataclass(frozen=True, slots=True)
class ShareRecord:
    """The manifest's entry of one holder's share; ``key_sha256`` is None for profiles without a key share."""

    holder: str
    id: int
    bytes: int
    root: str
    key_sha256: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object: its length in bytes, and the SHA-256 of what was cut into fragments."""

    length: int
    cipher_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of an object."""

    object: str
    version: int
    cycle: int
    profile: str
    t: int
    owner: Party
    dealer: Party
    """Who dealt this version: the owner, or who reshared it."""
    parts: tuple[Part, ...]
    shares: Mapping[str, ShareRecord]
    head: Mapping[str, Any]
    status: str
    stored: int
    """The newest version that Settle found stored; 0 while none is."""
    abandoned: bool

    @property
    def ids(self) -> tuple[int, ...]:
        """The holders' ids in the manifest's order."""
        return tuple(share.id for share in self.shares.values())

    @classmethod
    def of(cls, value: Any) -> Manifest:
        """From GetObject's answer; :class:`MalformedMessage` names the member that is wrong."""
        members = object_of(value, "an object")
        shares = [_share(item) for item in list_of(members, "shares", max_length=MAX_SHARES)]
        return cls(
            object=_object_name(members),
            version=integer_of(members, "version", minimum=1),
            cycle=integer_of(members, "cycle"),
            profile=text_of(members, "profile"),
            t=integer_of(members, "t", minimum=1),
            owner=Party.of(value_of(members, "owner")),
            dealer=Party.of(members.get("by") or value_of(members, "owner")),
            parts=tuple(_part(item) for item in list_of(members, "parts", max_length=MAX_PARTS)),
            shares={share.holder: share for share in shares},
            head=object_of(value_of(members, "head"), "'head'"),
            status=text_of(members, "status"),
            stored=integer_of(members, "stored") if members.get("stored") else 0,
            abandoned=bool(members.get("abandoned")),
        )


@dataclass(frozen=True, slots=True)
class HolderRecord:
    """A holder as the ledger has it. ``public_keys`` (PEM) are those that it signed with, the present one first.

    ``state``: joined (it asked to be admitted), admitted (from the next cycle), active, or revoked.
    """

    name: str
    cluster: str
    id: int
    state: str
    mspid: str
    public_keys: tuple[str, ...]
    kem_key: PublicKey
    url: str

    def check_signer(self, certificate: Certificate) -> None:
        """:class:`MalformedMessage` where a certificate's key is none that this holder registered."""
        if not any(is_key_of(certificate, known) for known in self.public_keys):
            raise MalformedMessage(f"what was signed was not signed with the key that {self.name} registered")

    @classmethod
    def of(cls, value: Any) -> HolderRecord:
        """From GetHolder's answer."""
        answer = object_of(value, "a holder")
        admitted = answer.get("record")
        members = object_of(admitted or value_of(answer, "join"), "a holder's record")
        present = JOINED if not admitted else ACTIVE if answer.get("active") else ADMITTED
        return cls(
            name=text_of(members, "holder"),
            cluster=text_of(members, "cluster"),
            id=_id(members),
            state=REVOKED if answer.get("revoked") else present,
            mspid=text_of(members, "mspid"),
            public_keys=_public_keys(members),
            kem_key=read_public_key(text_of(members, "kem_key", max_length=MAX_KEY_TEXT)),
            url=text_of(members, "url", max_length=_MAX_URL),
        )


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A committed RequestRead; ``allowed`` says whether the holder that asked may serve it, else ``why`` not."""

    object: str
    version: int
    reader: Party
    purpose: str
    until_us: int
    allowed: bool
    why: str

    @classmethod
    def of(cls, value: Any) -> ReadRecord:
        """From GetRead's answer."""
        members = object_of(value, "a read")
        serve = object_of(members.get("serve") or {}, "'serve'")
        return cls(
            object=text_of(members, "object"),
            version=integer_of(members, "version", minimum=1),
            reader=Party.of(value_of(members, "reader")),
            purpose=text_of(members, "purpose", max_length=_MAX_POLICY),
            until_us=integer_of(members, "until_us"),
            allowed=serve.get("allowed") is True,
            why=str(serve.get("why") or ""),
        )


def public_key_pem(certificate: Certificate) -> str:
    """A certificate's public key as the ledger has it."""
    return certificate.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def is_key_of(certificate: Certificate, pem: str) -> bool:
    """Whether ``pem`` is the certificate's public key."""
    return public_key_pem(certificate).strip() == pem.strip()


def _public_keys(members: dict[str, Any]) -> tuple[str, ...]:
    """A record lists them; a join has one."""
    if "public_keys" not in members:
        return (text_of(members, "public_key", max_length=_MAX_PEM),)
    told = list_of(members, "public_keys", max_length=MAX_KEYS)
    return tuple(text_of(object_of(item, "a key"), "public_key", max_length=_MAX_PEM) for item in told)


def _object_name(members: dict[str, Any]) -> str:
    """It becomes part of a file's name."""
    name = text_of(members, "object")
    if OBJECT_NAME.fullmatch(name) is None:
        raise MalformedMessage(f"'object' is no name of an object: {name!r:.80}")
    return name


def _share(value: Any) -> ShareRecord:
    members = object_of(value, "a share")
    key = members.get("key_sha256")
    return ShareRecord(
        text_of(members, "holder"),
        _id(members),
        integer_of(members, "bytes"),
        text_of(members, "root"),
        None if key is None else text_of(members, "key_sha256"),
    )


def _part(value: Any) -> Part:
    members = object_of(value, "a part")
    return Part(integer_of(members, "length"), text_of(members, "cipher_sha256"))


def _id(members: dict[str, Any]) -> int:
    text = text_of(members, "id", max_length=20)
    if not text.isascii() or not text.isdigit():
        raise MalformedMessage(f"'id' must be a decimal number as text, not {text!r:.40}")
    return int(text)
