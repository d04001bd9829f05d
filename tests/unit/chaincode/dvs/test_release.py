"""Release: which entry goes, when and how much of it; what stands through lists and merges; refusals."""

from __future__ import annotations

from typing import Any

import pytest

from chaincode.dvs.standing import MANY_ENTRIES, Standing
from gridledger.grid.frames import Frame
from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import Channel, frame, loads, record

RULE = {"v_max": 1.05, "margin": 0.02, "hold_s": 2, "dv_max": 0.02}
SECOND = 1_000_000
EVERY_RECORD = ("1", "2", "3", "10", "1_2", "1_3", "1_10", "2_3", "3_10", "1_2_3", "1_2_10", "1_3_10", "1_2_3_10")
CALL = {"channel": "shard1", "tx_id": "a" * 64}


def entry(bus: int, q_pu: float, time: int, weak: int | None = None, by: str = "1") -> dict[str, Any]:
    """One injection that stands."""
    return {"bus": bus, "q_pu": q_pu, "weak": bus if weak is None else weak, "by": by, "time": time}


def planned(**rule: float) -> Channel:
    """All records with ``release``, lists for all groups."""
    channel = Channel().plan(*EVERY_RECORD, release=RULE | rule)
    for group in ("1", "2", "3", "10"):
        channel.provide(group)
    return channel


def standing(channel: Channel, group: str = "1") -> list[dict[str, Any]]:
    """What GetResources shows."""
    found: list[dict[str, Any]] = channel.call("GetResources", {"group": group})["standing"]
    return found


def measure(channel: Channel, seconds: float, group: str = "1", sags: Any = None, **changes: Any) -> Any:
    """The answer to a frame so many seconds after the beginning, in which what stands shows."""
    measured = frame(group, TIME_US + round(seconds * SECOND), sags, **changes)
    return channel.call("ComputeVSI", shown(measured, standing(channel, group)))


def shown(measured: Frame, entries: list[dict[str, Any]]) -> Frame:
    """A frame whose demands are net of what stands."""
    stands = dict.fromkeys((row["bus"] for row in measured["buses"]), 0.0)
    for one in entries:
        stands[one["bus"]] += 100.0 * one["q_pu"]
    return measured | {"buses": [row | {"Qd": row["Qd"] - stands[row["bus"]]} for row in measured["buses"]]}


def high(measured: Frame, bus: int, vm: float) -> Frame:
    """A frame in which a bus has another voltage."""
    buses = [row | {"Vm": vm} if row["bus"] == bus else row for row in measured["buses"]]
    return measured | {"buses": buses}


def give(channel: Channel, *entries: dict[str, Any], group: str = "1") -> None:
    """Set what stands."""
    vvc = channel.vvc(group)
    channel.call("UpdateResources", {"group": group, "vvc": vvc, "standing": list(entries)})


def test_an_injection_stands_until_a_calm_frame_takes_it_back() -> None:
    channel = planned(dv_max=0.04)
    injected = measure(channel, 0, sags={3: 0.9})["control"]
    assert standing(channel) == [entry(3, injected["q_pu"], TIME_US)]
    assert measure(channel, 1.9)["outcome"] == "normal"
    released = measure(channel, 2)
    assert (released["outcome"], released["alarm"]) == ("released", False)
    control = released["control"]
    assert list(control) == list(injected)
    assert (control["weak_bus"], control["source_bus"], control["searched"], control["action"]) == (3, 3, [], 2)
    assert (control["q_required_pu"], control["q_mvar"]) == (-injected["q_pu"], control["q_pu"] * 100.0)
    assert -injected["q_pu"] < control["q_pu"] < 0.0
    assert control["q_pu"] * -1.0 == pytest.approx(0.04 * control["sensitivity"], rel=1e-12)
    assert channel.last is not None
    assert channel.last.event == {
        "name": "ControlAction",
        "payload": {name: released[name] for name in ("group", "time", "control")},
    }
    assert channel.call("GetActions", {"group": "1"})["items"][1] == {"time": released["time"], "control": control}
    outcomes = [measure(channel, second)["outcome"] for second in range(3, 20)]
    assert outcomes[:2] == ["normal", "released"]
    assert standing(channel) == []
    assert channel.vvc("1")["3"] == pytest.approx(1.5, abs=1e-12)


def test_a_release_is_bounded_by_the_largest_rise_that_it_causes() -> None:
    channel = planned()
    give(channel, entry(3, 1.0, TIME_US - 100 * SECOND))
    q = -measure(channel, 0)["control"]["q_pu"]
    small = planned()
    give(small, entry(3, q / 2.0, TIME_US - 100 * SECOND))
    assert measure(small, 0)["control"]["q_pu"] == -q / 2.0
    assert standing(small) == []
    assert standing(channel) == [entry(3, 1.0 - q, TIME_US - 100 * SECOND)]


def test_nothing_goes_where_the_margin_would_be_lost() -> None:
    """Once by the prediction, once as measured, and then no matrix is read."""
    low = record("1")["threshold"]
    channel = planned()
    give(channel, entry(3, 1.0, TIME_US - 100 * SECOND))
    weakest = measure(channel, 0)["vsi"][0]["vsi"]
    # The answer above released; the same state with a margin that only the measurement keeps.
    other = Channel().plan("1", release=RULE | {"margin": weakest - low - 1e-4})
    other.provide("1")
    give(other, entry(3, 1.0, TIME_US - 100 * SECOND))
    assert measure(other, 0)["outcome"] == "normal"
    assert "matrix/1" in other.last.reads  # type: ignore[union-attr]
    blocked = Channel().plan("1", release=RULE | {"margin": weakest - low + 1e-4})
    blocked.provide("1")
    give(blocked, entry(3, 1.0, TIME_US - 100 * SECOND))
    assert measure(blocked, 0)["outcome"] == "normal"
    assert "matrix/1" not in blocked.last.reads  # type: ignore[union-attr]


def test_the_newest_entry_goes_first_and_an_older_one_where_it_may_not() -> None:
    channel = planned()
    old = TIME_US - 100 * SECOND
    give(channel, entry(3, 0.1, old), entry(4, 0.1, old), entry(3, 0.2, old + 1))
    controls = [measure(channel, 2 * n)["control"] for n in range(3)]
    assert [(control["source_bus"], control["q_pu"]) for control in controls] == [(3, -0.2), (4, -0.1), (3, -0.1)]
    assert measure(channel, 6)["outcome"] == "normal"
    foreign = planned()
    give(foreign, entry(3, 0.1, old), entry(4, 0.1, old + 1, weak=6, by="1_2"))
    assert measure(foreign, 0)["control"]["source_bus"] == 3
    give(foreign, entry(4, 0.1, old + 1, weak=6, by="1_2"))
    assert measure(foreign, 10)["outcome"] == "normal"


def test_time_counts_from_the_last_action_and_from_the_entry() -> None:
    channel = planned()
    give(channel, entry(3, 0.01, TIME_US), entry(4, 0.01, TIME_US + SECOND))
    assert measure(channel, 1.9)["outcome"] == "normal"
    assert measure(channel, 2.1)["control"]["source_bus"] == 3
    assert measure(channel, 4.05)["outcome"] == "normal"
    assert measure(channel, 4.1)["control"]["source_bus"] == 4


def test_too_high_a_voltage_does_not_wait_the_first_time() -> None:
    channel = planned()
    measure(channel, 0, sags={3: 0.9})

    def calm(seconds: float) -> str:
        measured = high(frame("1", TIME_US + round(seconds * SECOND)), 4, 1.06)
        return str(channel.call("ComputeVSI", shown(measured, standing(channel)))["outcome"])

    assert calm(0.1) == "released"
    assert calm(0.2) == "normal"
    assert calm(2.05) == "normal"
    assert calm(2.1) == "released"
    measure(channel, 6, sags={3: 0.9})
    assert calm(6.1) == "released"


def test_releases_keep_their_distance_whatever_the_voltage() -> None:
    channel = planned(hold_s=2)
    give(channel, entry(3, 0.9, TIME_US - 100 * SECOND))
    assert measure(channel, 0)["outcome"] == "released"
    assert measure(channel, 0.5, sags={3: 0.9})["outcome"] == "injected"
    measured = high(frame("1", TIME_US + SECOND), 4, 1.06)
    assert channel.call("ComputeVSI", measured)["outcome"] == "normal"


def test_an_injection_soon_after_a_release_doubles_the_wait() -> None:
    standing = Standing()
    waits = []
    time = 0
    for _ in range(14):
        time += round(standing.wait(2.0) * 1e6)
        standing.entries = [entry(3, 1.0, time)]
        standing.taken_back(standing.entries[0], 1.0, time)
        time += SECOND
        standing.injected(_injection(), "1", time, 2.0)
        waits.append(standing.wait(2.0))
    assert waits == [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 3600.0, 3600.0, 3600.0, 3600.0]
    standing.injected(_injection(), "1", time + 3600 * SECOND, 2.0)
    assert standing.wait(2.0) == 2.0


def test_a_short_wait_is_watched_for_a_second() -> None:
    standing = Standing(released=0)
    standing.injected(_injection(), "1", SECOND, 0.1)
    assert standing.wait(0.1) == 0.2
    standing.injected(_injection(), "1", SECOND + 1, 0.1)
    assert standing.wait(0.1) == 0.1


def test_many_entries_join_by_bus_and_nothing_is_lost() -> None:
    standing = Standing(entries=[entry(n % 7, 1.0, n) for n in range(MANY_ENTRIES)])
    for time in range(MANY_ENTRIES, MANY_ENTRIES + 50):
        standing.injected(_injection(), "1", time, 1.0)
    assert len(standing.entries) == MANY_ENTRIES
    assert sum(one["q_pu"] for one in standing.entries) == MANY_ENTRIES + 50
    assert standing.entries[-1]["time"] == MANY_ENTRIES + 49


def _injection() -> Any:
    from chaincode.dvs.control import Injection  # noqa: PLC0415

    return Injection(3, 3, 1.0, 1.0, 1.0, [])


def test_a_lost_release_is_pending_until_it_is_shown() -> None:
    channel = planned()
    give(channel, entry(3, 0.01, TIME_US - 100 * SECOND))
    assert measure(channel, 0, applied=0)["outcome"] == "released"
    assert measure(channel, 1, applied=0)["outcome"] == "pending"
    assert channel.call("ComputeVSI", frame("1", TIME_US - 5))["outcome"] == "pending"
    assert measure(channel, 2, applied=1)["outcome"] == "normal"
    channel.refused("ComputeVSI", frame("1", TIME_US + 3 * SECOND, applied=2), "applied")


def test_stale_and_alarming_frames_release_nothing() -> None:
    channel = planned()
    give(channel, entry(3, 0.01, TIME_US - 100 * SECOND))
    turned = frame("1", TIME_US)
    turned = turned | {"branches": [row | {"Pf": -row["Pf"], "Pt": -row["Pt"]} for row in turned["branches"]]}
    assert channel.call("ComputeVSI", turned)["outcome"] == "stale"
    assert measure(channel, 1, sags={3: 0.99})["outcome"] == "voltage_ok"
    assert len(standing(channel)) == 1


def test_what_is_read_and_written() -> None:
    channel = planned()
    measure(channel, 0)
    assert channel.last is not None
    assert sorted(channel.last.reads) == ["group/1", "standing/1", f"vsi/1/{TIME_US}", "vvc/1"]
    assert list(channel.last.writes) == [f"vsi/1/{TIME_US}"]
    measure(channel, 1, sags={3: 0.9})
    assert "standing/1" in channel.last.writes
    measure(channel, 4)
    time = TIME_US + 4 * SECOND
    written = ["action/1/00000002", "standing/1", f"vsi/1/{time}", "vvc/1"]
    assert sorted(channel.last.writes) == written


# Merges


def merged(channel: Channel) -> Channel:
    """A merge of groups 1 and 2, open."""
    channel.call("GlobalController", {"group": "1"})
    for group in ("1", "2"):
        lent = channel.call("Lend", {"group": group, "merge": 1})
        adopt = {"merge": 1, "group": group, "vvc": lent["vvc"], "standing": lent["standing"]} | CALL
        channel.call("Adopt", adopt)
    return channel


def test_what_stands_goes_with_the_list_and_comes_back() -> None:
    channel = planned()
    old = TIME_US - 100 * SECOND
    give(channel, entry(3, 0.3, old))
    give(channel, entry(6, 0.2, old + 1, by="2"), entry(5, 0.1, old, by="2"), group="2")
    merged(channel)
    assert standing(channel) == standing(channel, "2") == []
    assert [one["bus"] for one in standing(channel, "1_2")] == [3, 5, 6]
    control = measure(channel, 0, group="1_2", sags={3: 0.9})["control"]
    parts = channel.call("Split", {"merge": 1})
    assert parts["standing"] == {
        "1": [entry(3, 0.3, old), entry(3, control["q_pu"], TIME_US, by="1_2")],
        "2": [entry(5, 0.1, old, by="2"), entry(6, 0.2, old + 1, by="2")],
    }
    assert channel.unchanged("Split", {"merge": 1}) == parts
    assert standing(channel, "1_2") == []
    for group in ("1", "2"):
        restore = {"group": group, "merge": 1, "vvc": parts["vvc"][group], "standing": parts["standing"][group]}
        assert channel.call("Restore", restore) == restore
        assert channel.unchanged("Restore", restore) == restore
        assert standing(channel, group) == parts["standing"][group]
        channel.refused("Restore", restore | {"standing": []}, "standing")


def test_a_merge_is_held_while_what_it_borrowed_stands() -> None:
    channel = merged(planned())
    control = measure(channel, 0, group="1_2", sags={3: 0.9})["control"]
    held = measure(channel, 1, group="1_2")
    assert (held["outcome"], held["control"], held["alarm"]) == ("held", None, False)
    assert channel.last is not None
    assert channel.last.event is None
    outcomes = [measure(channel, 2.0 * n, group="1_2")["outcome"] for n in range(1, 60)]
    assert set(outcomes[: outcomes.index("normal")]) == {"released"}
    assert set(outcomes[outcomes.index("normal") :]) == {"normal"}
    vvc = channel.vvc("1_2")
    assert sum(vvc.values()) == pytest.approx(1.5 * len(vvc), abs=1e-12)
    assert control["q_pu"] > 0.0


def test_what_others_left_does_not_hold_a_merge() -> None:
    """Entries of the groups' own, and of a merge with a third group."""
    channel = planned(hold_s=3600)
    give(channel, entry(3, 0.3, TIME_US), entry(4, 0.3, TIME_US, weak=8, by="1_3"))
    merged(channel)
    assert measure(channel, 1, group="1_2")["outcome"] == "normal"


def test_what_a_pair_borrowed_holds_the_three_that_it_grew_into() -> None:
    channel = merged(planned(hold_s=3600))
    measure(channel, 0, group="1_2", sags={3: 0.9})
    channel.call("GlobalController", {"group": "1_2"})
    lent = channel.call("Lend", {"group": "3", "merge": 1})
    adopt = {"merge": 1, "group": "3", "vvc": lent["vvc"], "standing": lent["standing"]} | CALL
    assert channel.call("Adopt", adopt)["status"] == "open"
    assert len(standing(channel, "1_2_3")) == 1
    assert measure(channel, 1, group="1_2_3")["outcome"] == "held"


def test_a_lent_group_is_normal_and_releases_nothing() -> None:
    channel = planned()
    give(channel, entry(3, 0.3, TIME_US - 100 * SECOND))
    channel.call("Lend", {"group": "1", "merge": 1})
    assert measure(channel, 0)["outcome"] == "normal"
    assert measure(channel, 1, sags={3: 0.9})["outcome"] == "lent"


@pytest.mark.parametrize(
    ("vvc", "given", "field"),
    [
        ({"3": 1.8 + 4e-12}, [], "vvc.3"),
        ({"3": 1.5}, [entry(3, 0.3 + 4e-12, 1)], "vvc.3"),
        ({"3": 1.2}, [entry(3, 0.3, 1), entry(3, 0.3, 2), entry(3, 0.1, 2)], "vvc.3"),
        ({"4": 1.5}, [entry(4, 0.1, 1)], "vvc.4"),
        ({"3": 1.5}, None, "standing"),
    ],
)
def test_restore_gives_back_no_more_than_was_lent(vvc: Any, given: Any, field: str) -> None:
    """At bus 3 are 1.5 p.u. free and 0.3 stand."""
    channel = planned()
    give(channel, entry(3, 0.3, 1))
    channel.call("Lend", {"group": "1", "merge": 1})
    argument = {"group": "1", "merge": 1, "vvc": vvc}
    channel.refused("Restore", argument if given is None else argument | {"standing": given}, field)


def test_restore_allows_for_rounding_and_for_another_division() -> None:
    channel = planned()
    give(channel, entry(3, 0.3, 1))
    channel.call("Lend", {"group": "1", "merge": 1})
    given = {"group": "1", "merge": 1, "vvc": {"3": 1.7}, "standing": [entry(3, 0.1 + 1e-13, 1)]}
    assert channel.call("Restore", given)["vvc"]["3"] == 1.7


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bus": 2}, "standing[0].bus"),
        ({"bus": "3"}, "standing[0].bus"),
        ({"q_pu": 0}, "standing[0].q_pu"),
        ({"q_pu": -1.0}, "standing[0].q_pu"),
        ({"by": "2_3"}, "standing[0].by"),
        ({"time": -1}, "standing[0].time"),
        ({"weak": None}, "standing[0].weak"),
        ({"more": 1}, "standing[0].more"),
    ],
)
def test_entries_that_are_none_are_refused(changes: dict[str, Any], field: str) -> None:
    channel = planned()
    argument = {"group": "1", "vvc": {}, "standing": [entry(3, 0.1, 1) | changes]}
    channel.refused("UpdateResources", argument, field)


def test_an_empty_standing_forgets_what_stood_and_none_keeps_it() -> None:
    channel = planned()
    give(channel, entry(3, 0.1, 2), entry(4, 0.1, 1))
    answer = channel.call("UpdateResources", {"group": "1", "vvc": {}})
    assert "standing" not in answer
    assert [one["bus"] for one in standing(channel)] == [4, 3]
    answer = channel.call("UpdateResources", {"group": "1", "vvc": {}, "standing": []})
    assert answer["standing"] == standing(channel) == []


def test_more_entries_than_can_stand_are_refused() -> None:
    channel = planned()
    many = [entry(3, 0.1, n) for n in range(MANY_ENTRIES + len(loads("1")) + 1)]
    channel.refused("UpdateResources", {"group": "1", "vvc": {}, "standing": many}, "standing", str(MANY_ENTRIES))


# Records


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"margin": 0.009}, "release.margin"),
        ({"dv_max": 0.0}, "release.dv_max"),
        ({"hold_s": 0}, "release.hold_s"),
        ({"hold_s": 3601}, "release.hold_s"),
        ({"v_max": "1.05"}, "release.v_max"),
        ({"more": 1}, "release.more"),
    ],
)
def test_rules_that_are_none_are_refused(rule: dict[str, Any], field: str) -> None:
    Channel().refused("InitialGrouping", record("1", release=RULE | rule), field)


def test_only_corrected_records_have_release() -> None:
    Channel().refused("InitialGrouping", record("1", "published", release=RULE), "release")


def test_a_small_border_flow_turns_nothing() -> None:
    """As recorded the flows are -0.95 to 1 MW outwards, see the grid's states."""
    channel = Channel().plan("1", deadband_mw=0.5)
    channel.provide("1")

    def turned(mw: float, time: int) -> str:
        measured = frame("1", TIME_US + time)
        rows = [row | {"Pf": -mw, "Pt": mw} if 5 in (row["f"], row["t"]) else row for row in measured["branches"]]
        return str(channel.call("ComputeVSI", measured | {"branches": rows})["outcome"])

    assert turned(0.49, 1) == "normal"
    assert turned(0.5, 2) == "stale"
    channel.plan("1")
    assert turned(0.49, 3) == "stale"
