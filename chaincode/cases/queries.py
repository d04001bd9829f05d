"""Queries, for whoever reads the channel. The paged ones answer a bookmark, null at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import members, name
from gridledger.contract.paging import bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import Record, is_name
from .life import read_case

OPEN: Final = "open"
APPROVED: Final = "approved"
CLOSED: Final = "closed"


def get_case(stub: Stub, argument: Any) -> Record:
    """GetCase({case}): the record with status (open, approved or closed), approved and closed, null where it is not."""
    members(argument, "", ("case",))
    return _told(stub, read_case(stub, name(argument["case"], "case")))


def list_cases(stub: Stub, argument: Any) -> Record:
    """ListCases({limit?, bookmark?}): what GetCase answers of each, by name."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    found = entries_of(stub, keys.CASES, bookmark_of(argument, is_name, ""), limit)
    return page(((case, _told(stub, record)) for case, record in found), limit)


def list_queries(stub: Stub, argument: Any) -> Record:
    """ListQueries({case, limit?, bookmark?}): by time."""
    return _listed(stub, argument, keys.queries)


def list_findings(stub: Stub, argument: Any) -> Record:
    """ListFindings({case, limit?, bookmark?}): by time."""
    return _listed(stub, argument, keys.findings)


def _listed(stub: Stub, argument: Any, prefix_of: Callable[[str], str]) -> Record:
    members(argument, "", ("case",), ("limit", "bookmark"))
    case = read_case(stub, name(argument["case"], "case"))["case"]
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_time_and_tx, "")
    return page(entries_of(stub, prefix_of(case), start, limit), limit)


def _told(stub: Stub, record: Record) -> Record:
    approved = stub.get_state(keys.approved(record["case"]))
    closed = stub.get_state(keys.closed(record["case"]))
    status = CLOSED if closed is not None else OPEN if approved is None else APPROVED
    return {**record, "status": status, "approved": approved, "closed": closed}


def _is_time_and_tx(bookmark: str) -> bool:
    moment, _, tx_id = bookmark.partition("/")
    of_time = len(moment) == keys.TIME_DIGITS and moment.isascii() and moment.isdigit()
    return of_time and len(tx_id) == 64 and all(digit in "0123456789abcdef" for digit in tx_id)
