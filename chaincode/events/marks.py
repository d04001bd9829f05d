"""What is doubtful about an event's time: it is marked, never refused, as a device's clock is no reason to lose it.

| mark | of an event | when |
|---|---|---|
| late | any | logged more than 10 min after the time that its device told (the end of a batch) |
| ahead | any | the time told is more than 2 s after that of the proposal |
| back | no batch | the time told is more than 2 s before that of the event before |
| gap | a batch | it begins 1 s or more after the end of the batch before |
| overlap | a batch | it begins 1 s or more before the end of the batch before |

Late and ahead mostly come in runs, as after an outage, so the ledger has one gap for a run: at its first event, and
again with the last one once it is over. The proposal's time is that of the light node's clock.
"""

from __future__ import annotations

from typing import Any, Final

from . import keys
from .permissions import Record

S: Final = 1_000_000
LATE_S: Final = 600
AHEAD_S: Final = 2
BACK_S: Final = 2
GAP_S: Final = 1
RUNS: Final = ("late", "ahead")


def mark_event(head: Record, device: str, event: Record, at_us: int) -> tuple[dict[str, int], Record, list[Any]]:
    """(marks in seconds, what the head keeps of times, gaps to write as (key, value)) of an event that follows
    ``head``; ``at_us``: the proposal's time."""
    marks = _of_clock(event, at_us) | _of_order(head, event)
    gaps: list[Any] = []
    runs = dict(head.get("runs", {}))
    for mark in RUNS:
        if mark in marks and mark not in runs:
            runs[mark] = [event["seq"], event["time_us"], at_us]
            gaps.append(_run(device, mark, runs[mark], None))
        elif mark in runs and mark not in marks:
            gaps.append(_run(device, mark, runs.pop(mark), event["seq"] - 1))
    for mark, between in _singles(head, event, marks):
        gaps.append((keys.gap(device, event["seq"], mark), between))
    times = {name: head[name] for name in ("time_us", "batch_us") if name in head}
    times["batch_us" if event["is_batch"] else "time_us"] = event["end_us"]
    return marks, times | ({"runs": runs} if runs else {}), gaps


def _of_clock(event: Record, at_us: int) -> dict[str, int]:
    lag_us = at_us - event["end_us"]
    if lag_us > LATE_S * S:
        return {"late": lag_us // S}
    return {"ahead": -lag_us // S} if -lag_us > AHEAD_S * S else {}


def _of_order(head: Record, event: Record) -> dict[str, int]:
    if not event["is_batch"]:
        back_us = head.get("time_us", 0) - event["time_us"]
        return {"back": back_us // S} if back_us > BACK_S * S else {}
    if "batch_us" not in head:
        return {}
    missing_us = event["time_us"] - head["batch_us"]
    if missing_us >= GAP_S * S:
        return {"gap": missing_us // S}
    return {"overlap": -missing_us // S} if -missing_us >= GAP_S * S else {}


def _singles(head: Record, event: Record, marks: dict[str, int]) -> list[tuple[str, Record]]:
    """What stands alone: between which times something is missing, twice there, or turned back."""
    before = head.get("batch_us" if event["is_batch"] else "time_us")
    return [(mark, {"from_us": before, "to_us": event["time_us"]}) for mark in marks if mark not in RUNS]


def _run(device: str, mark: str, run: list[int], to_seq: int | None) -> tuple[str, Record]:
    from_seq, time_us, at_us = run
    return keys.gap(device, from_seq, mark), {"to_seq": to_seq, "time_us": time_us, "at_us": at_us}
