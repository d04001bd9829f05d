"""The texts that devices prove and that hashes name: one truth for contracts, light nodes and verifiers.

Each is the JSON text of one object, members in the order given here, no blanks, UTF-8. A proof's UserID is the device,
its OtherInfo such a text. Nothing is judged here: whoever calls has checked names, numbers and hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from gridledger import jsontext

KINDS: Final = (
    "login",
    "logout",
    "command",
    "shutdown",
    "alarm",
    "frequency",
    "reading",
    "health",
    "gps",
    "config",
    "payment",
    "charge",
    "outage",
    "tamper",
)
"""Kinds of events; a batch of rows has :data:`BATCH` for its kind."""
PRIVATE_KINDS: Final = ("reading", "charge", "payment")
"""Kinds whose bodies stay off the chain: the event carries a salted hash."""
BATCH: Final = "batch"
NO_EVENT: Final = "0" * 64
"""``prev`` of a device's first event, whose ``seq`` is 1."""
SALT_BYTES: Final = 16


def event_text(channel: str, device: str, seq: int, prev: str, *, kind: str, time_us: int, body_sha256: str) -> str:
    """What a device proves of one event. ``prev``: :func:`text_hash` of the event before it, or :data:`NO_EVENT`.

    ``body_sha256``: SHA-256 of the body's UTF-8, or :func:`salted_hash` of a body that stays off the chain.
    """
    members = {
        "channel": channel,
        "device": device,
        "seq": seq,
        "prev": prev,
        "kind": kind,
        "time_us": time_us,
        "body_sha256": body_sha256,
    }
    return jsontext.dumps(members).decode()


def batch_body(
    *, from_us: int, to_us: int, rows: int, root: str, sha256: str, uri: str, synopsis: Mapping[str, Any]
) -> str:
    """The body of a batch: ``rows`` rows from ``from_us`` to ``to_us``, their Merkle ``root``, the file and its hash.

    ``synopsis``: by field [n, min, mean, max], in the order as sent.
    """
    members = {
        "from_us": from_us,
        "to_us": to_us,
        "rows": rows,
        "root": root,
        "sha256": sha256,
        "uri": uri,
        "synopsis": dict(synopsis),
    }
    return jsontext.dumps(members).decode()


def batch_text(channel: str, device: str, seq: int, prev: str, *, from_us: int, body: str) -> str:
    """What a device proves of a batch, which stands in its chain of events; ``body`` is :func:`batch_body`'s."""
    return event_text(channel, device, seq, prev, kind=BATCH, time_us=from_us, body_sha256=text_hash(body))


def registration_text(channel: str, device: str, certificate_sha256: str, proof_key: str) -> str:
    """What a device proves to show that it has the key ``proof_key`` (130 hex digits): at its registration by that key.

    When a key replaces another, the device proves the same text of the new key by the old and by the new one.
    """
    members = {
        "channel": channel,
        "device": device,
        "certificate_sha256": certificate_sha256,
        "proof_key": proof_key,
    }
    return jsontext.dumps(members).decode()


def text_hash(text: str) -> str:
    """SHA-256 of a text's UTF-8, 64 hex digits: the name of an event by its text, of a body by its own."""
    return sha256(text.encode()).hexdigest()


def salted_hash(salt: bytes, body: str) -> str:
    """SHA-256 of ``salt`` (16 random bytes) and the body's UTF-8: a bare hash of a meter's value is soon guessed."""
    return sha256(salt + body.encode()).hexdigest()
