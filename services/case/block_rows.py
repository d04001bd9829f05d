"""Reads the rows of a block, of its proposals, whatever stands in them, and of the answers of valid ones."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.evidence.events import BATCH, KINDS
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import CONFIG_PREFIX, ConfigUpdate
from gridledger.protocol.proposal import Proposal
from services.case.rows import (
    ACCESS,
    ANCHORS,
    CASES,
    CONFIG,
    EVENTS,
    KINDS_OF,
    MAX_MARKS,
    OTHER,
    REGISTRY,
    UNREADABLE,
    Row,
)

_ANCHORING: Final = frozenset(("attested", "concluded"))
"""Whose rows say whether the size was anchored by them."""
CLOCK_S: Final = 2
"""The time told and the block's may differ by so much; beyond it the row has the mark ``clock``."""
MAX_TEXT: Final = 16 * 1024
"""Characters of a row's text; of a longer one the row has the length alone."""
_S: Final = 1_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_SEQ: Final = 10**12 - 1
_MAX_TIME: Final = 10**16 - 1
_LEFT_OUT: Final = frozenset(
    ("proof", "proof_old", "proof_new", "certificate", "sealed", "consistency", "device", "operator", "terminal")
)
"""Members of an argument that a row's text does not repeat."""
_MAX_LISTED: Final = 100
"""Items of a list in an argument; of a longer one the text has their number."""

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """Which contract a chaincode of a channel is: ``contracts`` by (channel, chaincode)."""

    contracts: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, applications: Mapping[str, Any]) -> Places:
        """As ``applications`` of a network's connection profile has them; KeyError where it has no forensics."""
        forensics = applications["forensics"]
        contracts = {(forensics["channel"], forensics["chaincode"]): CASES}
        for name in (REGISTRY, ACCESS):
            entry = forensics["devices" if name == REGISTRY else ACCESS]
            contracts[entry["channel"], entry["chaincode"]] = name
        contracts.update(dict.fromkeys(forensics["sections"].items(), EVENTS))
        anchors = applications.get("anchors")
        if anchors is not None:
            contracts[anchors["channel"], anchors["chaincode"]] = ANCHORS
        return cls(contracts)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that have one of the contracts, sorted."""
        return tuple(sorted({channel for channel, _ in self.contracts}))


class _Place(NamedTuple):
    """What all rows of a transaction share."""

    channel: str
    block: int
    position: int
    tx_id: str
    code: int
    at_us: int | None
    block_us: int
    certificate: str | None


def rows_of(block: Block, codes: Sequence[TxValidationCode], places: Places) -> list[Row]:
    """The rows of a block, in its order; each transaction has one at least. ``codes`` are the peer's, one each."""
    found: list[Row] = []
    for position, (envelope, code) in enumerate(zip(block.envelopes, codes, strict=True)):
        header = block.header
        place = _Place(header.channel, header.number, position, "", int(code), None, header.timestamp_us, None)
        found += _config_rows(envelope, place) if envelope.startswith(CONFIG_PREFIX) else _rows(envelope, place, places)
    return found


def _config_rows(envelope: bytes, place: _Place) -> list[Row]:
    try:
        update = ConfigUpdate.parse(envelope)
    except GridLedgerError:
        return [_unreadable(envelope, place)]
    dated = place._replace(tx_id=update.tx_id, at_us=_time(update.time_us))
    return [_row(dated, 0, CONFIG, said_us=dated.at_us, text={"sequence": update.sequence})]


def _rows(envelope: bytes, place: _Place, places: Places) -> list[Row]:
    try:
        texts = jsontext.loads_texts(envelope)
        proposal = Proposal.parse(texts["proposal"])
    except (GridLedgerError, KeyError):
        return [_unreadable(envelope, place)]
    place = place._replace(
        tx_id=proposal.tx_id, at_us=_time(proposal.time_us), certificate=_fingerprint(proposal.creator)
    )
    contract = places.contracts.get((place.channel, proposal.chaincode))
    argument = proposal.args[0] if len(proposal.args) == 1 and isinstance(proposal.args[0], dict) else {}
    answer = _answer(texts.get("result")) if place.code == TxValidationCode.VALID else {}
    if contract == EVENTS and proposal.function in _EVENT_READERS:
        return [*_EVENT_READERS[proposal.function](place, argument, answer)]
    if contract == ANCHORS and proposal.function == "Cosign":
        return [*_cosigned(place, argument, answer)]
    kind = KINDS_OF.get((contract or "", proposal.function))
    if kind is None:
        told = {"chaincode": proposal.chaincode, "function": proposal.function}
        return [_row(place, 0, OTHER, said_us=place.at_us, text=told)]
    return [_contract_row(place, kind, argument, answer)]


def _contract_row(place: _Place, kind: str, argument: Value, answer: Value) -> Row:
    """The row of a function that is no device's: the names in its argument, in its answer where that has more."""

    def named(name: str) -> str | None:
        return _name(argument.get(name)) or _name(answer.get(name))

    suspicious = answer.get("suspicious")
    marks = {}
    if suspicious and isinstance(suspicious, list | bool):
        marks["suspicious"] = len(suspicious) if isinstance(suspicious, list) else 1
    text = {name: _shortened(value) for name, value in argument.items() if name not in _LEFT_OUT and name != "session"}
    if kind in _ANCHORING and isinstance(answer.get("anchored"), bool):
        text["anchored"] = answer["anchored"]
    if marks and isinstance(suspicious, list):
        text["suspicious"] = _shortened(suspicious)
    return _row(
        place,
        0,
        kind,
        device=_name(argument.get("device")),
        operator=named("operator"),
        terminal=named("terminal"),
        session=named("session"),
        said_us=place.at_us,
        text=text,
        marks=marks,
    )


def _cosigned(place: _Place, argument: Value, answer: Value) -> Iterator[Row]:
    """A row for each head that organisations signed, as Attest has one; rounds that were refused have none."""
    done = {one.get("channel"): one for one in _objects(answer.get("rounds"))}
    told = []
    for one in _objects(argument.get("rounds")):
        ended = done.get(channel, {}) if isinstance(channel := one.get("channel"), str) else {}
        if ended.get("refused") is not None:
            continue
        more = {"anchored": ended["anchored"]} if isinstance(ended.get("anchored"), bool) else {}
        for head in _objects(one.get("heads")):
            said = {name: value for name, value in head.items() if name != "signatures"}
            signers = [each.get("mspid") for each in _objects(head.get("signatures"))]
            told.append({"channel": channel, "size": one.get("size"), **said, "organisations": signers, **more})
    for item, text in enumerate(told[:MAX_HEADS] or [{}]):
        short = {name: _shortened(value) for name, value in text.items()}
        yield _row(place, item, "attested", said_us=place.at_us, text=short)
    if len(told) > MAX_HEADS:  # the contract takes no more, so this is not valid
        yield _row(place, MAX_HEADS, OTHER, text={"left_out": len(told) - MAX_HEADS})


MAX_HEADS: Final = 256
"""Of one Cosign."""


def _log_event(place: _Place, argument: Value, answer: Value) -> Iterator[Row]:
    yield _event(place, 0, argument.get("device"), argument, _marks(answer.get("marks")))


def _log_events(place: _Place, argument: Value, answer: Value) -> Iterator[Row]:
    yield from _bounded(place, [(argument, answer)])


def _log_devices(place: _Place, argument: Value, answer: Value) -> Iterator[Row]:
    calls, answers = (_objects(value.get("devices")) for value in (argument, answer))
    by_device = {_name(each.get("device")): each for each in answers}
    yield from _bounded(place, [(call, by_device.get(_name(call.get("device")), {})) for call in calls or [{}]])


def _bounded(place: _Place, calls: Sequence[tuple[Value, Value]]) -> Iterator[Row]:
    """The rows of the events of devices, each device with what was answered of it, and of no more events than the
    contract takes: a call that has more is not valid."""
    item = 0
    left_out = 0
    for argument, answer in calls:
        marks = {each.get("seq"): each for each in _objects(answer.get("marks")) if type(each.get("seq")) is int}
        told = argument.get("events")
        for event in told if isinstance(told, list) and told else [{}]:
            if item == MAX_EVENTS:
                left_out += 1
                continue
            known = event if isinstance(event, dict) else {}
            found = marks.get(known.get("seq"), {}) if type(known.get("seq")) is int else {}
            read = _batch if "synopsis" in known else _event
            said = _marks({name: value for name, value in found.items() if name != "seq"})
            yield read(place, item, argument.get("device"), known, said)
            item += 1
    if left_out:
        yield _row(place, item, OTHER, text={"left_out": left_out})


def _objects(value: Any) -> list[Value]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


MAX_EVENTS: Final = 256
"""Of one LogEvents or LogDevices."""


def _event(place: _Place, item: int, device: Any, event: Value, marks: dict[str, int]) -> Row:
    kind = event.get("kind")
    said_us = _time(event.get("time_us"))
    return _row(
        place,
        item,
        kind if isinstance(kind, str) and kind in KINDS else OTHER,
        device=_name(device),
        seq=_seq(event.get("seq")),
        said_us=said_us,
        text=_body(event),
        marks=_with_clock(marks, said_us, place.block_us),
    )


def _log_batch(place: _Place, argument: Value, answer: Value) -> Iterator[Row]:
    yield _batch(place, 0, argument.get("device"), argument, _marks(answer.get("marks")))


def _batch(place: _Place, item: int, device: Any, batch: Value, marks: dict[str, int]) -> Row:
    told = ("from_us", "to_us", "rows", "root", "sha256", "uri", "synopsis")
    return _row(
        place,
        item,
        BATCH,
        device=_name(device),
        seq=_seq(batch.get("seq")),
        said_us=_time(batch.get("from_us")),
        text={name: batch[name] for name in told if name in batch},
        marks=_with_clock(marks, _time(batch.get("to_us")), place.block_us),
    )


_EVENT_READERS: Final[Mapping[str, Callable[[_Place, Value, Value], Iterator[Row]]]] = {
    "LogEvent": _log_event,
    "LogEvents": _log_events,
    "LogBatch": _log_batch,
    "LogDevices": _log_devices,
}


def _body(event: Value) -> Value:
    body = event.get("body")
    if isinstance(body, str):
        try:
            return {"body": jsontext.loads(body)}
        except GridLedgerError:
            return {"body": body}
    return {"body_hash": event.get("body_hash"), "sealed": "sealed" in event}


def _with_clock(marks: dict[str, int], said_us: int | None, block_us: int) -> dict[str, int]:
    """The marks, and ``clock`` where the times differ with no reason among them."""
    if said_us is not None and "late" not in marks and abs(block_us - said_us) > CLOCK_S * _S:
        marks["clock"] = int((block_us - said_us) / _S)
    return marks


def _unreadable(envelope: bytes, place: _Place) -> Row:
    return _row(place, 0, UNREADABLE, text={"bytes": len(envelope)})


def _row(
    place: _Place,
    item: int,
    kind: str,
    *,
    device: str | None = None,
    seq: int | None = None,
    operator: str | None = None,
    terminal: str | None = None,
    session: str | None = None,
    said_us: int | None = None,
    text: Value,
    marks: dict[str, int] | None = None,
) -> Row:
    return Row(
        channel=place.channel,
        block=place.block,
        position=place.position,
        item=item,
        tx_id=place.tx_id,
        code=place.code,
        kind=kind,
        device=device,
        seq=seq,
        operator=operator,
        terminal=terminal,
        session=session,
        said_us=said_us,
        at_us=place.at_us,
        block_us=place.block_us,
        certificate=place.certificate,
        text=_text(text),
        marks=marks or {},
    )


def _text(value: Value) -> str:
    text = jsontext.dumps_again(value).decode()
    return text if len(text) <= MAX_TEXT else f'{{"left_out":{len(text)}}}'


def _shortened(value: Any) -> Any:
    return {"items": len(value)} if isinstance(value, list) and len(value) > _MAX_LISTED else value


def _answer(result: Any) -> Value:
    """What a result's text answers, and what its event says besides; empty where that is no object."""
    try:
        message = jsontext.loads(result) if isinstance(result, str) else None
    except GridLedgerError:
        return {}
    told = [message.get(name) for name in ("event", "response")] if isinstance(message, dict) else []
    payloads = [each.get("payload") for each in told if isinstance(each, dict)]
    return {name: value for each in payloads if isinstance(each, dict) for name, value in each.items()}


def _marks(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    known = [(name, number) for name, number in value.items() if _is_mark(name, number)]
    return dict(known[: MAX_MARKS // 2])


def _is_mark(name: str, value: Any) -> bool:
    return type(value) is int and abs(value) <= _MAX_TIME and _NAME.fullmatch(name) is not None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _seq(value: Any) -> int | None:
    return value if type(value) is int and 1 <= value <= _MAX_SEQ else None


def _time(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MAX_TIME else None


@lru_cache(maxsize=4096)
def _fingerprint(creator: str) -> str | None:
    """SHA-256 of a certificate in base64; None where it is none."""
    try:
        return sha256(b64decode(creator, validate=True)).hexdigest()
    except ValueError:
        return None
