"""``gridledger case sessions``, ``commands`` and ``denials``: what operators did, and who was not let in."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from gridledger.cli.output import note, say_json, say_table, time_text
from services.case.callers import who
from services.case.commands.network_options import add_limit, add_network, add_times, opened_access, up_to
from services.case.commands.options import new_parser
from services.case.ledger import AccessLedger

Items = AsyncIterator[dict[str, Any]]
_Row = tuple[Any, ...]


def sessions(argv: list[str]) -> int:
    """List sessions; the exit code."""
    parser = _parser(
        "sessions",
        "List operators' sessions by when they were opened, and what is suspicious of them: one certificate in two "
        "sessions at once, or at two terminals within a minute.",
        ("sessions --operator ivan", "sessions --suspicious --from 2026-11-30T15:00Z", "sessions --open"),
        ("operator", "terminal", "section"),
    )
    parser.add_argument("--certificate", metavar="SHA256", help="opened with this certificate")
    state = parser.add_mutually_exclusive_group()
    state.add_argument("--open", dest="is_open", action="store_const", const=True, help="those that are open")
    state.add_argument("--closed", dest="is_open", action="store_const", const=False, help="those that are closed")
    parser.add_argument("--suspicious", action="store_const", const=True, help="the suspicious ones")
    columns = ("opened", "closed", "session", "operator", "terminal", "section", "suspicious", "by")
    fields = ("operator", "terminal", "section", "certificate", "is_open", "suspicious", "begin", "end")
    return _list(parser.parse_args(argv), fields, lambda ledger, wanted: ledger.sessions(**wanted), columns, _session)


def commands(argv: list[str]) -> int:
    """List commands; the exit code."""
    parser = _parser(
        "commands",
        "List what operators commanded, by time.",
        ("commands --session s-17", "commands --device breaker-7 --from 2026-11-30T15:00Z --to 2026-11-30T16:00Z"),
        ("session", "device", "operator"),
    )
    columns = ("issued", "device", "command", "value", "operator", "terminal", "session")
    fields = ("session", "device", "operator", "begin", "end")
    return _list(parser.parse_args(argv), fields, lambda ledger, wanted: ledger.commands(**wanted), columns, _command)


def denials(argv: list[str]) -> int:
    """List denied logins; the exit code."""
    parser = _parser(
        "denials",
        "List who was not let in at which terminal, by time.",
        ("denials", "denials --operator ivan"),
        ("operator", "terminal"),
    )
    fields = ("operator", "terminal", "begin", "end")
    columns = ("denied", "operator", "terminal", "why", "told by")
    return _list(parser.parse_args(argv), fields, lambda ledger, wanted: ledger.denials(**wanted), columns, _denial)


def _session(item: dict[str, Any]) -> _Row:
    closed = item["closed"]
    flags = ", ".join(f"{each['why']} with {each['session']}" for each in item["suspicious"])
    named = (item["session"], item["operator"], item["terminal"], item["section"])
    until = "open" if closed is None else time_text(closed["time_us"])
    return (time_text(item["opened_us"]), until, *named, flags or "-", who(item["by"]))


def _command(item: dict[str, Any]) -> _Row:
    told = ("device", "command", "value", "operator", "terminal", "session")
    return (time_text(item["time_us"]), *("-" if item[field] is None else item[field] for field in told))


def _denial(item: dict[str, Any]) -> _Row:
    return (time_text(item["time_us"]), item["operator"], item["terminal"], item["why"], who(item["by"]))


def _parser(
    name: str, description: str, examples: tuple[str, ...], filters: tuple[str, ...]
) -> argparse.ArgumentParser:
    parser = new_parser(name, description, examples)
    for one in filters:
        parser.add_argument(f"--{one}", metavar="NAME", help=f"of this {one}")
    add_times(parser)
    add_limit(parser)
    add_network(parser, "the network's first user")
    return parser


def _list(
    options: argparse.Namespace,
    fields: Iterable[str],
    ask: Callable[[AccessLedger, dict[str, Any]], Items],
    columns: tuple[str, ...],
    row: Callable[[dict[str, Any]], _Row],
) -> int:
    wanted = {field: getattr(options, field) for field in fields}
    items, more = asyncio.run(_run(options, wanted, ask))
    if options.as_json:
        say_json({"items": items, "more": more})
    else:
        say_table(columns, (row(item) for item in items))
    if more:
        note("note: there are more; raise --limit")
    return 0


async def _run(
    options: argparse.Namespace, wanted: dict[str, Any], ask: Callable[[AccessLedger, dict[str, Any]], Items]
) -> tuple[list[dict[str, Any]], bool]:
    async with opened_access(options) as ledger:
        return await up_to(options.limit, ask(ledger, wanted))
