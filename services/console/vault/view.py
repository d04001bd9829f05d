"""Shard storage as the pages show it: clusters, holders, objects, reads; what failed first. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.console.listing import Cell, Column, Row, State

_RANK: Final[Mapping[State, int]] = {"bad": 0, "warn": 1}

CLUSTERS: Final = (
    Column("cluster", "cluster"),
    Column("t", "t: shares that join", numeric=True),
    Column("n", "n: active holders", numeric=True),
    Column("needed", "t + spare", numeric=True),
    Column("state", "state"),
    Column("head", "head", minor=True),
    Column("profile", "profile", minor=True),
    Column("organisation", "organisation", minor=True),
    Column("channel", "channel", minor=True),
)
HOLDERS: Final = (
    Column("holder", "holder"),
    Column("state", "state"),
    Column("cluster", "cluster"),
    Column("suspected_by", "suspected by"),
    Column("reason", "why"),
    Column("role", "role", minor=True),
    Column("organisation", "organisation", minor=True),
    Column("url", "at", minor=True),
)
OBJECTS: Final = (
    Column("object", "object"),
    Column("state", "state"),
    Column("live", "live holders", numeric=True),
    Column("needed", "t + spare", numeric=True),
    Column("t", "t", numeric=True),
    Column("n", "n", numeric=True),
    Column("readable", "can be read"),
    Column("reshare", "reshare"),
    Column("cluster", "cluster"),
    Column("version", "version", numeric=True, minor=True),
    Column("bytes", "bytes", numeric=True, minor=True),
    Column("put", "put at", minor=True),
)
SHARES: Final = (
    Column("holder", "holder"),
    Column("state", "state"),
    Column("audit", "last audit"),
    Column("passed", "passed", numeric=True),
    Column("failed", "failed", numeric=True),
    Column("unanswered", "unanswered", numeric=True),
    Column("left", "left", numeric=True, minor=True),
    Column("repairs", "repairs", numeric=True),
)
READS: Final = (
    Column("granted", "granted at"),
    Column("by", "by"),
    Column("certificate", "certificate"),
    Column("purpose", "purpose"),
    Column("version", "version", numeric=True),
    Column("until", "holders served until", minor=True),
    Column("grant", "grant"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a channel's vault has: clusters, holders with ``suspicions``, those that wait, objects with their health."""

    channel: str
    clusters: Sequence[Mapping[str, Any]]
    holders: Sequence[Mapping[str, Any]]
    joins: Sequence[Mapping[str, Any]]
    objects: Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]]


def failed_first(rows: Iterable[Row]) -> list[Row]:
    """What is bad, then what is marked, then all else; each in the order in which it came."""
    return sorted(rows, key=lambda row: _RANK.get(row.state, len(_RANK)))


def cluster_rows(told: Stored) -> list[Row]:
    """Clusters, those with too few active holders first."""
    rows = []
    for cluster in told.clusters:
        named = cluster["cluster"]
        active = [one for one in told.holders if one["cluster"] == named and one["active"]]
        heads = named == "heads"
        needed = cluster["t"] + cluster["spare"]
        short = len(active) < needed and not heads
        lost = len(active) < cluster["t"] and not heads
        text = "fewer than t active" if lost else "no spare left" if short else "enough are active"
        state: State = "bad" if lost else "warn" if short else "good"
        cells = {
            "cluster": Cell(named),
            "t": _number(cluster["t"]),
            "n": Cell("the heads of all others", value=None) if heads else _number(len(active)),
            "needed": _number(needed),
            "state": Cell("" if heads else text, state="" if heads else state),
            "head": Cell(cluster["head"] or ""),
            "profile": Cell(cluster["profile"]),
            "organisation": Cell(cluster["mspid"]),
            "channel": Cell(told.channel),
        }
        rows.append(Row(cells, state if short else ""))
    return failed_first(rows)


def holder_rows(told: Stored) -> list[Row]:
    """Holders: revoked and suspected ones first, then those that wait, then all others."""
    known = {one["holder"] for one in told.holders}
    rows = [_holder_row(one, *_state_of(one)) for one in told.holders]
    waiting = ((one, "joins again" if one["holder"] in known else "joined, waits to be admitted") for one in told.joins)
    rows += [_holder_row(one, text, "warn") for one, text in waiting]
    return failed_first(rows)


def object_rows(told: Stored) -> list[Row]:
    """Objects: those that cannot be read first, then those with fewer live holders than they should have."""
    return failed_first(_object_row(told.channel, *one) for one in told.objects)


def share_rows(health: Mapping[str, Any]) -> list[Row]:
    """The holders of one object, those that cannot be counted on first."""
    rows = []
    for one in health["holders"]:
        faults = [word for word, is_so in _faults(one) if is_so]
        audits, last = one["audits"], one["audits"]["last"]
        outcome = "none yet" if last is None else last["outcome"]
        if last is not None and last["finding"]:
            outcome += f", {last['finding']}"
        cells = {
            "holder": Cell(one["holder"]),
            "state": Cell("live" if one["live"] else ", ".join(faults) or "audit not passed", state=_good(one["live"])),
            "audit": Cell(outcome, state="" if last is None or last["outcome"] == "passed" else "bad"),
            **{name: _number(audits[name]) for name in ("passed", "failed", "unanswered", "left")},
            "repairs": _number(one["repairs"]),
        }
        rows.append(Row(cells, "" if one["live"] else "bad"))
    return failed_first(rows)


def read_rows(channel: str, reads: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Who was granted a read, when and why, the newest first."""
    rows = []
    for item in sorted(reads, key=lambda one: -int(one["granted_us"])):
        reader = item["reader"]
        cells = {
            "granted": Cell("", at_us=item["granted_us"], value=item["granted_us"]),
            "by": Cell(f"{reader['holder']} of {reader['mspid']}" if reader["holder"] else reader["mspid"]),
            "certificate": Cell(reader["certificate"][:16], whole=reader["certificate"]),
            "purpose": Cell(item["purpose"]),
            "version": _number(item["version"]),
            "until": Cell("", at_us=item["until_us"], value=item["until_us"]),
            "grant": Cell(
                item["read"][:12], href=f"/channels/{channel}/transactions/{item['read']}", whole=item["read"]
            ),
        }
        rows.append(Row(cells))
    return rows


def object_facts(manifest: Mapping[str, Any], health: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """What stands above an object: its manifest in short. The shares themselves never stand on the ledger."""
    meta = ", ".join(f"{name}={value}" for name, value in sorted(manifest["meta"].items())) if manifest["meta"] else ""
    enough = f"{health['live']} of {health['n']}; {health['t']} join, {health['needed']} are wanted"
    facts = [
        ("state", Cell(manifest["status"], state="good" if manifest["status"] == "stored" else "warn")),
        ("live holders", Cell(enough, state=_health_state(health) or "good")),
        ("reshare", Cell("due: a holder was revoked, or has another id" if health["reshare_due"] else "not due")),
        ("version", Cell(f"{manifest['version']} of {manifest['newest']}")),
        ("cluster", Cell(f"{manifest['cluster']}, layer {manifest['layer']}")),
        ("profile", Cell(manifest["profile"])),
        ("cycle", Cell(str(manifest["cycle"]))),
        ("bytes", _number(manifest["length"])),
        ("who may read", Cell(manifest["readers"])),
        ("put by", Cell(str(manifest["owner"]["mspid"]))),
        ("put at", Cell("", at_us=manifest["time_us"])),
        ("notes", Cell(meta or "none")),
    ]
    if manifest["abandoned"] is not None:
        facts.insert(1, ("abandoned", Cell(manifest["abandoned"]["reason"], state="bad")))
    return facts


def object_path(channel: str, name: str) -> str:
    """The address of an object's page."""
    return f"/vault/{channel}/{name}"


def _state_of(holder: Mapping[str, Any]) -> tuple[str, State]:
    if holder["revoked"] is not None:
        return "revoked", "bad"
    if holder["suspicions"]:
        return "suspected", "bad"
    return ("active", "good") if holder["active"] else ("admitted, from the next cycle", "")


def _holder_row(holder: Mapping[str, Any], text: str, state: State) -> Row:
    revoked, suspicions = holder.get("revoked"), holder.get("suspicions") or ()
    reasons = [str(each["reason"]) for each in suspicions]
    if revoked is not None:
        reasons.insert(0, str(revoked["reason"]))
    cells = {
        "holder": Cell(holder["holder"]),
        "state": Cell(text, state=state),
        "cluster": Cell(holder["cluster"]),
        "suspected_by": Cell(", ".join(str(each["by"]) for each in suspicions)),
        "reason": Cell("; ".join(reasons)),
        "role": Cell(str(holder.get("role", ""))),
        "organisation": Cell(holder["mspid"]),
        "url": Cell(holder["url"]),
    }
    return Row(cells, state if state in ("bad", "warn") else "")


def _object_row(channel: str, record: Mapping[str, Any], health: Mapping[str, Any] | None) -> Row:
    name = str(record["object"])
    cells = {
        "object": Cell(name, href=object_path(channel, name)),
        "cluster": Cell(record["cluster"]),
        "version": _number(record["version"]),
        "bytes": _number(record["length"]),
        "put": Cell("", at_us=record["time_us"], value=record["time_us"]),
    }
    if health is None:
        cells["state"] = Cell("abandoned", state="dim")
        return Row(cells)
    state = _health_state(health)
    cells |= {
        "state": Cell(health["status"], state="good" if health["status"] == "stored" else "warn"),
        **{field: _number(health[field]) for field in ("needed", "t", "n")},
        "live": Cell(str(health["live"]), value=health["live"], state=state),
        "readable": Cell("yes" if health["readable"] else "NO", state=_good(health["readable"])),
        "reshare": Cell("due" if health["reshare_due"] else "", state="warn" if health["reshare_due"] else ""),
    }
    return Row(cells, state)


def _health_state(health: Mapping[str, Any]) -> State:
    if not health["readable"]:
        return "bad"
    return "" if health["enough"] and health["status"] == "stored" and not health["reshare_due"] else "warn"


def _faults(one: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    return (
        ("revoked", one["revoked"]),
        ("served a bad share", one["bad"]),
        ("has another id", one["id_changed"]),
        ("deleted", one["deleted"]),
        ("not acknowledged", not one["acked"]),
    )


def _good(is_so: bool) -> State:
    return "good" if is_so else "bad"


def _number(number: int) -> Cell:
    return Cell(f"{number:,}", value=number)
