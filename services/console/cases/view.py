"""Cases as the pages show them. No I/O."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final

from gridledger.protocol.codes import CODES, TxValidationCode
from services.console.cases.basket import Item
from services.console.listing import Cell, Column, Row, State

OPEN, APPROVED, CLOSED = "open", "approved", "closed"
_STATES: Final[Mapping[str, State]] = {OPEN: "warn", APPROVED: "good", CLOSED: "dim"}
_ORDER: Final = (OPEN, APPROVED, CLOSED)
_NAME: Final = re.compile(r"x509::/?CN=((?:\\.|[^,:\\])+)")

CASES: Final = (
    Column("case", "case"),
    Column("state", "state"),
    Column("purpose", "purpose"),
    Column("channels", "channels"),
    Column("from", "from", minor=True),
    Column("to", "to", minor=True),
    Column("opened_by", "opened by"),
    Column("approved_by", "approved by"),
    Column("closed_by", "closed by", minor=True),
    Column("seen_as", "seen as", minor=True),
)
QUERIES: Final = (
    Column("at", "asked at"),
    Column("by", "by"),
    Column("text", "question"),
    Column("transaction", "transaction"),
)
FINDINGS: Final = (
    Column("at", "recorded at"),
    Column("title", "title"),
    Column("package", "package's SHA-256"),
    Column("disclosed", "transactions that it discloses besides", numeric=True),
    Column("by", "by"),
    Column("transaction", "transaction"),
)
BASKET: Final = (Column("channel", "channel"), Column("transaction", "transaction"))
ROWS: Final = (
    Column("said", "time told"),
    Column("kind", "kind"),
    Column("who", "who"),
    Column("marks", "doubtful"),
    Column("block_time", "block's time", minor=True),
    Column("place", "block"),
    Column("transaction", "transaction"),
    Column("text", "what was said"),
)
LEFT_OUT: Final[Mapping[str, str]] = {
    "scope": "beyond the case's scope",
    "not_valid": "of transactions that are not valid",
    "told_elsewhere": "whose block is of this time, and which tell another",
    "undated": "tell no time; they come last",
    "limit": "behind this page",
}


def who(by: Mapping[str, Any]) -> str:
    """A caller, {mspid, id, ...}, as ``olha@KyivMSP``; by the whole id where that has no name of its own."""
    found = _NAME.match(str(by["id"]))
    return f"{by['id'] if found is None else found.group(1)}@{by['mspid']}"


def case_rows(told: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[Row]:
    """Cases as (channel, seen as, GetCase): those that wait for approval first, closed ones last, then the newest."""
    ordered = sorted(told, key=lambda one: (_ORDER.index(one[2]["status"]), -int(one[2]["opened_us"])))
    return [_case_row(*one) for one in ordered]


def case_facts(case: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """What stands above a case."""
    scope = case["scope"]
    facts = [
        ("state", Cell(case["status"], state=_STATES[case["status"]])),
        ("purpose", Cell(case["purpose"])),
        ("channels", Cell(", ".join(scope["channels"]))),
        ("from", Cell("", at_us=scope["from_us"])),
        ("to", Cell("", at_us=scope["to_us"])),
        *((name, Cell(", ".join(scope[name]) if scope[name] else "all")) for name in ("devices", "operators", "kinds")),
        ("opened by", Cell(who(case["by"]))),
        ("opened at", Cell("", at_us=case["opened_us"])),
    ]
    for what in (APPROVED, CLOSED):
        if case[what] is not None:
            facts += [
                (f"{what} by", Cell(who(case[what]["by"]))),
                (f"{what} at", Cell("", at_us=case[what]["time_us"])),
            ]
    if case[CLOSED] is not None and case[CLOSED]["reason"]:
        facts.append(("reason", Cell(case[CLOSED]["reason"])))
    return facts


def query_rows(channel: str, queries: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What was asked, the newest first."""
    return [
        Row(
            {
                "at": Cell("", at_us=item["time_us"]),
                "by": Cell(who(item["by"])),
                "text": Cell(item["text"]),
                "transaction": transaction_cell(channel, item["tx"]),
            }
        )
        for item in reversed(queries)
    ]


def finding_rows(channel: str, findings: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What was found, the newest first."""
    rows = []
    for item in reversed(findings):
        disclosed = sum(len(each["transactions"]) for each in item["disclosed"])
        cells = {
            "at": Cell("", at_us=item["time_us"]),
            "title": Cell(item["title"]),
            "package": Cell(item["package_sha256"][:16], whole=item["package_sha256"]),
            "disclosed": Cell(f"{disclosed:,}", value=disclosed),
            "by": Cell(who(item["by"])),
            "transaction": transaction_cell(channel, item["tx"]),
        }
        rows.append(Row(cells))
    return rows


def basket_rows(items: Iterable[Item], reads: Container[str]) -> list[Row]:
    """What is in a basket; ``reads`` are the channels whose pages the viewer may see."""
    return [
        Row({"channel": Cell(item.channel), "transaction": transaction_cell(item.channel, item.tx_id, reads)})
        for item in items
    ]


def desk_rows(rows: Iterable[Mapping[str, Any]], reads: Container[str]) -> list[Row]:
    """Rows of a case desk, in its order; what is doubtful or not valid is marked. ``reads`` as of baskets."""
    return [_desk_row(row, reads) for row in rows]


def items_in(rows: Iterable[Mapping[str, Any]]) -> list[Item]:
    """The transactions of a case desk's rows, row by row."""
    return [Item(str(row["channel"]), str(row["tx_id"])) for row in rows]


def left_out(told: Mapping[str, Any] | None) -> list[str]:
    """What a page does not show, in words."""
    lines = []
    for name, what in LEFT_OUT.items():
        if told is None or name not in told:
            continue
        count, most = told[name], told["counted_up_to"]
        if count is None:
            lines.append(f"not counted, as there are too many to look at: rows {what}")
        elif count:
            lines.append(f"{count:,}{' or more' if count == most else ''} rows {what}")
    return lines


def transaction_cell(channel: str, tx_id: str, reads: Container[str] | None = None) -> Cell:
    """A transaction, its id's beginning shown; a link where the channel is read (``reads`` as of baskets, or all)."""
    href = f"/channels/{channel}/transactions/{tx_id}"
    return Cell(tx_id[:12], href=href if reads is None or channel in reads else None, whole=tx_id)


def case_path(channel: str, case: str) -> str:
    """The address of a case's page."""
    return f"/cases/{channel}/{case}"


def _case_row(channel: str, seen_as: str, case: Mapping[str, Any]) -> Row:
    scope, approved, closed = case["scope"], case[APPROVED], case[CLOSED]
    state = _STATES[case["status"]]
    cells = {
        "case": Cell(case["case"], href=case_path(channel, case["case"])),
        "state": Cell("waits for approval" if case["status"] == OPEN else case["status"], state=state),
        "purpose": Cell(case["purpose"]),
        "channels": Cell(", ".join(scope["channels"])),
        "from": Cell("", at_us=scope["from_us"], value=scope["from_us"]),
        "to": Cell("", at_us=scope["to_us"], value=scope["to_us"]),
        "opened_by": Cell(who(case["by"])),
        "approved_by": Cell("" if approved is None else who(approved["by"])),
        "closed_by": Cell("" if closed is None else who(closed["by"])),
        "seen_as": Cell(seen_as),
    }
    return Row(cells, "warn" if case["status"] == OPEN else "")


def _desk_row(row: Mapping[str, Any], reads: Container[str]) -> Row:
    is_valid = row["code"] == TxValidationCode.VALID
    marks = [f"{name} {number}" for name, number in sorted(row["marks"].items())]
    if not is_valid:
        known = CODES.get(row["code"])
        marks.insert(0, f"NOT VALID ({row['code'] if known is None else known.name})")
    operator, terminal = row["operator"], row["terminal"]
    person = f"{operator} at {terminal}" if operator and terminal else operator or terminal
    channel, block = str(row["channel"]), row["block"]
    said = row["said_us"]
    cells = {
        "said": Cell("tells none") if said is None else Cell("", at_us=said, value=said),
        "kind": Cell(str(row["kind"])),
        "who": Cell(", ".join(part for part in (row["device"], person) if part)),
        "marks": Cell(", ".join(marks), state="warn" if is_valid and marks else "" if is_valid else "bad"),
        "block_time": Cell("", at_us=row["block_us"], value=row["block_us"]),
        "place": Cell(
            f"{channel} {block}/{row['position']}",
            href=f"/channels/{channel}/blocks/{block}" if channel in reads else None,
        ),
        "transaction": transaction_cell(channel, str(row["tx_id"]), reads),
        "text": Cell(str(row["text"])),
    }
    return Row(cells, "" if is_valid else "bad")
