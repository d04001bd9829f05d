"""What the commands that ask the case desk share: the options of a question, and how the desk is reached."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from gridledger.cli.output import note
from gridledger.client import load_profile
from services.case.commands.network_options import add_network, add_times, identity_of, told_once
from services.case.described import investigator_identity
from services.case.desk_client import Desk, desk_url, opened_desk
from services.case.ledger import CasesLedger
from services.case.questions import BLOCK, SAID, Question, names_of, words_of

_LISTS: Final = (
    ("--channel", "channels", "NAME", "on these channels (default: all of the case's scope)"),
    ("--device", "devices", "NAME", "of these devices"),
    ("--operator", "operators", "NAME", "of these operators"),
    ("--terminal", "terminals", "NAME", "at these terminals"),
    ("--session", "sessions", "NAME", "in these sessions"),
    ("--kind", "kinds", "KIND", "of these kinds, such as alarm or session-opened"),
    ("--tx", "transactions", "ID", "of these transactions"),
)
_LEFT_OUT: Final = {
    "scope": "beyond the case's scope",
    "not_valid": "of transactions that are not valid (--not-valid shows them)",
    "told_elsewhere": "whose block is of this time, and which tell another (--by block shows them)",
    "undated": "tell no time; they come last",
    "limit": "behind these",
}
_URL: Final = re.compile(r"https://[A-Za-z0-9.:_~\[\]-]+")


def add_question(parser: argparse.ArgumentParser, *, limit: int, most: int) -> None:
    """The case, what is asked of it, and how the desk is reached."""
    parser.add_argument("case", metavar="CASE", help="the case's name; it is open and approved")
    for option, dest, metavar, what in _LISTS:
        parser.add_argument(option, dest=dest, nargs="+", metavar=metavar, help=what)
    add_times(parser)
    parser.add_argument("--text", metavar="WORDS", help="with all of these words; one with * begins so")
    parser.add_argument(
        "--by",
        choices=(SAID, BLOCK),
        default=SAID,
        help="by the time told, or that of the block (default: %(default)s)",
    )
    parser.add_argument(
        "--not-valid", action="store_true", help="those of transactions that are not valid; they are no evidence"
    )

    def count(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= most):
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
        return int(text)

    parser.add_argument(
        "--limit", type=count, default=limit, metavar="N", help="at most so many rows (default: %(default)s)"
    )
    parser.add_argument("--desk", type=_url, metavar="URL", help="where the case desk is (default: the network's)")
    add_network(parser, "the authority's investigator, enrolled if need be")


def question_of(options: argparse.Namespace) -> Question:
    """What the options ask."""
    lists: dict[str, Any] = {dest: names_of(getattr(options, dest)) for _, dest, _, _ in _LISTS}
    return Question(
        **lists,
        from_us=options.begin,
        to_us=options.end,
        words=words_of(options.text) if options.text else (),
        by=options.by,
        is_valid=not options.not_valid,
    )


@asynccontextmanager
async def asked_desk(options: argparse.Namespace) -> AsyncIterator[tuple[Desk, CasesLedger]]:
    """The desk and the contract of cases, as whom the options say."""
    profile = load_profile(options.directory)
    url = options.desk or desk_url(options.directory)
    identity = await identity_of(options, profile, investigator_identity)
    async with told_once(), opened_desk(profile, identity, url) as opened:
        yield opened


def tell_left_out(left_out: dict[str, Any] | None) -> None:
    """Say on standard error what a page does not show."""
    for name, what in _LEFT_OUT.items():
        count = (left_out or {}).get(name)
        most = (left_out or {}).get("counted_up_to")
        if left_out is not None and name in left_out and count is None:
            note(f"note: not counted, as there are too many to look at: rows {what}")
        elif count:
            note(f"note: {'at least ' if count == most else ''}{count} rows {what}")


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise argparse.ArgumentTypeError("an address such as https://127.0.0.1:5390")
    return text
