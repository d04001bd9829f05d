"""ComputeVSI: outcomes in their order, what is read and written, retention, staleness."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridledger.grid.frames import Frame
from gridledger.grid.records import Profile
from tests.support.dvs_channel import TIME_US, example
from tests.support.dvs_grid import Channel, frame, record

PROFILES = ["published", "corrected"]
SAG = {3: 0.9}


def reads(channel: Channel) -> list[str]:
    """Keys that the last call read, in order."""
    assert channel.last is not None
    return list(channel.last.reads)


def writes(channel: Channel) -> list[str]:
    """Keys that the last call wrote."""
    assert channel.last is not None
    return sorted(channel.last.writes)


@pytest.fixture(params=PROFILES)
def channel(request: pytest.FixtureRequest) -> Channel:
    """A channel with the record of group 1 and its list."""
    channel = Channel().plan("1", profile=request.param)
    channel.provide("1")
    return channel


@pytest.mark.parametrize(
    ("profile", "frame_name", "result_name"),
    [
        ("published", "frame-1-base", "result-1-base-published"),
        ("corrected", "frame-1-base", "result-1-base-corrected"),
        ("published", "frame-1-s1_before", "result-1-s1_before-published"),
    ],
)
def test_the_examples_to_the_bit_and_in_their_order(profile: Profile, frame_name: str, result_name: str) -> None:
    channel = Channel()
    channel.call("InitialGrouping", example(f"record-1-{profile}"))
    channel.call("UpdateResources", example("resources-1"))
    result = channel.call("ComputeVSI", example(frame_name))
    assert json.dumps(result) == json.dumps(example(result_name))


def test_a_quiet_frame_touches_its_own_key_and_the_record(channel: Channel) -> None:
    result = channel.call("ComputeVSI", frame("1", TIME_US))
    assert result["outcome"] == "normal"
    assert (result["alarm"], result["control"]) == (False, None)
    assert sorted(reads(channel)) == ["group/1", f"vsi/1/{TIME_US}"]
    assert writes(channel) == [f"vsi/1/{TIME_US}"]
    assert channel.last is not None
    assert channel.last.event is None
    channel.call("ComputeVSI", frame("1", 7))
    assert writes(channel) == ["vsi/1/0000000000000007"]


def test_an_injection_reads_and_writes_what_it_must(channel: Channel) -> None:
    result = channel.call("ComputeVSI", frame("1", TIME_US, SAG))
    assert result["outcome"] == "injected"
    assert sorted(reads(channel)) == ["group/1", "matrix/1", f"vsi/1/{TIME_US}", "vvc/1"]
    assert writes(channel) == ["action/1/00000001", f"vsi/1/{TIME_US}", "vvc/1"]
    control = result["control"]
    assert list(control) == list(example("result-1-s1_before-published")["control"])
    assert control["weak_bus"] == control["source_bus"] == result["weak_bus"] == 3
    assert control["searched"] == []
    assert control["q_pu"] == min(control["q_required_pu"], 1.5)
    assert control["q_mvar"] == control["q_pu"] * 100.0
    assert control["vvc_left"] == {"3": 1.5 - control["q_pu"], "4": 1.5} == channel.vvc("1")
    channel_event = {"group": "1", "time": TIME_US, "control": control}
    channel.call("ComputeVSI", frame("1", TIME_US + 1, SAG))
    assert channel.last is not None
    assert channel.last.event is not None
    assert channel.last.event["name"] == "ControlAction"
    assert list(channel.last.event["payload"]) == list(channel_event)
    assert channel.last.payload["control"]["action"] == 2
    assert [item["control"]["action"] for item in channel.call("GetActions", {"group": "1"})["items"]] == [1, 2]
    assert channel.call("GetActions", {"group": "1"})["items"][0] == {"time": TIME_US, "control": control}


def test_no_list_means_no_power_and_no_actions(channel: Channel) -> None:
    bare = Channel().plan("1", profile=channel.call("GetGroup", {"group": "1"})["profile"])
    assert bare.call("ComputeVSI", frame("1", TIME_US, SAG, applied=0))["outcome"] == "escalate"
    assert sorted(reads(bare)) == ["group/1", f"vsi/1/{TIME_US}", "vvc/1"]
    assert writes(bare) == [f"vsi/1/{TIME_US}"]
    assert bare.last is not None
    assert bare.last.event is not None
    assert bare.last.event["name"] == "Escalated"
    assert bare.last.event["payload"]["group"] == "1"
    assert bare.last.event["payload"]["weak_bus"] == 3
    bare.refused("ComputeVSI", frame("1", TIME_US + 1, SAG, applied=1), "applied")


def test_applied_is_looked_at_on_an_alarm_only(channel: Channel) -> None:
    assert channel.call("ComputeVSI", frame("1", TIME_US, applied=5))["outcome"] == "normal"
    channel.refused("ComputeVSI", frame("1", TIME_US + 1, SAG, applied=1), "applied")


def test_applied_beyond_the_count_is_refused_lent_or_not(channel: Channel) -> None:
    channel.call("Lend", {"group": "1", "merge": 1})
    assert channel.call("ComputeVSI", frame("1", TIME_US, SAG, applied=0))["outcome"] == "lent"
    channel.refused("ComputeVSI", frame("1", TIME_US + 1, SAG, applied=1), "applied")


def test_pending_while_a_frame_shows_fewer_actions_or_is_old(channel: Channel) -> None:
    assert channel.call("ComputeVSI", frame("1", TIME_US, SAG))["outcome"] == "injected"
    assert channel.call("ComputeVSI", frame("1", TIME_US + 1, SAG, applied=0))["outcome"] == "pending"
    assert writes(channel) == [f"vsi/1/{TIME_US + 1}"]
    assert sorted(reads(channel)) == ["group/1", f"vsi/1/{TIME_US + 1}", "vvc/1"]
    assert channel.call("ComputeVSI", frame("1", TIME_US - 1, SAG, applied=1))["outcome"] == "pending"
    assert channel.call("ComputeVSI", frame("1", TIME_US - 2, SAG))["outcome"] == "pending"
    assert channel.call("ComputeVSI", frame("1", TIME_US + 2, SAG, applied=1))["outcome"] == "injected"
    assert channel.call("ComputeVSI", frame("1", TIME_US + 3, SAG, applied=1))["outcome"] == "pending"


def test_lent_comes_before_pending_and_before_the_voltage(channel: Channel) -> None:
    channel.call("ComputeVSI", frame("1", TIME_US, SAG))
    channel.call("Lend", {"group": "1", "merge": 1})
    assert channel.call("ComputeVSI", frame("1", TIME_US + 1, SAG, applied=0))["outcome"] == "lent"
    assert channel.call("ComputeVSI", frame("1", TIME_US + 2, {3: 1.2}))["outcome"] in ("lent", "normal")


@pytest.mark.parametrize(
    ("profile", "vm", "outcome"),
    [
        ("published", 0.98, "voltage_ok"),
        ("published", 0.9799999, "injected"),
        ("corrected", 0.98, "voltage_ok"),
        ("corrected", 0.97990001, "voltage_ok"),
        ("corrected", 0.9798, "injected"),
    ],
)
def test_voltage_ok(profile: Profile, vm: float, outcome: str) -> None:
    channel = Channel().plan("1", profile=profile, threshold=1.0)
    channel.provide("1")
    made = frame("1", TIME_US, {3: vm})
    assert channel.call("ComputeVSI", made)["outcome"] == outcome
    if outcome == "voltage_ok":
        assert "matrix/1" not in reads(channel)


def test_the_matrices_are_not_read_without_power(channel: Channel) -> None:
    channel.provide("1", 0.0)
    assert channel.call("ComputeVSI", frame("1", TIME_US, SAG))["outcome"] == "escalate"
    assert "matrix/1" not in reads(channel)


def test_an_alarm_is_strictly_below_the_threshold(channel: Channel) -> None:
    result = channel.call("ComputeVSI", frame("1", TIME_US))
    profile, lowest = result["profile"], result["vsi"][0]["vsi"]
    channel.plan("1", profile=profile, threshold=lowest)
    assert channel.call("ComputeVSI", frame("1", TIME_US + 1))["alarm"] is False
    channel.plan("1", profile=profile, threshold=lowest + 1e-15)
    assert channel.call("ComputeVSI", frame("1", TIME_US + 2))["alarm"] is True


def test_a_group_without_load_buses_is_normal() -> None:
    channel = Channel()
    changes: dict[str, Any] = {"members": [2], "dim": [2, 9], "kind": [2, 4], "nm": 1, "branches": [[9, 2]], "Zth": []}
    channel.call("InitialGrouping", record("3", inflow=[True], Y=[[0, 0, 1.0, -9.0]], PI=[], **changes))
    made: Frame = {"group": "3", "time": TIME_US, "base": 100, "branches": [], "buses": []}
    made["branches"] = [{"f": 9, "t": 2, "Pf": 1, "Qf": 0, "Pt": -1, "Qt": 0}]
    made["buses"] = [{"bus": bus, "Pd": 0, "Qd": 0, "Vm": 1, "Va": 0} for bus in (2, 9)]
    result = channel.call("ComputeVSI", made)
    assert (result["vsi"], result["weak_bus"], result["threshold"]) == ([], None, None)
    assert (result["alarm"], result["outcome"]) == (False, "normal")
    made["branches"][0] |= {"Pt": 0.0}
    assert channel.call("ComputeVSI", made | {"time": TIME_US + 1})["outcome"] == "stale"


def turned(made: Frame, f: int, t: int, n: int = 0) -> Frame:
    """Turns the power flow of a branch round (the n-th of parallel ones)."""
    branch = [row for row in made["branches"] if (row["f"], row["t"]) == (f, t)][n]
    branch["Pf"], branch["Pt"] = -branch["Pf"], -branch["Pt"]
    return made


def test_stale_when_power_crosses_a_border_the_other_way() -> None:
    channel = Channel().plan("1")
    channel.provide("1")
    inner = turned(frame("1", TIME_US, SAG), 3, 4, 1)
    assert channel.call("ComputeVSI", inner)["outcome"] == "injected"
    result = channel.call("ComputeVSI", turned(frame("1", TIME_US + 1, SAG, applied=9), 4, 5))
    assert (result["outcome"], result["alarm"], result["control"]) == ("stale", True, None)
    assert sorted(reads(channel)) == ["group/1", f"vsi/1/{TIME_US + 1}"]
    quiet = channel.call("ComputeVSI", turned(frame("1", TIME_US + 2), 12, 1))
    assert (quiet["outcome"], quiet["alarm"]) == ("stale", False)


def test_no_flow_is_out() -> None:
    channel = Channel().plan("1")
    made = frame("1", TIME_US)
    for row in made["branches"]:
        if (row["f"], row["t"]) == (4, 5):  # out of group 1, at its from end
            row["Pf"] = 0
    assert channel.call("ComputeVSI", made)["outcome"] == "normal"
    made = frame("1", TIME_US + 1)
    for row in made["branches"]:
        if (row["f"], row["t"]) == (9, 3):  # into group 1, at its to end
            row["Pt"] = -0.0
    assert channel.call("ComputeVSI", made)["outcome"] == "stale"


def test_published_is_never_stale() -> None:
    channel = Channel().plan("1", profile="published")
    assert channel.call("ComputeVSI", turned(frame("1", TIME_US), 4, 5))["outcome"] == "normal"


def test_a_merged_published_group_has_its_own_record() -> None:
    channel = Channel().plan("1_2", profile="published")
    result = channel.call("ComputeVSI", frame("1_2", TIME_US, {6: 0.9}))
    assert (result["weak_bus"], result["threshold"], result["outcome"]) == (6, 0.9, "escalate")
    assert channel.last is not None
    assert channel.last.reads["group/1"] is None  # read for the MSPs alone, and not there


def test_a_merged_corrected_group_is_judged_by_its_home_groups() -> None:
    """Merging changes no index; the weak bus is the one furthest below its own threshold."""
    channel = Channel().plan("1", threshold=0.1).plan("2", threshold=0.9).plan("1_2")
    sags = {3: 0.9, 6: 0.95}
    alone = [channel.call("ComputeVSI", frame(group, TIME_US, sags)) for group in ("1", "2")]
    result = channel.call("ComputeVSI", frame("1_2", TIME_US, sags))
    assert sorted(reads(channel)) == sorted(["group/1", "group/1_2", "group/2", f"vsi/1_2/{TIME_US}", "vvc/1_2"])
    entries = [(entry["vsi"], entry["bus"]) for part in alone for entry in part["vsi"]]
    assert [(entry["vsi"], entry["bus"]) for entry in result["vsi"]] == sorted(entries)
    assert result["vsi"][0]["bus"] == 3
    assert (result["weak_bus"], result["threshold"], result["alarm"]) == (6, 0.9, True)


@pytest.mark.parametrize("branch", [(4, 5), (6, 8), (9, 3), (12, 1)])
def test_a_merged_group_is_stale_when_any_component_is(branch: tuple[int, int]) -> None:
    """A branch between two components counts for both."""
    channel = Channel().plan("1", "2", "1_2")
    assert channel.call("ComputeVSI", frame("1_2", TIME_US))["outcome"] == "normal"
    assert channel.call("ComputeVSI", turned(frame("1_2", TIME_US + 1), *branch))["outcome"] == "stale"


def test_parallel_branches_go_by_their_order() -> None:
    """Two tie lines 2-7 with opposite flows: the record of each component must say the same, in the same order."""
    channel = Channel()
    twice = {"1": [*record("1")["branches"], [2, 7]], "2": [*record("2")["branches"], [2, 7]]}
    for group in ("1", "2"):
        made = record(group, branches=twice[group])
        channel.call("InitialGrouping", made | {"inflow": [*made["inflow"], group == "1"]})
    channel.call("InitialGrouping", record("1_2", branches=[*record("1_2")["branches"], [2, 7]]))
    made = frame("1_2", TIME_US)
    made["branches"].append(made["branches"][-2] | {"f": 2, "t": 7, "Pf": -1.0, "Pt": 1.0})
    assert channel.call("ComputeVSI", made)["outcome"] == "normal"
    for n in (0, 1):
        made["time"] += 1
        turned(made, 2, 7, n)
        assert channel.call("ComputeVSI", made)["outcome"] == "stale"
    assert channel.call("ComputeVSI", turned(made | {"time": TIME_US + 9}, 2, 7, 0))["outcome"] == "stale"


@pytest.mark.parametrize(
    ("changes", "named"), [({"base": 50.0}, "base"), ({"profile": "published"}, "profile"), (None, "group 2")]
)
def test_a_merged_group_needs_records_of_its_components_that_fit(changes: dict[str, Any] | None, named: str) -> None:
    channel = Channel().plan("1", "1_2")
    if changes is not None:
        channel.call("InitialGrouping", record("2", changes.pop("profile", "corrected"), **changes))
    channel.refused("ComputeVSI", frame("1_2", TIME_US), "group", named)


def test_a_merged_bus_that_no_component_knows_is_refused() -> None:
    channel = Channel().plan("1", "2", "1_2")
    made = record("2", members=[5, 7], dim=[5, 7, 2, 4, 6], kind=[1, 2, 4, 4, 4], nm=2, Y=[], PI=[])
    made["branches"] = [[4, 5], [5, 6], [6, 7], [2, 7]]
    channel.call("InitialGrouping", made | {"Zth": made["Zth"][:1], "inflow": [True, False, True, True]})
    channel.refused("ComputeVSI", frame("1_2", TIME_US), "bus 6")


def test_retention_deletes_the_two_oldest() -> None:
    channel = Channel().plan("3", retention_s=1)
    second = 1_000_000
    for time in range(5):
        channel.call("ComputeVSI", frame("3", time))
        assert writes(channel) == [f"vsi/3/{time:016d}"]
    channel.call("ComputeVSI", frame("3", second + 3))
    assert channel.last is not None
    assert [key for key, value in channel.last.writes.items() if value is None] == [
        "vsi/3/0000000000000000",
        "vsi/3/0000000000000001",
    ]
    channel.call("ComputeVSI", frame("3", second + 4))
    times = [item["time"] for item in channel.call("GetVSI", {"group": "3", "from": 0, "to": 2 * second})["items"]]
    assert times == [4, second + 3, second + 4]
    channel.call("ComputeVSI", frame("3", second + 2))
    assert writes(channel) == [f"vsi/3/{second + 2:016d}"]


def test_without_retention_nothing_is_looked_for() -> None:
    channel = Channel().plan("3")
    channel.call("ComputeVSI", frame("3", 1))
    channel.call("ComputeVSI", frame("3", TIME_US))
    assert sorted(reads(channel)) == ["group/3", f"vsi/3/{TIME_US}"]


def test_retention_leaves_other_groups_alone() -> None:
    channel = Channel().plan("1", "10", retention_s=1)
    channel.call("ComputeVSI", frame("10", 1))
    channel.call("ComputeVSI", frame("1", TIME_US))
    assert len(channel.call("GetVSI", {"group": "10", "from": 0, "to": 9})["items"]) == 1
