"""``gridledger case search`` and ``timeline``: rows of a case, each question on the ledger before its answer."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any, Final

from gridledger.cli.output import say_json, say_table, time_text
from services.case.commands.asking import add_question, asked_desk, question_of, tell_left_out
from services.case.commands.options import new_parser
from services.case.desk_client import RowsPage
from services.case.questions import SEARCH, TIMELINE
from services.case.rows import Row
from services.case.timeline import marks_of, who

_MOST: Final = 100_000


def search(argv: list[str]) -> int:
    """Search; the exit code."""
    parser = new_parser(
        "search",
        "Find what devices and operators left on the ledger, within a case's scope. The question is a transaction, "
        "Query, before it is answered; the answer comes from the case desk.",
        (
            "search 2026-17 --device line-relay-1 --kind command alarm",
            "search 2026-17 --text 'breaker opened*' --from 2026-11-30T15:00Z --to 2026-11-30T16:00Z --json",
        ),
    )
    add_question(parser, limit=100, most=_MOST)
    options = parser.parse_args(argv)
    columns = ("told", "kind", "who", "marks", "place", "transaction", "text")
    return _show(options, SEARCH, columns, _found)


def timeline(argv: list[str]) -> int:
    """Show a timeline; the exit code."""
    parser = new_parser(
        "timeline",
        "Show what happened in order: by the time told, with the block's time beside it, and what is doubtful marked. "
        "What tells no time comes last.",
        ("timeline 2026-17 --from 2026-11-30T15:00Z --to 2026-11-30T16:00Z", "timeline 2026-17 --by block --json"),
    )
    add_question(parser, limit=1000, most=_MOST)
    options = parser.parse_args(argv)
    columns = ("told", "block", "marks", "kind", "who", "session", "place")
    return _show(options, TIMELINE, columns, _happened)


def _show(options: argparse.Namespace, purpose: str, columns: Sequence[str], line: Any) -> int:
    pages = asyncio.run(_run(options, purpose))
    rows = [row for page in pages for row in page.rows]
    if options.as_json:
        say_json(
            {
                "case": options.case,
                "items": [row.to_dict() for row in rows],
                "more": pages[-1].bookmark is not None,
                "left_out": pages[0].left_out,
                "read_to": pages[-1].read_to,
                "queries": [page.query for page in pages],
            }
        )
    else:
        say_table(columns, map(line, rows))
    tell_left_out(_behind(pages))
    return 0


async def _run(options: argparse.Namespace, purpose: str) -> list[RowsPage]:
    question = question_of(options)
    async with asked_desk(options) as (desk, _):
        return [page async for page in desk.pages(options.case, purpose, question, options.limit)]


def _behind(pages: Sequence[RowsPage]) -> dict[str, Any] | None:
    """What the first page tells, ``limit`` as it is behind all of them."""
    told = pages[0].left_out
    if told is None or told["limit"] is None or told["limit"] == told["counted_up_to"]:
        return told
    shown = sum(len(page.rows) for page in pages[1:])
    return {**told, "limit": max(0, told["limit"] - shown)}


def _found(row: Row) -> tuple[Any, ...]:
    return (_time(row.said_us), row.kind, who(row), marks_of(row), _place(row), row.tx_id[:16], row.text)


def _happened(row: Row) -> tuple[Any, ...]:
    return (
        _time(row.said_us),
        time_text(row.block_us),
        marks_of(row),
        row.kind,
        who(row),
        row.session or "",
        _place(row),
    )


def _place(row: Row) -> str:
    return f"{row.channel} {row.block}/{row.position}"


def _time(time_us: int | None) -> str:
    return "-" if time_us is None else time_text(time_us)
