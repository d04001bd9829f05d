"""What callers hand over: the checks that are those of events. Every refusal names the field."""

from __future__ import annotations

import base64
import binascii
import re
from math import isfinite
from typing import Any, Final

from gridledger.contract import ContractError, crypto, evidence
from gridledger.contract.arguments import integer, json_object, name, refuse, sha256, shown, text

from . import keys

#: A plain body, bytes of UTF-8.
MAX_BODY: Final = 4096
#: A sealed body, characters of base64.
MAX_SEALED: Final = 6000
MAX_SEQ: Final = 10**keys.SEQ_DIGITS - 1
#: The latest time of an event, in the year 2286: the end of a span that has it too still has 16 digits.
MAX_TIME: Final = 10**keys.TIME_DIGITS - 2
MAX_ROWS: Final = 10**9
#: A batch covers at most a day, microseconds.
MAX_SPAN: Final = 86_400 * 1_000_000
MAX_URI: Final = 512
MAX_FIELDS: Final = 64
NUMBER_LIMIT: Final = 1e18

EVENT: Final = ("seq", "prev", "kind", "time_us", "proof")
BODIES: Final = ("body", "body_hash", "sealed")
BATCH: Final = ("from_us", "to_us", "rows", "root", "sha256", "uri", "synopsis")

_PROOF: Final = re.compile(r"[0-9a-f]{194}")
_KINDS: Final = frozenset(evidence.KINDS)


def seq_number(value: Any, where: str) -> int:
    """The number of an event, 1 or more."""
    return integer(value, where, 1, MAX_SEQ)


def time_us(value: Any, where: str) -> int:
    """A time, microseconds since 1970."""
    return integer(value, where, 0, MAX_TIME)


def span_time(value: Any, where: str) -> int:
    """A bound of a span of times, microseconds since 1970."""
    return integer(value, where, 0, MAX_TIME + 1)


def kind_name(value: Any, where: str) -> str:
    """A kind of event that is no batch."""
    if type(value) is not str or value not in _KINDS:
        refuse(where, f"must be {', '.join(evidence.KINDS)}, not {shown(value)}")
    return value


def proof_text(value: Any, where: str) -> str:
    """A proof: V and r, 194 hex digits. Nothing is verified yet."""
    if type(value) is not str or not _PROOF.fullmatch(value):
        refuse(where, f"must be 194 hex digits in small letters, not {shown(value)}")
    return value


def new_proof_key(value: Any, where: str = "proof_key") -> str:
    """A public proof key: a point of P-256, SEC 1 uncompressed, 130 hex digits."""
    if type(value) is not str:
        refuse(where, f"must be 130 hex digits in small letters, not {shown(value)}")
    try:
        crypto.check_proof_key(value)
    except ContractError as error:
        refuse(where, error.message.removeprefix("proof_key: "))
    return value


def body_of(event: dict[str, Any], prefix: str) -> tuple[str, dict[str, str]]:
    """body_sha256 of an event, and what the ledger keeps of its body: ``body``, or ``body_hash`` and ``sealed``."""
    if ("body" in event) == ("body_hash" in event):
        refuse(prefix + "body", "one of body and body_hash must be there, and not both")
    if "body" in event:
        if "sealed" in event:
            refuse(prefix + "sealed", "stands beside body_hash only")
        if event["kind"] in evidence.PRIVATE_KINDS:
            refuse(prefix + "body", f"of the kind {event['kind']} stays off the chain; hand over its body_hash")
        json_object(event["body"], prefix + "body", MAX_BODY)
        return evidence.text_hash(event["body"]), {"body": event["body"]}
    kept = {"body_hash": sha256(event["body_hash"], prefix + "body_hash")}
    if "sealed" in event:
        kept["sealed"] = _sealed(event["sealed"], prefix + "sealed")
    return kept["body_hash"], kept


def batch_of(argument: dict[str, Any], prefix: str) -> dict[str, Any]:
    """What a batch says: the members of :data:`BATCH`, in this order, as they were sent."""
    start = time_us(argument["from_us"], prefix + "from_us")
    end = time_us(argument["to_us"], prefix + "to_us")
    if not start < end <= start + MAX_SPAN:
        longest = f"by at most {MAX_SPAN // 1_000_000} s"
        refuse(prefix + "to_us", f"must be later than from_us, {start}, {longest}, not {end}")
    rows = integer(argument["rows"], prefix + "rows", 1, MAX_ROWS)
    return {
        "from_us": start,
        "to_us": end,
        "rows": rows,
        "root": sha256(argument["root"], prefix + "root"),
        "sha256": sha256(argument["sha256"], prefix + "sha256"),
        "uri": text(argument["uri"], prefix + "uri", MAX_URI),
        "synopsis": _synopsis(argument["synopsis"], prefix + "synopsis", rows),
    }


def _sealed(value: Any, where: str) -> str:
    data = b""
    if type(value) is str and len(value) <= MAX_SEALED and value.isascii():
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            data = b""
    if not data or base64.b64encode(data).decode("ascii") != value:
        refuse(where, f"must be base64 of at most {MAX_SEALED} characters, not {shown(value)}")
    return str(value)


def _synopsis(value: Any, where: str, rows: int) -> dict[str, Any]:
    if type(value) is not dict or not 1 <= len(value) <= MAX_FIELDS:
        refuse(where, f"must be an object of 1 to {MAX_FIELDS} fields, not {shown(value)}")
    for field, summary in value.items():
        place = f"{where}.{name(field, where)}"
        if type(summary) is not list or len(summary) != 4:
            refuse(place, f"must be [n, min, mean, max], not {shown(summary)}")
        if integer(summary[0], f"{place}[0]", 0, rows) == 0:
            if summary[1:] != [None, None, None]:
                refuse(place, "must be [0, null, null, null] where there is no value")
            continue
        low, _, high = (_number(number, f"{place}[{i}]") for i, number in enumerate(summary[1:], 1))
        if low > high:
            refuse(place, f"the least value must not be above the greatest: {low!r} and {high!r}")
    return dict(value)


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not isfinite(value) or not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
        refuse(where, f"must be a number within {-NUMBER_LIMIT:g} and {NUMBER_LIMIT:g}, not {shown(value)}")
    return float(value)
