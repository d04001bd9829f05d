"""Relays as the pages show them: rows of lists, what failed first. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gridledger.field.capture import MEASURES, UNITS
from gridledger.field.minutes import minute_text
from services.console.listing import Cell, Column, Row, State
from services.console.relay.reading import Overview, RelayState

ANY, DISPUTED, OPEN, BREACHED = "", "disputed", "open", "breached"
CHOICES: Final = (
    (ANY, "all"),
    (DISPUTED, "disputed"),
    (OPEN, "not concluded"),
    (BREACHED, "with limits breached"),
)
"""Which captures are listed."""

_RANK: Final[Mapping[State, int]] = {"bad": 0, "warn": 1}
_HOUR_MIN: Final = 60
_US_PER_MINUTE: Final = 60_000_000

RELAYS: Final = (
    Column("relay", "relay"),
    Column("state", "state"),
    Column("newest", "newest capture"),
    Column("recorded_by", "recorded by"),
    Column("disputes", "disputes", numeric=True),
    Column("gap_minutes", "minutes missing", numeric=True),
    Column("breaches", "limits breached", numeric=True),
    Column("substation", "substation", minor=True),
    Column("servers", "servers", minor=True),
    Column("quorum", "quorum", numeric=True, minor=True),
    Column("channel", "channel", minor=True),
    Column("seen_as", "seen as", minor=True),
)
CAPTURES: Final = (
    Column("minute", "minute (UTC)"),
    Column("status", "verdict"),
    Column("recorded_by", "recorded by"),
    Column("recorded", "recorded at", minor=True),
    Column("readings", "readings", numeric=True, minor=True),
    Column("faults", "openings by faults", numeric=True),
    Column("breaches", "limits breached", numeric=True),
    Column("measures", "of"),
    Column("sha256", "SHA-256", minor=True),
)
DISPUTES: Final = (
    Column("minute", "minute (UTC)"),
    Column("since", "since"),
    Column("for", "for"),
    Column("against", "against"),
)
GAPS: Final = (Column("from", "from (UTC)"), Column("to", "to (UTC)"), Column("minutes", "minutes", numeric=True))
SILENCES: Final = (
    Column("from", "from (UTC)"),
    Column("until", "until (UTC)"),
    Column("reason", "reason"),
    Column("told_by", "told by"),
    Column("ended_by", "ended by", minor=True),
)
FAULTS: Final = (
    Column("trigger", "trigger time"),
    Column("station", "station"),
    Column("device", "device"),
    Column("samples", "samples", numeric=True, minor=True),
    Column("stated_by", "stated by"),
    Column("otherwise", "stated otherwise by"),
    Column("sha256", "file's SHA-256", minor=True),
)
QUALITY: Final = (
    Column("measure", "measure"),
    Column("limits", "limits"),
    Column("breaches", "readings outside", numeric=True),
    Column("minutes", "minutes with some", numeric=True),
    Column("lowest", "farthest below", numeric=True),
    Column("highest", "farthest above", numeric=True),
    Column("newest", "newest"),
)
HOURS: Final = (
    Column("hour", "hour (UTC)"),
    Column("captures", "captures", numeric=True),
    Column("disputed", "disputed", numeric=True),
    Column("gap_minutes", "minutes missing", numeric=True),
    Column("faults", "openings by faults", numeric=True),
    Column("energy_mwh", "MWh", numeric=True),
    Column("energy_mvarh", "MVArh", numeric=True),
    Column("outside", "readings outside limits", numeric=True),
    Column("deviation", "frequency deviation, max Hz", numeric=True, minor=True),
    Column("unbalance", "voltage unbalance, max %", numeric=True, minor=True),
)
MEASURED: Final = (
    Column("measure", "measure"),
    Column("unit", "unit"),
    Column("min", "min", numeric=True),
    Column("mean", "mean", numeric=True),
    Column("max", "max", numeric=True),
    Column("outside", "outside limits", numeric=True),
)


def failed_first(rows: Iterable[Row]) -> list[Row]:
    """What is bad, then what is marked, then all else; each in the order in which it came."""
    return sorted(rows, key=lambda row: _RANK.get(row.state, len(_RANK)))


def relay_row(channel: str, seen_as: str, told: Overview) -> Row:
    """A relay in the list of all."""
    record = told.record
    relay = str(record["relay"])
    newest = told.captures[-1] if told.captures else None
    missing = sum(behind - first for first, behind in told.gaps)
    breaches = sum(len(item["breaches"]) for item in told.captures)
    state, text = _standing(record, told.disputes, newest)
    row: State = state if state in ("bad", "warn") else "warn" if missing else ""
    cells = {
        "relay": Cell(relay, href=relay_path(channel, relay)),
        "state": Cell(text, state=state),
        "newest": Cell("none in the last hour")
        if newest is None
        else minute_cell(newest["minute"], capture_path(channel, relay, newest["minute"])),
        "recorded_by": Cell("" if newest is None else newest["server"]),
        "disputes": _count(len(told.disputes), "bad"),
        "gap_minutes": _count(missing, "warn"),
        "breaches": _count(breaches, "warn"),
        "substation": Cell(record["substation"]),
        "servers": Cell(", ".join(server["id"] for server in record["servers"])),
        "quorum": Cell(f"{record['quorum']} of {len(record['servers'])}"),
        "channel": Cell(channel, href=f"/channels/{channel}"),
        "seen_as": Cell(seen_as),
    }
    return Row(cells, row)


def verdicts(told: RelayState) -> list[tuple[str, State]]:
    """What stands above everything else of a relay."""
    newest = told.captures[-1] if told.captures else None
    state, text = _standing(told.record, told.disputes, newest)
    missing = sum(behind - first for first, behind in told.gaps)
    breaches = sum(len(item["breaches"]) for item in told.captures)
    found: list[tuple[str, State]] = [(text, state)]
    if told.disputes and told.record["silence"] is not None:
        found.append((f"{len(told.disputes)} disputed", "bad"))
    found.append((f"{missing} minutes without a capture", "warn") if missing else ("no minute is missing", "good"))
    found.append((f"{breaches} readings outside limits", "warn") if breaches else ("no limit breached", "good"))
    return found


def capture_rows(channel: str, relay: str, captures: Sequence[Mapping[str, Any]], only: str) -> list[Row]:
    """Captures, disputed ones first, then the newest first."""
    chosen = [item for item in reversed(captures) if _is_shown(item, only)]
    return failed_first(_capture_row(channel, relay, item) for item in chosen)


def dispute_rows(channel: str, relay: str, disputes: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Open disputes, the newest first."""
    return [
        Row(
            {
                "minute": minute_cell(item["minute"], capture_path(channel, relay, item["minute"])),
                "since": Cell("", at_us=item["since_us"]),
                "for": Cell(_names(item["for"])),
                "against": Cell(_names(item["against"])),
            },
            "bad",
        )
        for item in reversed(disputes)
    ]


def gap_rows(gaps: Sequence[Sequence[int]]) -> list[Row]:
    """Gaps, the newest first."""
    return [
        Row(
            {"from": minute_cell(first), "to": minute_cell(behind), "minutes": _count(behind - first, "warn")},
            "warn",
        )
        for first, behind in reversed(gaps)
    ]


def silence_rows(silences: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Silences, the open one first, then the newest."""
    rows = []
    for item in reversed(silences):
        is_open = item["until"] is None
        cells = {
            "from": minute_cell(item["from"]),
            "until": Cell("it lasts", state="bad") if is_open else minute_cell(item["until"]),
            "reason": Cell(item["reason"]),
            "told_by": Cell(item["server"]),
            "ended_by": Cell(item["ended_by"] or ""),
        }
        rows.append(Row(cells, "bad" if is_open else ""))
    return failed_first(rows)


def fault_rows(faults: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Fault records, those that servers state otherwise first, then the newest."""
    rows = []
    for item in sorted(faults, key=lambda one: str(one["trigger_time"]), reverse=True):
        others = [str(server) for other in item["others"] for server in other["servers"]]
        cells = {
            "trigger": Cell(str(item["trigger_time"])),
            "station": Cell(str(item["station"])),
            "device": Cell(str(item["device"])),
            "samples": Cell(f"{item['samples']:,}", value=item["samples"]),
            "stated_by": Cell(_names(item["servers"])),
            "otherwise": Cell(", ".join(others), state="bad" if others else ""),
            "sha256": short_hash(item["sha256"]),
        }
        rows.append(Row(cells, "bad" if others else ""))
    return failed_first(rows)


def quality_rows(channel: str, told: RelayState) -> list[Row]:
    """Each measure with its limits, and what of the captures lies outside; those that were breached first."""
    found: dict[str, list[tuple[int, float, float]]] = {measure: [] for measure in MEASURES}
    for item in told.captures:
        for breach in item["breaches"]:
            found[breach["field"]].append((item["minute"], breach["value"], breach["limit"]))
    rows = []
    for measure, breaches in found.items():
        limits = told.record["limits"].get(measure)
        if limits is None and not breaches:
            continue
        below = [value for _, value, limit in breaches if value < limit]
        above = [value for _, value, limit in breaches if value > limit]
        unit = UNITS[measure]
        newest = max((minute for minute, _, _ in breaches), default=None)
        cells = {
            "measure": Cell(f"{measure} {unit}".strip(), value=measure),
            "limits": Cell("none now" if limits is None else f"{limits[0]:g} to {limits[1]:g}"),
            "breaches": _count(len(breaches), "warn"),
            "minutes": _count(len({minute for minute, _, _ in breaches}), ""),
            "lowest": _value(min(below, default=None)),
            "highest": _value(max(above, default=None)),
            "newest": Cell("")
            if newest is None
            else minute_cell(newest, capture_path(channel, told.record["relay"], newest)),
        }
        rows.append(Row(cells, "warn" if breaches else ""))
    return sorted(rows, key=lambda row: -int(row.cells["breaches"].plain))


def hour_rows(statistics: Mapping[str, Any]) -> list[Row]:
    """Closed hours, the newest first."""
    return [_hour_row(hour) for hour in reversed(statistics["hours"])]


def measured_rows(statistics: Mapping[str, Any]) -> list[Row]:
    """The measures over all closed hours of the range."""
    rows = []
    for measure, told in statistics["total"]["measures"].items():
        outside = told["outside"]
        cells = {
            "measure": Cell(measure),
            "unit": Cell(UNITS.get(measure, "")),
            **{name: _value(told[name]) for name in ("min", "mean", "max")},
            "outside": Cell("no limits" if outside is None else f"{100 * outside:.2f} %", value=outside),
        }
        rows.append(Row(cells, "warn" if outside else ""))
    return rows


def relay_path(channel: str, relay: str) -> str:
    """The address of a relay's page."""
    return f"/relay/{channel}/{relay}"


def capture_path(channel: str, relay: str, minute: int) -> str:
    """The address of a capture's page."""
    return f"{relay_path(channel, relay)}/captures/{minute}"


def minute_cell(minute: int, href: str | None = None) -> Cell:
    """A minute, as UTC: a capture is of a minute of UTC, wherever its reader is."""
    return Cell(minute_text(minute), value=minute, href=href)


def short_hash(text: str) -> Cell:
    """A hash, its beginning shown."""
    return Cell(text[:12], whole=text)


def status_cell(status: str) -> Cell:
    """A verdict, in colour where it is no confirmation."""
    states: Mapping[str, State] = {"confirmed": "good", DISPUTED: "bad"}
    return Cell(status, state=states.get(status, "dim"))


def _standing(
    record: Mapping[str, Any], disputes: Sequence[Any], newest: Mapping[str, Any] | None
) -> tuple[State, str]:
    silence = record["silence"]
    if silence is not None:
        return "bad", f"silent since {minute_text(silence['from'])}: {silence['reason']}"
    if disputes:
        return "bad", f"{len(disputes)} disputed"
    return ("warn", "no capture in this time") if newest is None else ("good", "servers agree")


def _is_shown(item: Mapping[str, Any], only: str) -> bool:
    return only == ANY or (bool(item["breaches"]) if only == BREACHED else item["status"] == only)


def _capture_row(channel: str, relay: str, item: Mapping[str, Any]) -> Row:
    breaches = item["breaches"]
    cells = {
        "minute": minute_cell(item["minute"], capture_path(channel, relay, item["minute"])),
        "status": status_cell(item["status"]),
        "recorded_by": Cell(item["server"]),
        "recorded": Cell("", at_us=item["time_us"], value=item["time_us"]),
        "readings": Cell(str(item["readings"]), value=item["readings"]),
        "faults": Cell(f"{item['faults']:g}", value=item["faults"]),
        "breaches": _count(len(breaches), "warn"),
        "measures": Cell(", ".join(sorted({str(breach["field"]) for breach in breaches}))),
        "sha256": short_hash(item["record_sha256"] or item["sha256"]),
    }
    return Row(cells, "bad" if item["status"] == DISPUTED else "")


def _hour_row(hour: Mapping[str, Any]) -> Row:
    missing = sum(behind - first for first, behind in hour["gaps"])
    breaches = sum(int(told["breaches"]) for told in hour["measures"].values())
    deviation, unbalance = hour["frequency_deviation_hz"], hour["unbalance_percent"]
    cells = {
        "hour": minute_cell(hour["hour"] * _HOUR_MIN),
        "captures": _count(hour["captures"], ""),
        "disputed": _count(hour["disputed"], "bad"),
        "gap_minutes": _count(missing, "warn"),
        "faults": Cell(f"{hour['faults']:g}", value=hour["faults"]),
        "energy_mwh": _value(hour["energy_mwh"]),
        "energy_mvarh": _value(hour["energy_mvarh"]),
        "outside": _count(breaches, "warn"),
        "deviation": _value(None if deviation is None else deviation["max"]),
        "unbalance": _value(None if unbalance is None else unbalance["max"]),
    }
    return Row(cells, "bad" if hour["disputed"] else "warn" if missing else "")


def _count(number: int, state: State) -> Cell:
    return Cell(f"{number:,}", value=number, state=state if number else "")


def _value(number: float | None) -> Cell:
    return Cell("") if number is None else Cell(f"{number:.3f}", value=number)


def _names(servers: Sequence[str]) -> str:
    return ", ".join(map(str, servers)) or "none"
