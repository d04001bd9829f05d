"""The records of groups on this channel, as the contract reads them: heads, without the matrices."""

from __future__ import annotations

from typing import NoReturn

from gridledger.contract import Stub
from gridledger.contract.arguments import refuse

from . import keys
from .arguments import components_of
from .grouping import Record


def read_record(stub: Stub, group: str, field_name: str = "group") -> Record:
    """The record of a group without matrices; refused where there is none on this channel."""
    head = find_record(stub, group)
    if head is None:
        refuse_missing(group, field_name)
    return head


def find_record(stub: Stub, group: str) -> Record | None:
    """The record of a group without matrices, or None."""
    head: Record | None = stub.get_state(keys.group(group))
    return head


def component_records(stub: Stub, group: str) -> list[Record | None]:
    """The records of a merged group's components, in their order; of a single group its own."""
    return [find_record(stub, component) for component in components_of(group)]


def refuse_missing(group: str, field_name: str = "group") -> NoReturn:
    """Refuse the call because a group has no record."""
    refuse(field_name, f"group {group} has no record on this channel; a planner submits it by InitialGrouping")
