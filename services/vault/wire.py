"""Messages between holders, dealers, readers and the base: each form is written and read here, and nowhere else.

Bodies are frames (:mod:`gridledger.framing`) of JSON texts and sealed bytes. What a holder signs is a JSON text that
names its kind, so that a signature made for one purpose never serves another; the text travels as it was signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gridledger import framing, jsontext
from gridledger.errors import MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.fields import (
    exactly,
    from_base64,
    list_of,
    object_of,
    parse_object,
    text_of,
    to_base64,
)
from services.vault.transport import MAX_KEY_TEXT

PUT, SERVED, CONTRIBUTED = "put", "served", "contributed"
"""What a sealed message is for: the first word of its ``info``."""

SIGNED: Final = "signed"
"""The value of the parameter ``ack`` of ``POST .../share`` for an acknowledgement that is signed, not submitted."""

MAX_CONTRIBUTORS: Final = 256
_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_SIGNATURE_BYTES: Final = 128
_MAX_CERTIFICATE: Final = 32 * 1024
_SHARE_KEPT, _SHARE_SERVED = "share_kept", "share_served"
_FRAGMENT_SERVED, _CONTRIBUTION = "fragment_served", "repair_contribution"


@dataclass(frozen=True, slots=True)
class Place:
    """Which share a message is about: that of ``holder`` in a version of an object, dealt in ``cycle``."""

    channel: str
    object: str
    version: int
    holder: str
    cycle: int

    def info(self, purpose: str, *more: str) -> bytes:
        """HPKE's ``info``: ``purpose|channel|object|version|holder|cycle``, then ``more``. No name has a ``|``."""
        parts = (purpose, self.channel, self.object, str(self.version), self.holder, str(self.cycle), *more)
        return "|".join(parts).encode()

    def members(self) -> dict[str, Any]:
        """What signed texts say of it."""
        return {"channel": self.channel, "object": self.object, "version": self.version, "holder": self.holder}


@dataclass(frozen=True, slots=True)
class Signed:
    """A text that a holder signed, with its certificate (PEM). ``signature`` is what SigningIdentity.sign gives."""

    text: str
    signature: bytes
    certificate: str

    @classmethod
    def by(cls, identity: SigningIdentity, message: Mapping[str, Any]) -> Signed:
        """``message`` signed by ``identity``."""
        text = jsontext.dumps(dict(message))
        return cls(text.decode(), identity.sign(text), identity.certificate.pem)

    def members(self) -> dict[str, str]:
        """As a JSON object."""
        return {"text": self.text, "signature": to_base64(self.signature), "certificate": self.certificate}

    def to_bytes(self) -> bytes:
        """A frame's content."""
        return jsontext.dumps(self.members())

    @classmethod
    def read(cls, data: bytes, max_bytes: int = _MAX_HEAD_BYTES) -> Signed:
        """From a frame; :class:`MalformedMessage` or MalformedJSON otherwise. Nothing is verified yet."""
        if len(data) > max_bytes:
            raise MalformedMessage(f"a signed head has at most {max_bytes} bytes")
        return cls.of(jsontext.loads(data), max_bytes)

    @classmethod
    def of(cls, value: Any, max_bytes: int = _MAX_HEAD_BYTES) -> Signed:
        """From :meth:`members`; :class:`MalformedMessage` otherwise. Nothing is verified yet."""
        message = exactly(value, frozenset(("text", "signature", "certificate")), "a signed head")
        return cls(
            text_of(message, "text", max_length=max_bytes),
            from_base64(message["signature"], "'signature'", max_bytes=_MAX_SIGNATURE_BYTES),
            text_of(message, "certificate", max_length=_MAX_CERTIFICATE),
        )

    def signer(self) -> Certificate:
        """Who signed it. Raises :class:`MalformedMessage` where the signature does not hold. That the certificate's
        key is the one that the holder registered is for the caller to check
        (:func:`~services.vault.records.is_key_of`)."""
        certificate = Certificate.from_pem(self.certificate)
        if not certificate.verify(self.signature, self.text.encode()):
            raise MalformedMessage("the signature of the holder's answer does not hold")
        return certificate


def kept_text(place: Place, root: str, log_head: str) -> dict[str, Any]:
    """What a holder signs of a share that is on its disk, for whoever dealt it to hand over to the ledger."""
    return {"kind": _SHARE_KEPT, **place.members(), "root": root, "log_head": log_head}


def served_text(place: Place, read: str, root: str) -> dict[str, Any]:
    """What a holder signs with a share that it serves; ``root`` (hex) is that of the bytes served."""
    return {"kind": _SHARE_SERVED, **place.members(), "read": read, "root": root}


def fragment_text(place: Place, read: str, fragment_sha256: str) -> dict[str, Any]:
    """What a holder signs with the fragments that it serves for a repair, without key shares."""
    return {"kind": _FRAGMENT_SERVED, **place.members(), "read": read, "fragment_sha256": fragment_sha256}


def check_served(signed: Signed, place: Place, read: str, root: str) -> None:
    """:class:`MalformedMessage` unless the text says that ``place``'s holder served bytes of this root for ``read``."""
    _check_text(signed, served_text(place, read, root))


def check_kept(signed: Signed, place: Place, root: str, log_head: str) -> None:
    """The same of a share that is on the disk of ``place``'s holder. The ledger takes this one text and no other."""
    if signed.text != jsontext.dumps(kept_text(place, root, log_head)).decode():
        raise MalformedMessage(f"the holder signed {signed.text!r:.80}, and not what it answered")


def check_fragment(signed: Signed, place: Place, read: str, fragment: bytes) -> None:
    """The same of fragments."""
    _check_text(signed, fragment_text(place, read, sha256(fragment).hexdigest()))


def _check_text(signed: Signed, expected: Mapping[str, Any]) -> None:
    found = parse_object(signed.text, str(expected["kind"]))
    for name, value in expected.items():
        if found.get(name) != value or type(found.get(name)) is not type(value):
            raise MalformedMessage(f"the holder signed {name} = {found.get(name)!r:.80}, not {value!r:.80}")
    exactly(found, frozenset(expected), "the signed text")


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """``POST .../serve``: a JSON text. ``read`` is the transaction of RequestRead, ``kem_key`` for this read only."""

    read: str
    kem_key: str

    def to_bytes(self) -> bytes:
        """The body."""
        return jsontext.dumps({"read": self.read, "kem_key": self.kem_key})

    @classmethod
    def from_bytes(cls, data: bytes) -> ServeRequest:
        """From a body."""
        message = exactly(jsontext.loads(data), frozenset(("read", "kem_key")), "the request")
        return cls(text_of(message, "read"), text_of(message, "kem_key", max_length=MAX_KEY_TEXT))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a holder answers to ``serve`` and ``contribute``: two frames, what it signed and what it sealed.

    For ``serve`` the sealed bytes are the share under ``place.info(SERVED, read)``, in a repair its fragments alone,
    one part behind the other; for ``contribute`` a contribution under ``place.info(CONTRIBUTED, read, target)``.
    """

    signed: Signed
    sealed: bytes

    def to_bytes(self) -> bytes:
        """The body."""
        return framing.pack((self.signed.to_bytes(), self.sealed))

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """From a body."""
        return cls.from_frames(framing.unpack(data, max_frames=2))

    @classmethod
    def from_frames(cls, frames: Sequence[bytes]) -> Answer:
        """From its two frames."""
        if len(frames) != 2:  # noqa: PLR2004
            raise MalformedMessage("an answer has two frames: what was signed, and what was sealed")
        return cls(Signed.read(frames[0]), frames[1])


@dataclass(frozen=True, slots=True)
class ContributeRequest:
    """``POST .../contribute``: a JSON text. ``contributors`` are all who contribute, t of them, by name and sorted."""

    read: str
    target: str
    contributors: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The body."""
        members = {"read": self.read, "target": self.target, "contributors": list(self.contributors)}
        return jsontext.dumps(members)

    @classmethod
    def from_bytes(cls, data: bytes) -> ContributeRequest:
        """From a body."""
        message = exactly(jsontext.loads(data), frozenset(("read", "target", "contributors")), "the request")
        return cls(text_of(message, "read"), text_of(message, "target"), _names(message))


def contribution_text(place: Place, request: ContributeRequest, sealed: bytes) -> dict[str, Any]:
    """What ``place``'s holder signs with its contribution."""
    return {
        "kind": _CONTRIBUTION,
        **place.members(),
        "target": request.target,
        "read": request.read,
        "contributors": list(request.contributors),
        "sealed_sha256": sha256(sealed).hexdigest(),
    }


def check_contribution(answer: Answer, place: Place, request: ContributeRequest) -> None:
    """:class:`MalformedMessage` unless ``place``'s holder signed this contribution to this request."""
    _check_text(answer.signed, contribution_text(place, request, answer.sealed))


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """``POST .../rebuild`` to the holder whose share is repaired: frames. ``fragments`` are the parts' fragments one
    behind the other (none where the profile has none); ``contributions`` come in the order of ``contributors``;
    ``nonces`` are of new audits, whose commitments the holder answers."""

    read: str
    contributors: tuple[str, ...]
    fragments: bytes
    contributions: tuple[Answer, ...]
    nonces: tuple[bytes, ...] = ()

    def to_bytes(self) -> bytes:
        """The body."""
        members = {
            "read": self.read,
            "contributors": list(self.contributors),
            "nonces": [nonce.hex() for nonce in self.nonces],
        }
        answers = [part for one in self.contributions for part in (one.signed.to_bytes(), one.sealed)]
        return framing.pack((jsontext.dumps(members), self.fragments, *answers))

    @classmethod
    def from_bytes(cls, data: bytes) -> RebuildRequest:
        """From a body."""
        frames = framing.unpack(data, max_frames=2 + 2 * MAX_CONTRIBUTORS)
        if len(frames) < 2:  # noqa: PLR2004
            raise MalformedMessage("a rebuild has a head, fragments, and contributions")
        message = exactly(jsontext.loads(frames[0]), frozenset(("read", "contributors", "nonces")), "the head")
        contributors = _names(message)
        rest = frames[2:]
        if len(rest) != 2 * len(contributors):
            raise MalformedMessage(f"{len(contributors)} contributors are named, and {len(rest)} frames follow")
        contributions = tuple(Answer.from_frames(rest[at : at + 2]) for at in range(0, len(rest), 2))
        return cls(text_of(message, "read"), contributors, frames[1], contributions, _nonces(message))


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What ``share`` and ``rebuild`` answer once the share is on the disk: hex texts; ``commitments`` of new audits.

    ``signed`` stands in place of the acknowledgement on the ledger; without it the ledger has that."""

    root: str
    log_head: str
    commitments: tuple[str, ...] = ()
    signed: Signed | None = None

    def to_bytes(self) -> bytes:
        """The body."""
        members = {"root": self.root, "log_head": self.log_head, "commitments": list(self.commitments)}
        return jsontext.dumps(members | ({} if self.signed is None else {"signed": self.signed.members()}))

    @classmethod
    def from_bytes(cls, data: bytes) -> StoredAnswer:
        """From a body."""
        message = object_of(jsontext.loads(data), "the answer")
        signed = Signed.of(message.pop("signed")) if "signed" in message else None
        exactly(message, frozenset(("root", "log_head", "commitments")), "the answer")
        told = list_of(message, "commitments", max_length=_MAX_NONCES)
        commitments = tuple(text_of({"commitment": item}, "commitment") for item in told)
        return cls(text_of(message, "root"), text_of(message, "log_head"), commitments, signed)


_MAX_NONCES: Final = 1024
_NONCE_DIGITS: Final = 64


def _names(message: dict[str, Any]) -> tuple[str, ...]:
    told = list_of(message, "contributors", max_length=MAX_CONTRIBUTORS)
    names = tuple(text_of({"contributor": item}, "contributor") for item in told)
    if list(names) != sorted(set(names)):
        raise MalformedMessage("'contributors' must be sorted, and each named once")
    return names


def _nonces(message: dict[str, Any]) -> tuple[bytes, ...]:
    told = list_of(message, "nonces", max_length=_MAX_NONCES)
    try:
        nonces = tuple(bytes.fromhex(text_of({"nonce": item}, "nonce")) for item in told)
    except ValueError:
        raise MalformedMessage("'nonces' must be hexadecimal") from None
    if any(2 * len(nonce) != _NONCE_DIGITS for nonce in nonces):
        raise MalformedMessage("a nonce has 32 bytes")
    return nonces
