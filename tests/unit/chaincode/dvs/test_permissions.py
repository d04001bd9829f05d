"""Who may call what: the attributes in the caller's certificate."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import Channel, frame, record


def caller(**attributes: str) -> ClientIdentity:
    """A client with attributes grid.*."""
    return ClientIdentity("x509::/CN=c::/CN=ca", "Org1MSP", attributes={f"grid.{n}": v for n, v in attributes.items()})


PLANNER = caller(role="planner")
NOBODY = caller()
ONE = caller(role="aggregator", group="1")
TWO = caller(role="aggregator", group="2")
TEN = caller(role="aggregator", group="10")
NO_GROUP = caller(role="aggregator")
NO_ROLE = caller(group="1")
VVC = {"3": 1.0}

GROUP_CALLS: list[tuple[str, Any]] = [
    ("UpdateResources", {"group": "1", "vvc": VVC}),
    ("ComputeVSI", frame("1", TIME_US)),
    ("Lend", {"group": "1", "merge": 1}),
    ("Restore", {"group": "1", "merge": 1, "vvc": {}}),
]


def channel() -> Channel:
    """Records of groups 1 and 2 and their merge; 1 is lent to merge 1 where ``Restore`` needs it."""
    made = Channel().plan("1", "2", "1_2")
    made.call("Lend", {"group": "1", "merge": 1})
    return made


def test_records_are_the_planners() -> None:
    for wrong in (NOBODY, ONE, caller(role="Planner")):
        Channel().refused("InitialGrouping", record("1"), "grid.role", caller=wrong)
    Channel().call("InitialGrouping", record("1"), caller=PLANNER)


@pytest.mark.parametrize(("function", "argument"), GROUP_CALLS)
def test_a_group_is_its_aggregators(function: str, argument: Any) -> None:
    made = channel() if function == "Restore" else Channel().plan("1", "2", "1_2")
    for wrong, named in ((NOBODY, "grid.role"), (PLANNER, "grid.role"), (NO_ROLE, "grid.role")):
        made.refused(function, argument, named, caller=wrong)
    for wrong in (NO_GROUP, TWO, TEN, caller(role="aggregator", group="1_2")):
        made.refused(function, argument, "grid.group", caller=wrong)
    made.call(function, argument, caller=ONE)


def test_a_merged_group_is_any_components() -> None:
    made = Channel().plan("1", "2", "1_2")
    for wrong in (TEN, NO_GROUP, caller(role="aggregator", group="1_2")):
        made.refused("ComputeVSI", frame("1_2", TIME_US), "grid.group", caller=wrong)
    made.refused("ComputeVSI", frame("1_2", TIME_US), "grid.role", caller=NO_ROLE)
    made.call("ComputeVSI", frame("1_2", TIME_US), caller=ONE)
    made.call("ComputeVSI", frame("1_2", TIME_US + 1), caller=TWO)


def test_any_aggregator_may_merge_and_any_member_may_query() -> None:
    made = Channel().plan("1", "2", "1_2")
    steps: list[tuple[str, Any]] = [
        ("GlobalController", {"group": "1"}),
        ("Adopt", {"merge": 1, "group": "1", "vvc": {}, "channel": "c", "tx_id": "t"}),
        ("Adopt", {"merge": 1, "group": "2", "vvc": {}, "channel": "c", "tx_id": "t"}),
        ("Split", {"merge": 1}),
        ("Close", {"merge": 1, "group": "1", "tx_id": "t"}),
    ]
    for function, argument in steps:
        for wrong in (NOBODY, PLANNER, NO_ROLE):
            made.refused(function, argument, "grid.role", caller=wrong)
        made.call(function, argument, caller=TEN)
    for function, argument in [
        ("GetGroup", {"group": "1"}),
        ("GetResources", {"group": "1"}),
        ("GetVSI", {"group": "1", "from": 0, "to": 1}),
        ("GetActions", {"group": "1"}),
    ]:
        made.call(function, argument, caller=NOBODY)
