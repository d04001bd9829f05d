"""Who may do what: the attributes in the caller's certificate, and the MSP that vouches for them.

Any CA of the channel can issue any attribute. So a record may name the MSPs whose attributes count for its group:
``planner_msp`` and ``aggregator_msps``. Where it names none, everybody's do. A merged group has those that its
components name, together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gridledger.contract import ClientIdentity, ContractError, Stub

from .arguments import components_of
from .grouping import Record
from .records import component_records, find_record

ROLE: Final = "grid.role"
GROUP: Final = "grid.group"
PLANNER: Final = "planner"
AGGREGATOR: Final = "aggregator"


def require_planner(stub: Stub, caller: ClientIdentity, head: Record) -> None:
    """Refuse a caller that may not submit this record: no planner, or of an MSP that is not named.

    A single group's record names the MSP of its planner itself, and so does the one that it replaces.
    """
    caller.assert_attribute_value(ROLE, PLANNER)
    group = head["id"]
    if "_" in group:
        records = [record for record in component_records(stub, group) if record is not None]
        _require_msp(caller, {record["planner_msp"] for record in records if "planner_msp" in record}, group)
        return
    for record in (find_record(stub, group), head):
        if record is not None and "planner_msp" in record:
            _require_msp(caller, {record["planner_msp"]}, group)


def require_aggregator(caller: ClientIdentity) -> None:
    """Refuse a caller that is no aggregator."""
    caller.assert_attribute_value(ROLE, AGGREGATOR)


def require_aggregator_of(caller: ClientIdentity, group: str) -> None:
    """Refuse a caller that is not the aggregator of ``group``, or of a component where ``group`` is a merged id."""
    require_aggregator(caller)
    components = components_of(group)
    for component in components[:-1]:
        try:
            caller.assert_attribute_value(GROUP, component)
        except ContractError:
            continue
        return
    caller.assert_attribute_value(GROUP, components[-1])


def require_aggregator_msp(caller: ClientIdentity, group: str, records: Iterable[Record | None]) -> None:
    """Refuse a caller of another MSP than ``records``, those of ``group``'s components, name for aggregators."""
    _require_msp(caller, {mspid for record in records if record for mspid in record.get("aggregator_msps", ())}, group)


def _require_msp(caller: ClientIdentity, named: set[str], group: str) -> None:
    if named and caller.get_mspid() not in named:
        raise ContractError(
            f"the caller's certificate must be of {' or '.join(sorted(named))}, as the records of group {group} say; "
            f"it is of {caller.get_mspid()}"
        )
