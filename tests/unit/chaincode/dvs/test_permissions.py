"""Who may call what: the attributes in the caller's certificate."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import Channel, frame, record


def caller(mspid: str = "Org1MSP", **attributes: str) -> ClientIdentity:
    """A client with attributes grid.*."""
    return ClientIdentity("x509::/CN=c::/CN=ca", mspid, attributes={f"grid.{n}": v for n, v in attributes.items()})


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


MERGE_STEPS: list[tuple[str, Any]] = [
    ("GlobalController", {"group": "1"}),
    ("Adopt", {"merge": 1, "group": "1", "vvc": {}, "channel": "c", "tx_id": "t"}),
    ("Adopt", {"merge": 1, "group": "2", "vvc": {}, "channel": "c", "tx_id": "t"}),
    ("Split", {"merge": 1}),
    ("Close", {"merge": 1, "group": "1", "tx_id": "t"}),
]


def test_a_merge_is_its_components_aggregators() -> None:
    made = Channel().plan("1", "2", "1_2")
    for function, argument in MERGE_STEPS:
        for wrong in (NOBODY, PLANNER, NO_ROLE):
            made.refused(function, argument, "grid.role", caller=wrong)
        for wrong in (TEN, NO_GROUP, caller(role="aggregator", group="1_2")):
            made.refused(function, argument, "grid.group", caller=wrong)
        made.call(function, argument, caller=ONE if function == "GlobalController" else TWO)


def test_a_merged_group_escalates_by_its_components_aggregators() -> None:
    made = Channel().plan("1", "2", "3", "1_2", "1_2_3")
    for function, argument in MERGE_STEPS[:3]:
        made.call(function, argument, caller=ONE)
    made.refused("GlobalController", {"group": "1_2"}, "grid.group", caller=TEN)
    assert made.call("GlobalController", {"group": "1_2"}, caller=TWO)["group"] == "1_2_3"


def test_a_stranger_cannot_adopt_what_nobody_lent() -> None:
    made = Channel().plan("1", "2", "1_2")
    made.call("GlobalController", {"group": "1"}, caller=ONE)
    forged = {"merge": 1, "group": "2", "vvc": {"6": 1e6}, "channel": "c", "tx_id": "t"}
    made.refused("Adopt", forged, "grid.group", caller=TEN)
    assert made.stored("merge/1")["components"]["2"] == {"status": "asked"}


def test_any_member_may_query() -> None:
    made = Channel().plan("1", "2", "1_2")
    for function, argument in [
        ("GetGroup", {"group": "1"}),
        ("GetResources", {"group": "1"}),
        ("GetVSI", {"group": "1", "from": 0, "to": 1}),
        ("GetActions", {"group": "1"}),
    ]:
        made.call(function, argument, caller=NOBODY)


# A record may name the MSPs whose attributes count.

NAMED: dict[str, Any] = {"planner_msp": "Org1MSP", "aggregator_msps": ["Org1MSP", "Org2MSP"]}
FOREIGN_PLANNER = caller("EveMSP", role="planner")


def foreign(group: str) -> ClientIdentity:
    """An aggregator whom another CA has given the right attributes."""
    return caller("EveMSP", role="aggregator", group=group)


def named(*groups: str, **changes: Any) -> Channel:
    """Records of these groups that name MSPs, and of the merge of 1 and 2."""
    made = Channel()
    for group in groups:
        made.call("InitialGrouping", record(group, **(NAMED | changes)), caller=PLANNER)
    made.call("InitialGrouping", record("1_2"), caller=PLANNER)
    return made


def test_a_record_is_submitted_by_the_planner_that_it_names() -> None:
    Channel().refused("InitialGrouping", record("1", planner_msp="Org1MSP"), "Org1MSP", caller=FOREIGN_PLANNER)
    Channel().call("InitialGrouping", record("1", planner_msp="EveMSP"), caller=FOREIGN_PLANNER)


def test_a_record_is_replaced_by_the_planner_that_it_names() -> None:
    made = named("1")
    for replacement in (record("1"), record("1", planner_msp="EveMSP"), record("1", **NAMED)):
        made.refused("InitialGrouping", replacement, "Org1MSP", caller=FOREIGN_PLANNER)
    made.refused("InitialGrouping", record("1", planner_msp="EveMSP"), "EveMSP", caller=PLANNER)
    made.call("InitialGrouping", record("1"), caller=PLANNER)
    made.call("InitialGrouping", record("1"), caller=FOREIGN_PLANNER)


def test_a_merged_record_is_of_a_planner_whom_a_component_names() -> None:
    made = Channel()
    made.call("InitialGrouping", record("1", planner_msp="Org1MSP"), caller=PLANNER)
    made.call("InitialGrouping", record("2", planner_msp="Org2MSP"), caller=caller("Org2MSP", role="planner"))
    made.refused("InitialGrouping", record("1_2"), "Org1MSP or Org2MSP", caller=FOREIGN_PLANNER)
    for mspid in ("Org1MSP", "Org2MSP"):
        made.call("InitialGrouping", record("1_2"), caller=caller(mspid, role="planner"))


def test_a_merged_record_names_no_msps() -> None:
    for name, value in NAMED.items():
        Channel().refused("InitialGrouping", record("1_2", **{name: value}), name)


@pytest.mark.parametrize(("function", "argument"), GROUP_CALLS)
def test_a_group_is_the_aggregators_of_its_msps(function: str, argument: Any) -> None:
    made = named("1", "2")
    if function == "Restore":
        made.call("Lend", {"group": "1", "merge": 1}, caller=ONE)
    made.refused(function, argument, "EveMSP", "Org1MSP or Org2MSP", caller=foreign("1"))
    made.refused(function, argument, "SimulateMSP")
    made.call(function, argument, caller=caller("Org2MSP", role="aggregator", group="1"))


def test_a_merge_is_the_aggregators_of_its_components_msps() -> None:
    made = named("1", aggregator_msps=["Org1MSP"])
    made.call("InitialGrouping", record("2", aggregator_msps=["Org2MSP"]), caller=PLANNER)
    for function, argument in MERGE_STEPS:
        made.refused(function, argument, "EveMSP", caller=foreign("1"))
        made.call(function, argument, caller=ONE)
    other = caller("Org2MSP", role="aggregator", group="2")
    made.refused("ComputeVSI", frame("1_2", TIME_US), "Org1MSP or Org2MSP", caller=foreign("2"))
    made.call("ComputeVSI", frame("1_2", TIME_US), caller=other)
    made.refused("GlobalController", {"group": "1"}, "Org1MSP", caller=caller("Org2MSP", role="aggregator", group="1"))


def test_a_component_that_names_msps_counts_for_the_whole_merge() -> None:
    made = named("1").plan("2")
    made.refused("ComputeVSI", frame("1_2", TIME_US), "Org1MSP", caller=foreign("2"))
    made.call("ComputeVSI", frame("1_2", TIME_US), caller=TWO)


def test_a_published_merge_has_its_components_msps_too() -> None:
    made = Channel()
    made.call("InitialGrouping", record("1", "published", aggregator_msps=["Org1MSP"]), caller=PLANNER)
    made.plan("2", "1_2", profile="published")
    made.refused("ComputeVSI", frame("1_2", TIME_US), "Org1MSP", caller=foreign("2"))
    made.call("ComputeVSI", frame("1_2", TIME_US), caller=TWO)


def test_named_msps_are_told_where_they_were_given() -> None:
    made = named("1").plan("2")
    assert made.call("GetGroup", {"group": "1"}).items() >= NAMED.items()
    for group in ("2", "1_2"):
        assert made.call("GetGroup", {"group": group}).keys().isdisjoint(NAMED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("planner_msp", 7),
        ("planner_msp", ""),
        ("planner_msp", ["Org1MSP"]),
        ("aggregator_msps", []),
        ("aggregator_msps", "Org1MSP"),
        ("aggregator_msps", ["Org1MSP", 1]),
        ("aggregator_msps", ["Org1MSP", "Org1MSP"]),
    ],
)
def test_msps_that_are_no_names_are_refused(name: str, value: Any) -> None:
    Channel().refused("InitialGrouping", record("1", **{name: value}), name)
