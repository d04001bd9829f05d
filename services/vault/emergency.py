"""Reads without the ledger: t operators agree by hand, each on the machine of its own holder.

Grants need the ledger, on purpose. Where peers or orderers are away and data are needed now, a reader writes a
*request*: who wants which version of what, and why, signed, with the manifest. Each operator who agrees makes an
*approval* of it beside the holder's files: the holder's share, sealed to the request's key and signed with the holder's
own identity. The reader opens t approvals. Nobody is told anything by one operator alone, and each keeps a record; once
the ledger is back the reader records the request there.

Nothing but the operators' judgement stands in for the policy of readers, for revocations and for the time of a grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.fields import exactly, integer_of, object_of, text_of, value_of
from gridledger.sharing import commitment, profiles
from gridledger.sharing.errors import SharingError
from services.vault.attributes import ID
from services.vault.cutting import false_shares, join_object
from services.vault.errors import CannotOpen, DealerAtFault, EmergencyRefused, TooFewAnswered
from services.vault.records import Manifest, is_key_of
from services.vault.session import why
from services.vault.transport import MAX_KEY_TEXT, PrivateKey, PublicKey, read_public_key
from services.vault.wire import Place, Signed

VALID_FOR_S: Final = 24 * 3600
"""How long a request may be approved."""
MAX_REQUEST_BYTES: Final = 1024 * 1024
MAX_APPROVAL_BYTES: Final = 80 * 1024 * 1024

_REQUEST, _APPROVAL, _PURPOSE = "emergency_request", "emergency_approval", "emergency"
_MAX_REASON: Final = 256
_US: Final = 1_000_000
_REQUEST_MEMBERS: Final = frozenset(
    ("kind", "channel", "manifest", "holders", "kem_key", "reader", "reason", "made_us", "until_us")
)
_APPROVAL_MEMBERS: Final = frozenset(("kind", "request_sha256", "object", "version", "holder", "root", "made_us"))


@dataclass(frozen=True, slots=True)
class EmergencyRequest:
    """A request that was read and whose signature holds. ``digest`` is the SHA-256 of the signed text, by which
    operators compare over the telephone what they approve."""

    signed: Signed
    signer: Certificate
    digest: str
    channel: str
    manifest: Manifest
    public_keys: Mapping[str, str]
    kem_key: PublicKey
    mspid: str
    reason: str
    made_us: int
    until_us: int

    def place(self, holder: str) -> Place:
        """Which share of the manifest."""
        return Place(self.channel, self.manifest.object, self.manifest.version, holder, self.manifest.cycle)

    def told(self) -> dict[str, Any]:
        """What an operator must know before it agrees."""
        return {
            "request_sha256": self.digest,
            "object": self.manifest.object,
            "version": self.manifest.version,
            "by": f"{self.mspid} {self.signer.common_name}",
            "certificate": self.signer.fingerprint,
            "reason": self.reason,
            "made_us": self.made_us,
            "until_us": self.until_us,
            "needed": profiles.needed(self.manifest.profile, self.manifest.t),
            "holders": list(self.manifest.shares),
        }


def make_request(
    identity: SigningIdentity,
    channel: str,
    manifest: Mapping[str, Any],
    public_keys: Mapping[str, str],
    *,
    kem_key: PublicKey,
    reason: str,
    now_us: int,
) -> bytes:
    """A request's file. ``manifest`` is GetObject's answer, ``public_keys`` (PEM) those of its holders, by which the
    approvals are judged: read them while a peer answers, or keep them."""
    _check_reason(reason)
    kept = {name: value for name, value in manifest.items() if name != "audit_secret"}
    Manifest.of(kept)
    signed = Signed.by(
        identity,
        {
            "kind": _REQUEST,
            "channel": channel,
            "manifest": kept,
            "holders": dict(public_keys),
            "kem_key": kem_key.text,
            "reader": identity.mspid,
            "reason": reason,
            "made_us": now_us,
            "until_us": now_us + VALID_FOR_S * _US,
        },
    )
    return signed.to_bytes()


def read_request(data: bytes) -> EmergencyRequest:
    """From a file; :class:`EmergencyRefused` where it is none, or where its signature does not hold."""
    try:
        signed = Signed.read(data, MAX_REQUEST_BYTES)
        signer = signed.signer()
        told = exactly(jsontext.loads(signed.text.encode()), _REQUEST_MEMBERS, "the request")
        if told["kind"] != _REQUEST:
            raise MalformedMessage(f"'kind' is {told['kind']!r:.40}")
        keys = object_of(told["holders"], "'holders'")
        return EmergencyRequest(
            signed=signed,
            signer=signer,
            digest=sha256(signed.text.encode()).hexdigest(),
            channel=text_of(told, "channel"),
            manifest=Manifest.of(value_of(told, "manifest")),
            public_keys={name: text_of(keys, name, max_length=1024) for name in keys},
            kem_key=read_public_key(text_of(told, "kem_key", max_length=MAX_KEY_TEXT)),
            mspid=text_of(told, "reader"),
            reason=text_of(told, "reason", max_length=_MAX_REASON),
            made_us=integer_of(told, "made_us"),
            until_us=integer_of(told, "until_us"),
        )
    except GridLedgerError as error:
        raise EmergencyRefused(f"this is no request for an emergency read: {error.message}") from None


def approve(request: EmergencyRequest, holder: str, share: bytes, identity: SigningIdentity, *, now_us: int) -> bytes:
    """An approval's file: ``holder``'s share for this request.

    Raises :class:`EmergencyRefused` where the request's time is over, where the holder has no part in it, or where the
    share is not the manifest's.
    """
    entry = request.manifest.shares.get(holder)
    if entry is None:
        raise EmergencyRefused(f"{holder} has no share of {request.manifest.object}; {_holders(request)} have")
    if not request.made_us - _US * 300 <= now_us <= request.until_us:
        raise EmergencyRefused("the time of this request is over, or this machine's clock is wrong: ask for a new one")
    if identity.certificate.attributes.get(ID) != str(entry.id):
        raise EmergencyRefused(f"the identity given is not {holder}'s: its {ID} is not {entry.id}")
    root = commitment.root(share).hex()
    if root != entry.root:
        raise EmergencyRefused(
            f"the share of {holder} is damaged, or the request's manifest was changed: root {root}, not {entry.root}"
        )
    signed = Signed.by(
        identity,
        {
            "kind": _APPROVAL,
            "request_sha256": request.digest,
            "object": request.manifest.object,
            "version": request.manifest.version,
            "holder": holder,
            "root": root,
            "made_us": now_us,
        },
    )
    sealed = request.kem_key.seal(share, request.place(holder).info(_PURPOSE, request.digest))
    return framing.pack((signed.to_bytes(), sealed))


def open_approvals(
    request: EmergencyRequest, approvals: Sequence[bytes], key: PrivateKey
) -> tuple[bytes, dict[str, str]]:
    """The data, and why approvals were left out, by holder or by the file's place.

    Raises :class:`TooFewAnswered` where fewer than t are good, :class:`DealerAtFault`.
    """
    if key.public != request.kem_key:
        raise EmergencyRefused("the key is not the one that this request was made with")
    manifest = request.manifest
    good: dict[str, bytes] = {}
    others: dict[str, str] = {}
    for number, data in enumerate(approvals, start=1):
        name = f"approval {number}"
        try:
            name, share = _open(request, data, key)
        except GridLedgerError as error:
            others[name] = why(error)
        else:
            good[name] = share
    needed = profiles.needed(manifest.profile, manifest.t)
    if len(good) < needed:
        missing = {name: "no approval" for name in manifest.shares if name not in good}
        raise TooFewAnswered(manifest.object, needed, list(good), {**missing, **others})
    details: dict[str, Any] = {"object": manifest.object, "version": manifest.version}
    try:
        data = join_object(manifest, good)
    except SharingError as error:
        raise DealerAtFault(f"the shares do not join: {error.message}", **details, holders=[]) from None
    false = false_shares(manifest, data, good)
    if false:
        raise DealerAtFault(
            f"the dealer gave {', '.join(false)} shares that do not belong to these data", **details, holders=false
        )
    return data, others


def _open(request: EmergencyRequest, data: bytes, key: PrivateKey) -> tuple[str, bytes]:
    frames = framing.unpack(data, max_frames=2)
    if len(frames) != 2:  # noqa: PLR2004
        raise EmergencyRefused("it is no approval: one has two frames, what was signed and what was sealed")
    signed, sealed = Signed.read(frames[0]), frames[1]
    signer = signed.signer()
    told = exactly(jsontext.loads(signed.text.encode()), _APPROVAL_MEMBERS, "the approval")
    holder = text_of(told, "holder")
    entry = request.manifest.shares.get(holder)
    if (told["kind"], told["request_sha256"]) != (_APPROVAL, request.digest) or entry is None:
        raise EmergencyRefused("it is an approval of another request")
    known = request.public_keys.get(holder)
    if known is None or not is_key_of(signer, known):
        raise EmergencyRefused(f"it is not signed by {holder}")
    try:
        share = key.open(sealed, request.place(holder).info(_PURPOSE, request.digest))
    except CannotOpen as error:
        raise EmergencyRefused(f"the share of {holder} does not open: {error.message}") from None
    if commitment.root(share).hex() != entry.root:
        raise EmergencyRefused(f"the share of {holder} is not the one that the ledger had the commitment of")
    return holder, share


def purpose_on_ledger(request: EmergencyRequest) -> str:
    """The purpose under which an emergency read is recorded once the ledger is back."""
    return f"emergency, request {request.digest}: {request.reason}"[:_MAX_REASON].strip()


def read_manifest_file(text: bytes) -> dict[str, Any]:
    """A manifest as ``vault emergency keep`` saves it, or ``vault show --json`` prints it."""
    try:
        told = object_of(jsontext.loads(text), "the manifest")
        Manifest.of(told)
    except GridLedgerError as error:
        raise EmergencyRefused(
            f"this is no manifest: save it by gridledger vault emergency keep OBJECT ({error.message})"
        ) from None
    return told


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _MAX_REASON or not reason.isprintable():
        raise EmergencyRefused(f"a reason is 1 to {_MAX_REASON} characters that can be seen")


def _holders(request: EmergencyRequest) -> str:
    return ", ".join(request.manifest.shares)
