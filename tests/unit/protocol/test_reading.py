"""The quick readers of proposals, results and transactions against ones that look at one member after the other."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol import Endorsement, Event, Proposal, RangeRead, Read, Response, Result, Transaction, Write
from gridledger.protocol.fields import exactly, from_base64, hash_of, integer_of, list_of, parse_object, text_of
from gridledger.protocol.result import Version

PROPOSAL: dict[str, Any] = {
    "kind": "proposal",
    "channel": "shard1",
    "chaincode": "dvs",
    "sequence": 1,
    "function": "ComputeVSI",
    "args": [{"buses": [{"bus": 1, "Pd": 1.5}, {"bus": 2, "Pd": -0.25}]}],
    "creator": "MIIB",
    "nonce": "0123456789abcdef" * 2,
    "time": 17,
    "transient": None,
}
RESULT: dict[str, Any] = {
    "kind": "result",
    "tx_id": "ab" * 32,
    "channel": "shard1",
    "chaincode": "dvs",
    "sequence": 1,
    "reads": [["a", None], ["b", [3, 0]]],
    "ranges": [{"start": "a", "end": "c", "reads": [["b", [1, 2]]]}],
    "writes": [["a", {"x": 1.5}], ["b"]],
    "response": {"status": 200, "message": "", "payload": [1]},
    "event": {"name": "done", "payload": None},
}
ENDORSEMENTS: list[Any] = [{"endorser": "cd" * 32, "signature": "MEQC"}, {"endorser": "ef" * 32, "signature": "AA=="}]
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**63 - 1, 2**63, 1.0, 99, 600, "", "a", "é", "x" * 64, "x" * 65, "x" * 256, "x" * 257,
    "0" * 31, "0" * 32, "0" * 64, "A" * 64, "0" * 129, "x" * 1024, "x" * 1025, "x" * 8193, "AAA=", "AA", "AA==AA==",
    [], [[]], [None], [1, 2], [0, 0], [-1, 0], [True, 1], ["a"], ["a", None], ["a", 1], ["a", [1, 2]], ["", 1], [1, 1],
    [["a", 1], ["a"]], [["k", [1, True]]], [["k", [0, 2**62]]], [0] * 65, {}, {"start": "", "end": ""},
    {"status": 99, "message": "", "payload": None}, {"status": 400, "message": "no", "payload": None},
    {"status": 200, "message": 1, "payload": None}, {"name": "", "payload": 1}, {"name": "e"}, {"endorser": "", "a": 1},
]  # fmt: skip


def reference_proposal(text: str) -> Proposal:
    message = exactly(parse_object(text, "proposal"), frozenset(PROPOSAL), "a proposal")
    transient = message["transient"]
    if transient is not None and not is_hex(transient, 64, 64):
        raise MalformedMessage("'transient' must be null or the SHA-256 of the transient data")
    if not is_hex(message["nonce"], 32, 128):
        raise MalformedMessage("'nonce' must be 32 to 128 hexadecimal digits")
    return Proposal(
        text=text,
        tx_id=hash_of(text),
        channel=text_of(message, "channel"),
        chaincode=text_of(message, "chaincode"),
        sequence=integer_of(message, "sequence", minimum=1),
        function=text_of(message, "function"),
        args=tuple(list_of(message, "args", max_length=64)),
        creator=text_of(message, "creator", max_length=8192),
        nonce=message["nonce"],
        time_us=integer_of(message, "time"),
        transient_hash=transient,
    )


def is_hex(value: Any, shortest: int, longest: int) -> bool:
    return isinstance(value, str) and shortest <= len(value) <= longest and set(value) <= set("0123456789abcdef")


def reference_result(text: str) -> Result:
    message = exactly(parse_object(text, "result"), frozenset(RESULT), "a result")
    return Result(
        text=text,
        tx_id=text_of(message, "tx_id"),
        channel=text_of(message, "channel"),
        chaincode=text_of(message, "chaincode"),
        sequence=integer_of(message, "sequence", minimum=1),
        reads=reference_reads(message, may_be_absent=True),
        ranges=tuple(reference_range(item) for item in list_of(message, "ranges", max_length=100)),
        writes=reference_writes(message),
        response=reference_response(message["response"]),
        event=reference_event(message["event"]),
    )


def key_of(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1024:
        raise MalformedMessage("a key must be a string of 1 to 1024 characters")
    return value


def reference_reads(message: dict[str, Any], *, may_be_absent: bool) -> tuple[Read, ...]:
    reads = []
    for item in list_of(message, "reads", max_length=10_000):
        if not isinstance(item, list) or len(item) != 2:
            raise MalformedMessage("a read is a pair of key and version")
        key, version = item
        if version is None and may_be_absent:
            reads.append(Read(key_of(key), None))
        elif isinstance(version, list) and len(version) == 2 and all(type(n) is int and n >= 0 for n in version):
            reads.append(Read(key_of(key), Version(*version)))
        else:
            raise MalformedMessage("a read's version is a pair of block and transaction, or null")
    return tuple(reads)


def reference_range(item: Any) -> RangeRead:
    message = exactly(item, frozenset(("start", "end", "reads")), "a range read")
    start = text_of(message, "start", max_length=1025, empty=True)
    end = text_of(message, "end", max_length=1025, empty=True)
    return RangeRead(start, end, reference_reads(message, may_be_absent=False))


def reference_writes(message: dict[str, Any]) -> tuple[Write, ...]:
    writes: list[Write] = []
    for item in list_of(message, "writes", max_length=10_000):
        if not isinstance(item, list) or len(item) not in (1, 2) or (len(item) == 2 and item[1] is None):
            raise MalformedMessage("a write is [key, value], or [key] to delete; null is no value")
        key = key_of(item[0])
        if key in [write.key for write in writes]:
            raise MalformedMessage(f"the key {key!r} is written twice")
        writes.append(Write(key, item[1] if len(item) == 2 else None))
    return tuple(writes)


def reference_response(value: Any) -> Response:
    message = exactly(value, frozenset(("status", "message", "payload")), "a response")
    status = integer_of(message, "status", minimum=100, maximum=599)
    return Response(status, text_of(message, "message", max_length=65536, empty=True), message["payload"])


def reference_event(value: Any) -> Event | None:
    if value is None:
        return None
    message = exactly(value, frozenset(("name", "payload")), "an event")
    return Event(text_of(message, "name"), message["payload"])


def reference_transaction(envelope: bytes) -> Transaction:
    members = frozenset(("proposal", "result", "endorsements", "signature"))
    message = exactly(jsontext.loads(envelope), members, "a transaction")
    for name in ("proposal", "result", "endorsements"):
        if not isinstance(message[name], str):
            raise MalformedMessage(f"{name!r} must be a text inside a string")
    endorsements = jsontext.loads(message["endorsements"])
    if not isinstance(endorsements, list) or len(endorsements) > 64:
        raise MalformedMessage("'endorsements' must be a list of at most 64")
    return Transaction(
        proposal=reference_proposal(message["proposal"]),
        result=reference_result(message["result"]),
        endorsements=tuple(reference_endorsement(item) for item in endorsements),
        endorsements_text=message["endorsements"],
        signature=from_base64(message["signature"], "'signature'"),
    )


def reference_endorsement(value: Any) -> Endorsement:
    message = exactly(value, frozenset(("endorser", "signature")), "an endorsement")
    return Endorsement(text_of(message, "endorser", max_length=64), from_base64(message["signature"], "'signature'"))


def outcome(read: Any, text: Any) -> Any:
    """What a reader makes of a text: the message, or the refusal with its code and words."""
    try:
        return read(text)
    except GridLedgerError as error:
        return type(error), error.code, error.message


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in places(item, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """The value with ``change`` applied to the container or member at a place."""
    copy = json.loads(json.dumps(value))
    if not path:
        return change(copy)
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = change(holder[path[-1]])
    return copy


def distorted(value: Any) -> Iterator[Any]:
    """A value with each of the odd things at each of its places, or with a member too many or too few."""
    changes: list[Callable[[Any], Any]] = [lambda _, odd=odd: odd for odd in ODD]  # type: ignore[misc]
    changes.append(lambda item: {**item, "more": 1} if isinstance(item, dict) else [item, item])
    changes.append(lambda item: dict(list(item.items())[1:]) if isinstance(item, dict) else item)
    for path in places(value):
        for change in changes:
            yield changed(value, path, change)


@pytest.mark.parametrize(
    ("sound", "read", "reference"),
    [(PROPOSAL, Proposal.parse, reference_proposal), (RESULT, Result.parse, reference_result)],
)
def test_texts_are_read_and_refused_as_member_by_member(sound: Any, read: Any, reference: Any) -> None:
    accepted = 0
    for value in distorted(sound):
        for text in (json.dumps(value), jsontext.dumps(value).decode()):
            found = outcome(read, text)
            assert found == outcome(reference, text), text
            accepted += type(found) is type(read(jsontext.dumps(sound).decode()))
    assert accepted > len(ODD)  # the odd things are not odd at every place


def test_a_transaction_is_read_and_refused_as_member_by_member() -> None:
    sound: dict[str, Any] = {
        "proposal": jsontext.dumps(PROPOSAL).decode(),
        "result": jsontext.dumps(RESULT).decode(),
        "endorsements": jsontext.dumps(ENDORSEMENTS).decode(),
        "signature": "MEQC",
    }
    messages = [*distorted(sound)]
    messages += [{**sound, "endorsements": json.dumps(value)} for value in distorted(ENDORSEMENTS)]
    for message in messages:
        envelope = json.dumps(message).encode()
        assert outcome(Transaction.parse, envelope) == outcome(reference_transaction, envelope), envelope


def test_sound_messages_are_read() -> None:
    text, result = jsontext.dumps(PROPOSAL).decode(), jsontext.dumps(RESULT).decode()
    assert Proposal.parse(text) == reference_proposal(text)
    assert Result.parse(result) == reference_result(result)
    assert Result.parse(result).writes == (Write("a", {"x": 1.5}), Write("b", None))


@pytest.mark.parametrize("text", ["QQ==\n", "Q Q=", "QQ", "Q===", "QR==", "====", "QQ==QQ==", "é", "QQ-_", "", "QQ=="])
def test_base64_is_taken_as_strictly_as_the_standard_library_validates(text: str) -> None:
    try:
        expected = b64decode(text, validate=True)
    except ValueError:
        with pytest.raises(MalformedMessage):
            from_base64(text, "it")
    else:
        assert from_base64(text, "it") == expected
