"""Results: what a chaincode read, wrote and answered for one proposal, and the endorsement of it.

Every endorser writes the same result text for the same proposal and state, and signs its hash. So the text depends only
on the proposal and on the world state that was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from orjson import Fragment

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.fields import (
    MAX_INTEGER,
    MAX_TEXT,
    exactly,
    from_base64,
    hash_of,
    integer_of,
    list_of,
    parse_object,
    text_of,
    to_base64,
)

KIND = "result"
ENDORSEMENT_KIND = "endorsement"
MAX_READS = 10_000
MAX_WRITES = 10_000
MAX_RANGES = 100
MAX_KEY_CHARACTERS = 1024
MAX_MESSAGE_CHARACTERS = 65536
MAX_ENDORSEMENTS = 64
MAX_FINGERPRINT = 64
_MAX_DEPTH = jsontext.MAX_VALUE_DEPTH + 3  # a value lies in a pair in the list of writes
_MEMBERS = frozenset(
    ("kind", "tx_id", "channel", "chaincode", "sequence", "reads", "ranges", "writes", "response", "event")
)
_RANGE_MEMBERS = frozenset(("start", "end", "reads"))
_RESPONSE_MEMBERS = frozenset(("status", "message", "payload"))
_EVENT_MEMBERS = frozenset(("name", "payload"))
_ENDORSEMENT_MEMBERS = frozenset(("endorser", "signature"))


class Version(NamedTuple):
    """Where a key was last written: the block's number and the transaction's position in it."""

    block: int
    transaction: int


class Read(NamedTuple):
    """A key that was read, with the version seen; None if it did not exist."""

    key: str
    version: Version | None


class RangeRead(NamedTuple):
    """All keys seen in ``start`` (inclusive) to ``end`` (exclusive), ascending by UTF-8 bytes.

    ``end`` is where the reading really stopped, so that a page of a longer range conflicts with no key after it.
    An empty ``end`` is the end of the namespace.
    """

    start: str
    end: str
    reads: tuple[Read, ...]


class Write(NamedTuple):
    """A key with its new value (any JSON value but null), or None to delete it."""

    key: str
    value: Any


class Response(NamedTuple):
    """What the chaincode answered: 200 with a payload, 400 or more with a message and nothing written."""

    status: int
    message: str
    payload: Any


class Event(NamedTuple):
    """The one event that a transaction may set."""

    name: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Result:
    """One result, with its text. An endorsement signs the text's hash."""

    text: str
    tx_id: str
    channel: str
    chaincode: str
    sequence: int
    reads: tuple[Read, ...]
    ranges: tuple[RangeRead, ...]
    writes: tuple[Write, ...]
    response: Response
    event: Event | None

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hash_of(self.text)

    @classmethod
    def build(
        cls,
        *,
        tx_id: str,
        channel: str,
        chaincode: str,
        sequence: int,
        reads: Sequence[Read] = (),
        ranges: Sequence[RangeRead] = (),
        writes: Sequence[Write] = (),
        response: Response,
        event: Event | None = None,
    ) -> Result:
        """Write a result from what an execution did."""
        text = write_result(
            tx_id=tx_id,
            channel=channel,
            chaincode=chaincode,
            sequence=sequence,
            reads=reads,
            ranges=ranges,
            writes=[(key, None if value is None else jsontext.dumps(value)) for key, value in writes],
            response=(response.status, response.message, jsontext.dumps(response.payload)),
            event=None if event is None else (event.name, jsontext.dumps(event.payload)),
        ).decode()
        return cls(
            text,
            tx_id,
            channel,
            chaincode,
            sequence,
            tuple(reads),
            tuple(ranges),
            tuple(writes),
            response,
            event,
        )

    @classmethod
    def parse(cls, text: str) -> Result:
        """Read a result's text; :class:`MalformedMessage` or :class:`MalformedJSON` says what is wrong with it."""
        message = exactly(parse_object(text, KIND, _MAX_DEPTH), _MEMBERS, "a result")
        tx_id, channel, chaincode = message["tx_id"], message["channel"], message["chaincode"]
        sequence = message["sequence"]
        if not (
            type(tx_id) is type(channel) is type(chaincode) is str
            and 0 < len(tx_id) <= MAX_TEXT
            and 0 < len(channel) <= MAX_TEXT
            and 0 < len(chaincode) <= MAX_TEXT
            and type(sequence) is int
            and 1 <= sequence <= MAX_INTEGER
        ):
            # One of these says which member is not as it must be.
            tx_id, channel, chaincode = (text_of(message, name) for name in ("tx_id", "channel", "chaincode"))
            sequence = integer_of(message, "sequence", minimum=1)
        return cls(
            text,
            tx_id,
            channel,
            chaincode,
            sequence,
            _reads(message, may_be_absent=True),
            tuple([_range(item) for item in list_of(message, "ranges", max_length=MAX_RANGES)]),
            _writes(message),
            _response(message["response"]),
            _event(message["event"]),
        )


@dataclass(frozen=True, slots=True)
class Endorsement:
    """A peer's signature under a result; ``endorser`` is the fingerprint of the peer's certificate."""

    endorser: str
    signature: bytes

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {"endorser": self.endorser, "signature": to_base64(self.signature)}

    @classmethod
    def from_dict(cls, value: Any) -> Endorsement:
        """Read the JSON form."""
        message = exactly(value, _ENDORSEMENT_MEMBERS, "an endorsement")
        endorser = message["endorser"]
        if type(endorser) is not str or not 0 < len(endorser) <= MAX_FINGERPRINT:
            endorser = text_of(message, "endorser", max_length=MAX_FINGERPRINT)
        return cls(endorser, from_base64(message["signature"], "'signature'"))


class EndorsedResult(NamedTuple):
    """A result's text and the endorsements that a gateway has collected of it; ``peers`` are the endorsers' names, in
    the same order."""

    result_text: str
    endorsements: tuple[Endorsement, ...]
    peers: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, which a gateway answers."""
        return {
            "result": self.result_text,
            "endorsements": [item.to_dict() for item in self.endorsements],
            "endorsed_by": self.peers,
        }

    @classmethod
    def from_dict(cls, value: Any) -> EndorsedResult:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        if not isinstance(value, dict) or not isinstance(value.get("result"), str):
            raise MalformedMessage("an endorsed result is an object with the text 'result'")
        endorsements = list_of(value, "endorsements", max_length=MAX_ENDORSEMENTS)
        if not endorsements:
            raise MalformedMessage("an endorsed result has at least one endorsement")
        return cls(
            value["result"],
            tuple([Endorsement.from_dict(item) for item in endorsements]),
            tuple([str(name) for name in list_of(value, "endorsed_by", max_length=MAX_ENDORSEMENTS)]),
        )


def endorsement_text(endorser: str, result_hash: str) -> bytes:
    """The bytes that an endorser signs."""
    return f'{{"kind":"{ENDORSEMENT_KIND}","endorser":"{endorser}","result":"{result_hash}"}}'.encode("ascii")


def _plain(reads: Iterable[Read]) -> list[list[Any]]:
    # orjson writes no subclasses of tuples, and lists are what comes back when a text is read again.
    return [[key, None if version is None else [version[0], version[1]]] for key, version in reads]


def write_result(
    *,
    tx_id: str,
    channel: str,
    chaincode: str,
    sequence: int,
    reads: Iterable[Read] = (),
    ranges: Iterable[RangeRead] = (),
    writes: Iterable[tuple[str, bytes | None]] = (),
    response: tuple[int, str, bytes],
    event: tuple[str, bytes] | None = None,
) -> bytes:
    """The text of a result whose values (of writes, of the response, of the event) are JSON texts already."""
    status, message, payload = response
    return orjson.dumps(
        {
            "kind": KIND,
            "tx_id": tx_id,
            "channel": channel,
            "chaincode": chaincode,
            "sequence": sequence,
            "reads": _plain(reads),
            "ranges": [{"start": item.start, "end": item.end, "reads": _plain(item.reads)} for item in ranges],
            "writes": [[key] if value is None else [key, Fragment(value)] for key, value in writes],
            "response": {"status": status, "message": message, "payload": Fragment(payload)},
            "event": None if event is None else {"name": event[0], "payload": Fragment(event[1])},
        }
    )


def _key(value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= MAX_KEY_CHARACTERS:
        raise MalformedMessage(f"a key must be a string of 1 to {MAX_KEY_CHARACTERS} characters")
    return value


def _reads(message: dict[str, Any], *, may_be_absent: bool) -> tuple[Read, ...]:
    reads = []
    for item in list_of(message, "reads", max_length=MAX_READS):
        if type(item) is not list or len(item) != 2:  # noqa: PLR2004 - a pair
            raise MalformedMessage("a read is a pair of key and version")
        key, version = item
        if version is None and may_be_absent:
            reads.append(Read(_key(key), None))
        elif _is_version(version):
            reads.append(Read(_key(key), Version(version[0], version[1])))
        else:
            raise MalformedMessage("a read's version is a pair of block and transaction, or null")
    return tuple(reads)


def _is_version(value: Any) -> bool:
    if type(value) is not list or len(value) != 2:  # noqa: PLR2004 - a pair
        return False
    block, transaction = value
    return type(block) is type(transaction) is int and block >= 0 and transaction >= 0


def _range(item: Any) -> RangeRead:
    message = exactly(item, _RANGE_MEMBERS, "a range read")
    start = text_of(message, "start", max_length=MAX_KEY_CHARACTERS + 1, empty=True)
    end = text_of(message, "end", max_length=MAX_KEY_CHARACTERS + 1, empty=True)
    return RangeRead(start, end, _reads(message, may_be_absent=False))


def _writes(message: dict[str, Any]) -> tuple[Write, ...]:
    writes, seen = [], set()
    for item in list_of(message, "writes", max_length=MAX_WRITES):
        size = len(item) if type(item) is list else 0
        if size not in (1, 2) or (size == 2 and item[1] is None):  # noqa: PLR2004
            raise MalformedMessage("a write is [key, value], or [key] to delete; null is no value")
        key = _key(item[0])
        if key in seen:
            raise MalformedMessage(f"the key {key!r} is written twice")
        seen.add(key)
        writes.append(Write(key, item[1] if size == 2 else None))  # noqa: PLR2004
    return tuple(writes)


def _response(value: Any) -> Response:
    members = exactly(value, _RESPONSE_MEMBERS, "a response")
    status, message = members["status"], members["message"]
    if not (
        type(status) is int
        and 100 <= status <= 599  # noqa: PLR2004 - HTTP's
        and type(message) is str
        and len(message) <= MAX_MESSAGE_CHARACTERS
    ):
        status = integer_of(members, "status", minimum=100, maximum=599)
        message = text_of(members, "message", max_length=MAX_MESSAGE_CHARACTERS, empty=True)
    return Response(status, message, members["payload"])


def _event(value: Any) -> Event | None:
    if value is None:
        return None
    message = exactly(value, _EVENT_MEMBERS, "an event")
    return Event(text_of(message, "name"), message["payload"])
