"""Which sessions are suspicious: one certificate in two sessions at once, or at two terminals within a minute.

Neither is refused: at a failing terminal both happen to honest people, and an attacker who is refused is warned. Both
sessions are flagged.

An opening must not conflict with another one of the same certificate: whoever has stolen it could keep its owner out by
opening sessions again and again. So an opening looks at the others through the history of a key, which the committer
does not compare. What two openings that were endorsed side by side do not see of one another, queries see: they compare
each session with those of its certificate that were opened at nearly the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from gridledger.contract import Stub

from . import keys
from .permissions import Record

TWO_SESSIONS: Final = "two-sessions"
TWO_TERMINALS: Final = "two-terminals"

APART_US: Final = 60_000_000
"""Openings at two terminals are suspicious within this time."""
SIDE_BY_SIDE_US: Final = 600_000_000
"""Times of two openings that were endorsed side by side differ by less: a peer takes proposals whose time is within
300 s of its own clock's."""
LOOKED_BACK: Final = 8
"""Latest openings of a certificate that one looks at. Each knows the sessions that were open before it."""
KNOWN: Final = 64
"""Sessions of a certificate that an opening hands on: those that are open or of the last minute, the newest first."""
COMPARED: Final = 50
"""Sessions of nearly the same time, before and after, that a query compares one with."""


def look_around(stub: Stub, certificate: str, terminal: str, now_us: int) -> tuple[list[Record], list[Record]]:
    """What is suspicious of an opening, as far as it is committed: [{why, session}], and the sessions
    [{session, terminal, opened_us}] of the certificate that are open or recent."""
    known: dict[str, Record] = {}
    for entry in islice(stub.get_history_for_key(keys.latest(certificate)), LOOKED_BACK):
        for told in entry.value["known"]:
            known.setdefault(told["session"], told)
    found: list[Record] = []
    kept: list[Record] = []
    for told in sorted(known.values(), key=lambda each: (-int(each["opened_us"]), str(each["session"]))):
        is_open = not _was_written(stub, keys.closed(told["session"]))
        is_recent = abs(now_us - told["opened_us"]) <= APART_US
        if is_open:
            found.append({"why": TWO_SESSIONS, "session": told["session"]})
        if is_recent and told["terminal"] != terminal:
            found.append({"why": TWO_TERMINALS, "session": told["session"]})
        if is_open or is_recent:
            kept.append(told)
    return found, kept[: KNOWN - 1]


def of_session(stub: Stub, record: Record, closed: Record | None) -> list[Record]:
    """All that is suspicious of a session, for queries: what its opening found, what a later one did, and what those
    that were endorsed beside it could not: [{why, session}], each once."""
    found = list(record["suspicious"])
    flagged = stub.get_state(keys.flag(record["session"]))
    if flagged is not None:
        found += [{"why": why, "session": flagged["session"]} for why in flagged["why"]]
    for other, opened_us, terminal in _side_by_side(stub, record):
        if terminal != record["terminal"] and abs(opened_us - record["opened_us"]) <= APART_US:
            found.append({"why": TWO_TERMINALS, "session": other})
        if _overlap(stub, record, closed, other, opened_us):
            found.append({"why": TWO_SESSIONS, "session": other})
    return [each for number, each in enumerate(found) if each not in found[:number]]


def _side_by_side(stub: Stub, record: Record) -> Iterator[tuple[str, int, str]]:
    """(session, opened_us, terminal) of the same certificate's others, opened at nearly the same time."""
    prefix = keys.sessions_of(record["by"]["certificate"])
    first, last = max(0, record["opened_us"] - SIDE_BY_SIDE_US), record["opened_us"] + SIDE_BY_SIDE_US
    bounds = prefix + keys.moment(first), prefix + keys.moment(last)
    for key, value in stub.get_state_by_range(*bounds, 2 * COMPARED):
        moment, _, other = key[len(prefix) :].partition("/")
        if other != record["session"]:
            yield other, int(moment), value["terminal"]


def _overlap(stub: Stub, record: Record, closed: Record | None, other: str, opened_us: int) -> bool:
    """Whether both were open at some time, by the times that their openings and closings say."""
    if opened_us >= record["opened_us"]:
        return closed is None or opened_us < closed["time_us"]
    others_end = stub.get_state(keys.closed(other))
    return others_end is None or bool(record["opened_us"] < others_end["time_us"])


def _was_written(stub: Stub, key: str) -> bool:
    """Whether a key that is never removed stands; not compared at commit."""
    return next(stub.get_history_for_key(key), None) is not None
