"""Rows: what a search of a case answers, one line for each event, session, command, registration, query.

Nothing is proved here: a row names its block and transaction, where the proof lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.evidence.events import BATCH, KINDS
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.fields import MAX_INTEGER, exactly

REGISTRY, ACCESS, EVENTS, CASES, ANCHORS = "registry", "access", "events", "cases", "anchors"

CONFIG: Final = "channel-config"
OTHER: Final = "other"
"""The kind of transactions of other contracts, and of unknown functions."""
UNREADABLE: Final = "unreadable"

KINDS_OF: Final[Mapping[tuple[str, str], str]] = {
    (REGISTRY, "SetAuthority"): "authority-set",
    (REGISTRY, "RegisterDevice"): "device-registered",
    (REGISTRY, "RotateKey"): "key-rotated",
    (REGISTRY, "Retire"): "device-retired",
    (REGISTRY, "Revoke"): "device-revoked",
    (REGISTRY, "PublishFilter"): "filter-published",
    (ACCESS, "OpenSession"): "session-opened",
    (ACCESS, "CloseSession"): "session-closed",
    (ACCESS, "Command"): "command-issued",
    (ACCESS, "Deny"): "access-denied",
    (EVENTS, "AdmitDevice"): "device-admitted",
    (EVENTS, "SuspendDevice"): "device-suspended",
    (EVENTS, "RekeyDevice"): "device-rekeyed",
    (CASES, "SetAuthority"): "authority-set",
    (CASES, "OpenCase"): "case-opened",
    (CASES, "Approve"): "case-approved",
    (CASES, "CloseCase"): "case-closed",
    (CASES, "Query"): "query-made",
    (CASES, "RecordFinding"): "finding-recorded",
    (ANCHORS, "SetMembers"): "members-set",
    (ANCHORS, "SetAgent"): "agent-set",
    (ANCHORS, "Attest"): "attested",
    (ANCHORS, "Cosign"): "attested",
    (ANCHORS, "Conclude"): "concluded",
}
"""The kind of a row that is no device's event, by contract and function."""

ALL_KINDS: Final = frozenset((*KINDS, BATCH, *KINDS_OF.values(), CONFIG, OTHER, UNREADABLE))
MAX_MARKS: Final = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that the ledger has.

    ``position`` is the transaction's in its block, ``item`` the row's in its transaction (which has up to 256 events).
    ``code``: the transaction's validation code, 0 for VALID; what is not valid is no evidence. ``said_us``: the time
    that was told, by the device of an event, else by the client of the transaction; None where none was.
    ``at_us``: the time of the proposal. ``block_us``: the block's. All in microseconds since 1970. ``certificate``:
    SHA-256 of the client's. ``text``: a JSON object, what was said beside the other members. ``marks``: what is
    doubtful, with seconds (``late``, ``ahead``, ``back``, ``gap``, ``overlap`` of the contract; ``clock``: the block's
    time less the one told), or a number (``suspicious``, ``revoked-late``).
    """

    channel: str
    block: int
    position: int
    item: int
    tx_id: str
    code: int
    kind: str
    device: str | None
    seq: int | None
    operator: str | None
    terminal: str | None
    session: str | None
    said_us: int | None
    at_us: int | None
    block_us: int
    certificate: str | None
    text: str
    marks: dict[str, int]

    @property
    def details(self) -> dict[str, Any]:
        """What :attr:`text` says."""
        value = jsontext.loads(self.text)
        return value if isinstance(value, dict) else {}

    @property
    def is_valid(self) -> bool:
        """Whether the transaction took effect."""
        return self.code == TxValidationCode.VALID

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the members by their names."""
        return {name: getattr(self, name) for name in NAMES}

    @classmethod
    def from_dict(cls, value: Any) -> Row:
        """Read the JSON form; :class:`MalformedMessage` for anything else."""
        members = exactly(value, _MEMBERS, "a row")
        for name, is_right in _RIGHT.items():
            if not is_right(members[name]):
                raise MalformedMessage(f"a row's {name!r} is not as it must be")
        return cls(**members)


NAMES: Final = tuple(field.name for field in fields(Row))
_MEMBERS: Final = frozenset(NAMES)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_text_or_none(value: Any) -> bool:
    return value is None or type(value) is str


def _are_marks(value: Any) -> bool:
    return type(value) is dict and len(value) <= MAX_MARKS and all(type(each) is int for each in value.values())


_RIGHT: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("block", "position", "item", "code", "block_us"), _is_count),
    **dict.fromkeys(("seq", "said_us", "at_us"), _is_count_or_none),
    **dict.fromkeys(("channel", "tx_id", "kind", "text"), _is_text),
    **dict.fromkeys(("device", "operator", "terminal", "session", "certificate"), _is_text_or_none),
    "marks": _are_marks,
}
