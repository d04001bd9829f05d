"""The rows of a case as rules and reports want them: read from the desk, page after page, and examined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.case.desk_client import Desk
from services.case.ledger import CasesLedger
from services.case.questions import Question, Scope
from services.case.rows import Row
from services.case.rules.catalogue import Examined, examine
from services.case.rules.finding import Rule
from services.case.rules.metering import Feeders

_NARROWING = ("devices", "operators", "terminals", "sessions", "kinds", "transactions")


@dataclass(slots=True)
class Read:
    """What the desk answered: the rows in order, what was left out by why, the Queries that it stands behind. ``case``
    is the case's record. ``narrowed``: the rows are of some devices, operators or kinds alone."""

    case: Mapping[str, Any]
    narrowed: bool
    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, int | None] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)


async def read_case(
    desk: Desk, ledger: CasesLedger, case: str, purpose: str, question: Question, *, most: int
) -> Read:  # fmt: skip
    """At most so many rows of a case, those of invalid transactions behind the others: one rule is about them."""
    record = await ledger.get_case(case)
    scope = Scope.of(record)
    narrowed = any((getattr(question, name) is not None) for name in _NARROWING) or bool(question.words)
    narrowed = narrowed or any(each is not None for each in (scope.devices, scope.operators, scope.kinds))
    read = Read(record, narrowed)
    async for page in desk.pages(case, purpose, question, most):
        read.rows += page.rows
        read.queries.append(page.query)
        if page.left_out is not None:
            read.left_out = {name: count for name, count in page.left_out.items() if name != "counted_up_to"}
    return read


def examined(
    read: Read,
    *,
    feeders: Feeders | None = None,
    more: Sequence[Rule] = (),
    parameters: Mapping[str, Mapping[str, float]] | None = None,
) -> Examined:
    """What the rules find in these rows."""
    return examine(read.rows, feeders=feeders, more=more, parameters=parameters, narrowed=read.narrowed)
