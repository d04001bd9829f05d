"""One capture as its page shows it: the text beside its readings, who said the same, and what others said. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from gridledger.field.capture import MEASURES, UNITS
from services.console.listing import Cell, Column, Row
from services.console.relay.view import DISPUTED, failed_first, minute_cell, relay_path, short_hash, status_cell

READINGS: Final = (
    Column("time", "relay's time"),
    *(Column(measure, f"{measure} {UNITS[measure]}".strip(), numeric=True) for measure in MEASURES),
)
ATTESTATIONS: Final = (
    Column("server", "server"),
    Column("said", "what it was told"),
    Column("at", "at"),
    Column("sha256", "SHA-256"),
)
MAX_LINES: Final = 60
"""Most lines of a text that differ which a page shows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A server was told another text: the lines that differ as (number, line of the capture, its line)."""

    server: str
    lines: Sequence[tuple[int, str, str]]
    more: int


def facts(channel: str, capture: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """What stands above the text."""
    verdict, record, relay = capture["verdict"], capture["record"], str(capture["relay"])
    return [
        ("relay", Cell(relay, href=relay_path(channel, relay))),
        ("minute (UTC)", minute_cell(capture["minute"])),
        ("verdict", status_cell("open" if verdict is None else verdict["status"])),
        ("recorded by", Cell(str(capture["server"]))),
        ("recorded at", Cell("", at_us=capture["time_us"])),
        (
            "transaction",
            Cell(
                capture["tx_id"][:12],
                href=f"/channels/{channel}/transactions/{capture['tx_id']}",
                whole=capture["tx_id"],
            ),
        ),
        ("text of record", Cell("none yet") if record is None else Cell(f"that of {record['server']}")),
        ("SHA-256 of the text", short_hash(capture["sha256"])),
        ("source", Cell(f"{capture['source']['protocol']}, what was delivered: {capture['source']['sha256'][:12]}")),
        ("openings caused by faults", Cell(f"{capture['faults']:g}")),
        ("under the record's revision", Cell(str(capture["revision"]))),
    ]


def reading_rows(told: Mapping[str, Any]) -> list[Row]:
    """The readings of a text, the values outside limits marked with the limit."""
    limits = {(breach["reading"], breach["field"]): breach["limit"] for breach in told["breaches"]}
    rows = []
    for number, reading in enumerate(told["readings"]):
        cells = {"time": Cell(str(reading["time"]).replace("T", " "))}
        for measure in MEASURES:
            limit = limits.get((number, measure))
            value = reading[measure]
            if limit is None:
                cells[measure] = Cell(f"{value:g}", value=value)
            else:
                cells[measure] = Cell(f"{value:g} {'<' if value < limit else '>'} {limit:g}", value=value, state="warn")
        rows.append(Row(cells))
    return rows


def attestation_rows(capture: Mapping[str, Any], servers: Sequence[str]) -> list[Row]:
    """Who was told what, those against the text of record first; servers that have not spoken last."""
    verdict = capture["verdict"]
    against = () if verdict is None else verdict["against"]
    winner = {"server": capture["server"], "sha256": capture["sha256"], "time_us": capture["time_us"], "match": True}
    spoken = [winner, *capture["attestations"]]
    rows = []
    for item in spoken:
        server = str(item["server"])
        said = "recorded it" if item is winner else "the same text" if item["match"] else "ANOTHER text"
        wrong = not item["match"] or server in against
        if server in against and verdict["status"] != DISPUTED:
            said += ", outvoted"
        cells = {
            "server": Cell(server),
            "said": Cell(said, state="bad" if wrong else "good"),
            "at": Cell("", at_us=item["time_us"]),
            "sha256": short_hash(item["sha256"]),
        }
        rows.append(Row(cells, "bad" if wrong else ""))
    told = {item["server"] for item in spoken}
    silent = [server for server in servers if server not in told]
    return [*failed_first(rows), *(Row({"server": Cell(one), "said": Cell("nothing yet")}) for one in silent)]


def differences(capture: Mapping[str, Any]) -> list[Difference]:
    """What the servers were told that were told something else, line by line."""
    own = capture["text"].splitlines()
    found = []
    for item in capture["attestations"]:
        text = item.get("text")
        if text is None:
            continue
        lines = [
            (number, one, other)
            for number, (one, other) in enumerate(zip_longest(own, text.splitlines(), fillvalue=""), start=1)
            if one != other
        ]
        found.append(Difference(str(item["server"]), lines[:MAX_LINES], max(0, len(lines) - MAX_LINES)))
    return found
