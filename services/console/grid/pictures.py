"""What browsers are told of the grid: one message for each group, and one of alarms. Plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.console.grid.alarms import MEANINGS, Alarm
from services.console.grid.view import NOTHING_MVAR, BusView, GroupView

DIGITS = 5


def group_message(view: GroupView, buses: Mapping[int, BusView], now_us: int) -> dict[str, Any]:
    """A group's picture. ``buses``: of all groups; those that this one shows go into it, as [number, V, VSI, level,
    weak]."""
    group, frame = view.state, view.frame
    return {
        "channel": group.channel,
        "group": group.group,
        "word": view.word,
        "stale": view.stale,
        "merged_into": view.merged_into,
        "time_us": None if frame is None else frame.time_us,
        "seen_us": group.seen_us,
        "outcome": None if frame is None else frame.outcome,
        "weak_bus": None if frame is None or view.stale else frame.weak_bus,
        "vsi": None if frame is None or view.stale or frame.weak_bus is None else _short(frame.vsi[frame.weak_bus]),
        "threshold": None if frame is None else _short(frame.threshold),
        "rate": round(group.rate(now_us), 1),
        "p99_ms": _whole(group.latency_ms(0.99)),
        "standing": _amounts(group.standing),
        "buses": [
            [bus.number, _short(bus.vm), _short(bus.vsi), bus.level, bus.weak]
            for bus in buses.values()
            if bus.group == group.group
        ],
    }


def gone_message(channel: str, group: str, standing: Mapping[int, float]) -> dict[str, Any]:
    """A group that is not in use any more, as a merged one whose merge is closed; what it injected stands."""
    return {"channel": channel, "group": group, "word": "gone", "buses": [], "standing": _amounts(standing)}


def _amounts(standing: Mapping[int, float]) -> dict[str, float]:
    return {str(bus): round(q, 3) for bus, q in sorted(standing.items()) if abs(q) >= NOTHING_MVAR}


def alarms_message(alarms: list[Alarm], changes: int) -> dict[str, Any]:
    """How many alarms a channel has, and the most urgent. ``changes``: how often something of the page has changed."""
    open_ones = [alarm for alarm in alarms if alarm.shelved is None]
    waiting = [alarm for alarm in open_ones if alarm.state != "acknowledged"]
    return {
        "changes": changes,
        "active": sum(alarm.active for alarm in open_ones),
        "waiting": len(waiting),
        "shelved": len(alarms) - len(open_ones),
        "top": None if not open_ones else _told(open_ones[0]),
    }


def _told(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "channel": alarm.channel,
        "group": alarm.group,
        "kind": alarm.kind,
        "meaning": MEANINGS.get(alarm.kind, alarm.kind),
        "detail": alarm.detail,
        "state": alarm.state,
        "priority": alarm.priority,
        "raised_us": alarm.raised_us,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
