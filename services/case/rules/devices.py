"""Rules about what devices say, and when: gaps, silence, bursts, clocks, events after a revocation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import quantiles
from typing import Final

from gridledger.evidence.events import BATCH, KINDS
from services.case.rows import Row
from services.case.rules.finding import (
    SECOND_US,
    Finding,
    Parameter,
    Pointer,
    Rule,
    Values,
    by,
    dense,
    finding,
    span,
    told_us,
)

_EVENTS: Final = frozenset((*KINDS, BATCH))


def _events(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.is_valid and row.kind in _EVENTS and row.device is not None]


def _place(row: Row) -> tuple[str, str]:
    return row.channel, str(row.device)


def _gaps(rows: Sequence[Row], values: Values) -> list[Finding]:
    del values
    found = []
    for (channel, device), events in by(_events(rows), _place):
        numbered = sorted((row for row in events if row.seq is not None), key=lambda row: row.seq or 0)
        for before, after in pairwise(numbered):
            first, last = (before.seq or 0) + 1, (after.seq or 0) - 1
            if first <= last:
                text = (
                    f"of {device} the events {first} to {last} are not among what was read ({last - first + 1} events)"
                )
                found.append(finding("sequence-gap", text, [before, after], device=device, channel=channel))
        for row in events:
            if "gap" in row.marks:
                text = f"{device} measured nothing for {span(row.marks['gap'])} before its batch {row.seq}"
                found.append(finding("sequence-gap", text, [row], device=device, channel=channel))
    return found


def _silent(rows: Sequence[Row], values: Values) -> list[Finding]:
    events = _events(rows)
    ends = {channel: max(map(told_us, each)) for channel, each in by(events, lambda row: row.channel)}
    found = []
    for (channel, device), said in by(events, _place):
        said.sort(key=told_us)
        if len(said) < values["events"]:
            continue
        times = [told_us(row) for row in said]
        apart = [after - before for before, after in pairwise(times)]
        usual_s = quantiles(apart, n=10)[-1] / SECOND_US
        most_s = max(values["times"] * usual_s, values["least_s"])
        for place, (row, until_us) in enumerate(zip(said, [*times[1:], ends[channel]], strict=True)):
            seconds = (until_us - told_us(row)) / SECOND_US
            if seconds <= most_s:
                continue
            is_last = place == len(said) - 1
            told = "and has said nothing since" if is_last else "then spoke again"
            text = (
                f"{device} was silent for {span(seconds)}, {told}; nine of ten of its events are at most "
                f"{span(usual_s)} apart"
            )
            details = {"from_us": told_us(row), "to_us": until_us, "usual_s": usual_s}
            pair = [row] if is_last else [row, said[place + 1]]
            found.append(finding("device-silent", text, pair, device=device, channel=channel, details=details))
    return found


def _burst(rows: Sequence[Row], values: Values) -> list[Finding]:
    found = []
    alarms = [row for row in _events(rows) if row.kind == "alarm"]
    for (channel, device), said in by(alarms, _place):
        said.sort(key=told_us)
        for run in dense(said, values["window_s"] * SECOND_US, values["alarms"], Pointer.to):
            seconds = (told_us(run[-1]) - told_us(run[0])) / SECOND_US
            text = f"{device} raised {len(run)} alarms within {span(seconds)}"
            found.append(finding("alarm-burst", text, run, device=device, channel=channel))
    return found


def _clock(rows: Sequence[Row], values: Values) -> list[Finding]:
    """A time ahead of the block's is wrong. One behind may be an event that was held back; a clock that is behind is so
    in one transaction after the other, by about the same. Not so of batches: several are handed over together.
    """
    limit_us = values["limit_s"] * SECOND_US
    events = _events(rows)
    held_back = _held_back(events, limit_us, values["together_s"] * SECOND_US)
    found = []
    for (channel, device), said in by(events, _place):
        ahead = [row for row in said if _behind_us(row) < -limit_us]
        behind = [row for row in said if row.kind != BATCH and "late" not in row.marks]
        wrong = [*ahead, *_steadily_behind(behind, held_back, limit_us, int(values["events"]))]
        if not wrong:
            continue
        off = sorted(-_behind_us(row) / SECOND_US for row in wrong)
        told = f"{abs(off[0]):.1f}" if len(off) == 1 else f"{min(map(abs, off)):.1f} to {max(map(abs, off)):.1f}"
        where = "ahead of" if off[len(off) // 2] > 0 else "behind"
        text = f"the clock of {device} is {told} s {where} the blocks' time, in {len(wrong)} events"
        details = {"off_s": [off[0], off[-1]]}
        found.append(finding("clock", text, wrong, device=device, channel=channel, details=details))
    return found


def _steadily_behind(said: Sequence[Row], held_back: set[str], limit_us: float, least: int) -> list[Row]:
    """The events of ``least`` transactions one after the other that are behind by more than the limit, and by no more
    than the limit of one another."""
    last_of = {row.tx_id: row for row in sorted(said, key=lambda row: (row.block_us, row.seq or 0))}
    each = list(last_of.values())
    found: dict[str, Row] = {}
    for place in range(len(each) - least + 1):
        some = each[place : place + least]
        off = [_behind_us(row) for row in some]
        if min(off) > limit_us and max(off) - min(off) <= limit_us and not held_back & {row.tx_id for row in some}:
            found.update({row.tx_id: row for row in some})
    return list(found.values())


def _behind_us(row: Row) -> int:
    """By how much the time told is behind the block's."""
    return row.block_us - _end_us(row)


def _held_back(events: Sequence[Row], limit_us: float, together_us: float) -> set[str]:
    """Transactions of a light node that brought events of several devices late at about the same time: it held them
    back, and their devices' clocks are not to blame."""
    held: set[str] = set()
    late = [row for row in events if row.kind != BATCH and _behind_us(row) > limit_us]
    for _, behind in by(late, lambda row: row.certificate):
        behind.sort(key=lambda row: row.block_us)
        blocks = [row.block_us for row in behind]
        for row in behind:
            first = bisect_left(blocks, row.block_us - together_us)
            last = bisect_left(blocks, row.block_us + together_us + 1)
            if len({each.device for each in behind[first:last]}) > 1:
                held.add(row.tx_id)
    return held


def _end_us(row: Row) -> int:
    """When what a row tells was complete: a batch's end."""
    end = row.details.get("to_us") if row.kind == BATCH else None
    return end if isinstance(end, int) else told_us(row)


def _revoked_late(rows: Sequence[Row], values: Values) -> list[Finding]:
    """Those that are marked, and those told behind a revocation that is among the rows."""
    del values
    revoked = {row.device: row for row in rows if row.is_valid and row.kind in ("device-revoked", "device-retired")}
    found = []
    for (channel, device), said in by(_events(rows), _place):
        revocation = revoked.get(device)
        after = [
            row
            for row in said
            if "revoked-late" in row.marks or (revocation is not None and row.block_us > told_us(revocation))
        ]
        if after:
            text = f"{len(after)} events of {device} were logged after it was revoked"
            found.append(
                finding(
                    "revoked-late",
                    text,
                    [*([revocation] if revocation is not None else []), *after],
                    device=device,
                    channel=channel,
                )
            )
    return found


RULES: Final = (
    Rule(
        "sequence-gap",
        "Events of a device are missing between two that were read, or its measurements have a gap.",
        _gaps,
        needs_all=True,
    ),
    Rule(
        "device-silent",
        "A device that speaks regularly said nothing for much longer than it usually does.",
        _silent,
        (
            Parameter("events", 10.0, "events", "how many a device must have said"),
            Parameter("times", 5.0, "times", "how much longer than nine of ten of its pauses"),
            Parameter("least_s", 60.0, "s", "silence that is never found", scales=True),
        ),
        needs_all=True,
    ),
    Rule(
        "alarm-burst",
        "A device raised many alarms within minutes.",
        _burst,
        (
            Parameter("alarms", 20.0, "alarms", "how many"),
            Parameter("window_s", 600.0, "s", "within which time", scales=True),
        ),
    ),
    Rule(
        "clock",
        "A device told times ahead of its blocks', or steadily behind them, and its light node held nothing else back.",
        _clock,
        (
            Parameter("limit_s", 2.0, "s", "by how much they may differ"),
            Parameter(
                "events", 5.0, "transactions", "how many one after the other must be behind, each by about as much"
            ),
            Parameter("together_s", 30.0, "s", "events of several devices this near were held back together"),
        ),
    ),
    Rule("revoked-late", "Events of a device stand on the ledger behind its revocation.", _revoked_late),
)
