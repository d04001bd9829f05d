"""Who may do what: the attributes that an organisation's CA has put into the caller's certificate."""

from __future__ import annotations

from typing import Final

from gridledger.contract import ClientIdentity, ContractError

from .arguments import components_of

ROLE: Final = "grid.role"
GROUP: Final = "grid.group"
PLANNER: Final = "planner"
AGGREGATOR: Final = "aggregator"


def require_planner(caller: ClientIdentity) -> None:
    """Refuse a caller that is no planner."""
    caller.assert_attribute_value(ROLE, PLANNER)


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
