"""Rules about operators: sessions, terminals, denied logins. They read the rows of the contract ``access``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from services.case.rows import Row
from services.case.rules.finding import (
    SECOND_US,
    Finding,
    Parameter,
    Rule,
    Values,
    by,
    finding,
    listed,
    of_kinds,
    runs,
    span,
    told_us,
)

OPENED, CLOSED, DENIED = "session-opened", "session-closed", "access-denied"


def _without_logout(rows: Sequence[Row], values: Values) -> list[Finding]:
    closed = {row.session for row in of_kinds(rows, CLOSED)}
    end_us = max(map(told_us, rows), default=0)
    found = []
    for row in of_kinds(rows, OPENED):
        open_s = (end_us - told_us(row)) / SECOND_US
        if row.session not in closed and open_s > values["after_s"]:
            text = (
                f"session {row.session} of {row.operator} at {row.terminal} was opened and not closed "
                f"within {span(open_s)}"
            )
            found.append(_of_session("session-without-logout", text, row, [row]))
    return found


def _new_terminal(rows: Sequence[Row], values: Values) -> list[Finding]:
    found = []
    for _, sessions in by(of_kinds(rows, OPENED), lambda row: row.operator):
        seen: Counter[str | None] = Counter()
        for row in sessions:
            before = sum(seen.values())
            if row.terminal not in seen and before >= values["known_sessions"]:
                text = (
                    f"{row.operator} opened session {row.session} at {row.terminal}, where none of the {before} "
                    f"sessions in this name was before: those were at {listed(str(name) for name in seen)}"
                )
                found.append(_of_session("new-terminal", text, row, [row]))
            seen[row.terminal] += 1
    return found


def _suspicious(rows: Sequence[Row], values: Values) -> list[Finding]:
    """One finding for each certificate, with all of its sessions that were flagged and those that they were beside."""
    del values
    opened = {row.session: row for row in of_kinds(rows, OPENED)}
    found = []
    for _, sessions in by(opened.values(), lambda row: row.certificate):
        flagged = [row for row in sessions if "suspicious" in row.marks or row.details.get("suspicious")]
        if not flagged:
            continue
        whys = [each for row in flagged for each in _whys(row.details.get("suspicious"))]
        named = dict.fromkeys((*(row.session for row in flagged), *(other for other, _ in whys)))
        concerned = [row for row in sessions if row.session in named]
        counts = Counter(why for _, why in whys)
        told = " and ".join(f"{count} times {_IN_WORDS.get(why, why)}" for why, count in sorted(counts.items()))
        text = (
            f"the certificate of {listed(str(row.operator) for row in concerned)} was {told or 'flagged'}, at "
            f"{listed(str(row.terminal) for row in concerned)}: sessions {listed(str(name) for name in named)}"
        )
        details = {"sessions": list(named), "certificate": flagged[0].certificate}
        found.append(finding("suspicious-session", text, concerned, operator=flagged[0].operator, details=details))
    return found


_IN_WORDS: Final = {
    "two-sessions": "in two sessions at once",
    "two-terminals": "at two terminals within a minute",
}


def _whys(told: object) -> list[tuple[str, str]]:
    """(the other session, why) of each flag."""
    return [
        (each["session"], str(each.get("why")))
        for each in (told if isinstance(told, list) else [])
        if isinstance(each, dict) and isinstance(each.get("session"), str)
    ]


def _locked_out(rows: Sequence[Row], values: Values) -> list[Finding]:
    sessions = [row for _, each in by(of_kinds(rows, OPENED), lambda row: row.session) for row in each]
    ended = {row.session: told_us(row) for row in of_kinds(rows, CLOSED)}
    found = []
    for (operator, terminal), denials in by(of_kinds(rows, DENIED), lambda row: (str(row.operator), str(row.terminal))):
        for run in runs(denials, values["window_s"] * SECOND_US):
            if len(run) < values["denials"]:
                continue
            first, last = told_us(run[0]), told_us(run[-1])
            elsewhere = [
                row
                for row in sessions
                if row.operator == operator
                and row.terminal != terminal
                and told_us(row) <= last
                and ended.get(row.session, last) >= first
            ]
            if elsewhere:
                text = (
                    f"{operator} was denied {len(run)} times at {terminal} while a session in this name was open at "
                    f"{listed(str(row.terminal) for row in elsewhere)}"
                )
                about = {"operator": operator, "terminal": terminal}
                found.append(finding("locked-out", text, [*elsewhere, *run], **about))
    return found


def _of_session(rule: str, text: str, row: Row, rows: list[Row]) -> Finding:
    return finding(rule, text, rows, session=row.session, operator=row.operator, terminal=row.terminal)


RULES: Final = (
    Rule(
        "session-without-logout",
        "A session was opened and never closed, and more time went by than a shift takes.",
        _without_logout,
        (Parameter("after_s", 43_200.0, "s", "how long a session may be open", scales=True),),
        needs_all=True,
    ),
    Rule(
        "new-terminal",
        "An operator opened a session at a terminal where none of his earlier sessions was.",
        _new_terminal,
        (Parameter("known_sessions", 3.0, "sessions", "how many sessions an operator must have had before"),),
    ),
    Rule(
        "suspicious-session",
        "One certificate was in two sessions at once, or at two terminals within a minute, as the contract flagged.",
        _suspicious,
    ),
    Rule(
        "locked-out",
        "An operator was denied again and again at his terminal while a session in this name was open at another.",
        _locked_out,
        (
            Parameter("denials", 3.0, "denials", "how many denials at one terminal, one after the other"),
            Parameter("window_s", 600.0, "s", "how far apart two of them may be", scales=True),
        ),
    ),
)
