"""The state of the grid as a fold over blocks, and what is seen of it at a moment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.console.grid import state as bounds
from services.console.grid.alarms import CALM_FRAMES, MAX_SOURCES, Alarm, first_out
from services.console.grid.series import SLOTS, Series
from services.console.grid.state import GridState
from services.console.grid.told import (
    AcknowledgedTold,
    Action,
    BlockTold,
    FrameTold,
    MergeTold,
    Place,
    ResourcesTold,
    ShelvedTold,
    Told,
)
from services.console.grid.view import BusView, alarms_now, bus_views, group_views, merges_now, standing_now

T0 = 1_796_000_000_000_000
STEP = 33_333
PLACE = Place("ab" * 32, 0, 0, T0)


def frame(n: int, group: str = "1", **changes: Any) -> FrameTold:
    """The ``n``-th frame of a group, 30 a second."""
    told = FrameTold(
        place=Place(f"{n:064x}", 0, 0, T0 + n * STEP),
        group=group,
        time_us=T0 + n * STEP,
        vm={2: 1.0, 3: 0.97},
        vsi={3: 0.95, 4: 0.97},
        weak_bus=3,
        threshold=0.88,
        alarm=False,
        outcome="normal",
        action=None,
        suspect=None,
    )
    return replace(told, **changes)


def low(n: int, group: str = "1", **changes: Any) -> FrameTold:
    """A frame with an alarm."""
    return frame(n, group, vsi={3: 0.87, 4: 0.89}, alarm=True, outcome="voltage_ok", **changes)


class Feed:
    """A state, and blocks of one frame each that come as they are measured."""

    def __init__(self, channel: str = "shard1") -> None:
        self.state, self.channel, self.number, self.now_us = GridState(), channel, 0, T0

    def tell(self, *told: Told, channel: str | None = None) -> None:
        for each in told:
            if isinstance(each, FrameTold):
                self.now_us = max(self.now_us, each.time_us)
            block = BlockTold(channel or self.channel, self.number, self.now_us, (each,))
            assert self.state.apply(block, self.now_us)
            self.number += 1

    def frames(self, first: int, count: int, group: str = "1", **changes: Any) -> None:
        self.tell(*(frame(n, group, **changes) for n in range(first, first + count)))

    @property
    def alarms(self) -> list[Alarm]:
        return alarms_now(self.state, self.now_us)

    def told(self) -> list[tuple[str, str, str]]:
        return [(each.group, each.kind, each.state) for each in self.alarms]


def acknowledged(raised_us: int, kind: str = "vsi", group: str = "1") -> AcknowledgedTold:
    return AcknowledgedTold(PLACE, group, kind, raised_us, "alice", "Org1MSP", raised_us + 1, None)


def test_an_alarm_from_its_cause_to_its_end() -> None:
    feed = Feed()
    feed.frames(0, 5)
    assert feed.told() == []
    feed.tell(low(5), low(6), low(7))
    (alarm,) = feed.alarms
    assert (alarm.state, alarm.priority, alarm.raised_us, alarm.tx_id) == (
        "unacknowledged",
        2,
        T0 + 5 * STEP,
        f"{5:064x}",
    )
    assert alarm.detail == "bus 3: VSI 0.8700, threshold 0.8800"
    feed.tell(acknowledged(T0 + 5 * STEP))
    assert feed.told() == [("1", "vsi", "acknowledged")]
    feed.frames(8, CALM_FRAMES - 1)
    assert feed.told() == [("1", "vsi", "acknowledged")]
    feed.frames(8 + CALM_FRAMES, 1)
    assert feed.told() == []


def test_an_alarm_that_nobody_saw_stays_until_somebody_has() -> None:
    feed = Feed()
    feed.tell(low(0))
    feed.frames(1, CALM_FRAMES)
    assert feed.told() == [("1", "vsi", "returned")]
    feed.tell(low(10))
    (alarm,) = feed.alarms
    assert (alarm.state, alarm.count, alarm.first_us, alarm.raised_us) == ("unacknowledged", 2, T0, T0 + 10 * STEP)
    feed.tell(acknowledged(T0))  # of the time before
    assert feed.told() == [("1", "vsi", "unacknowledged")]
    feed.frames(11, CALM_FRAMES)
    feed.tell(acknowledged(T0 + 10 * STEP))
    assert feed.told() == []


def test_a_record_that_is_renewed_in_time_is_no_alarm() -> None:
    feed = Feed()
    feed.frames(0, 100, outcome="stale")
    feed.frames(100, 1)
    feed.frames(101, 100, outcome="stale")
    assert feed.told() == []
    feed.frames(201, 60, outcome="stale")
    (alarm,) = feed.alarms
    assert (alarm.kind, alarm.raised_us) == ("stale", T0 + (101 + 151) * STEP)


def test_a_shelf_ends_by_the_readers_clock() -> None:
    feed = Feed()
    feed.tell(low(0), ShelvedTold(PLACE, "1", "vsi", T0 + 1_000_000, "alice", "Org1MSP", "test"))
    assert feed.alarms[0].shelved is not None
    assert first_out(feed.alarms) is None
    later = alarms_now(feed.state, T0 + 1_000_000)
    assert later[-1].shelved is None
    feed.tell(
        ShelvedTold(PLACE, "1", "vsi", T0 + 10**9, "alice", "Org1MSP", "test"),
        ShelvedTold(PLACE, "1", "vsi", None, "bob", "Org1MSP", None),
    )
    assert feed.alarms[0].shelved is None


def test_the_most_urgent_comes_first_and_the_first_that_was_raised_is_named() -> None:
    feed = Feed()
    feed.tell(low(0, "1"), frame(1, "2", outcome="suspect", suspect="bus 3"), low(2, "3"))
    feed.tell(replace(low(3, "3"), outcome="escalate"), acknowledged(T0, "vsi"))
    assert feed.told() == [
        ("3", "escalated", "unacknowledged"),
        ("3", "vsi", "unacknowledged"),
        ("2", "suspect", "unacknowledged"),
        ("1", "vsi", "acknowledged"),
    ]
    first = first_out(feed.alarms)
    assert first is not None
    assert (first.group, first.kind) == ("1", "vsi")


def test_a_group_without_frames_has_no_data_from_the_third_missed_one() -> None:
    feed = Feed()
    feed.frames(0, 10)
    last_us = T0 + 9 * STEP
    limit_us = last_us + 3 * STEP + bounds.GRACE_US
    (before,), (after,) = (group_views(feed.state, limit_us + n) for n in (0, 1))
    assert (before.stale, before.word) == (False, "normal")
    assert (after.stale, after.word) == (True, "no data")
    assert {bus.level for bus in bus_views([after]).values()} == {"none"}
    assert {bus.vsi for bus in bus_views([after]).values()} == {None}
    (alarm,) = alarms_now(feed.state, limit_us + 1)
    assert (alarm.kind, alarm.raised_us, alarm.state) == ("no_data", last_us, "unacknowledged")
    feed.tell(acknowledged(last_us, "no_data"))
    assert alarms_now(feed.state, limit_us + 1)[0].state == "acknowledged"
    feed.frames(100, 1)
    assert alarms_now(feed.state, feed.now_us) == []


def test_a_bus_is_shown_as_its_own_group_sees_it_whether_or_not_it_has_data() -> None:
    feed = Feed()
    for n in range(5):
        feed.tell(frame(n, "1"), frame(n, "2", vsi={7: 0.9}, vm={3: 0.5, 2: 0.6, 7: 1.0}, weak_bus=7))
    late = feed.now_us + 10**7
    for now_us, vm in ((feed.now_us, 0.97), (late, None)):
        buses = bus_views(group_views(feed.state, now_us), {2: "2", 3: "1"})
        assert (buses[3].group, buses[3].vm, buses[7].group) == ("1", vm, "2")
        assert buses[2].group == "2"
    feed.tell(frame(400, "2", vsi={7: 0.9}, vm={3: 0.5, 7: 1.0}, weak_bus=7))
    buses = bus_views(group_views(feed.state, feed.now_us))
    assert (buses[3].group, buses[3].level) == ("1", "none")


def test_a_gap_that_nobody_saw_has_returned_and_stays_listed() -> None:
    feed = Feed()
    feed.frames(0, 10)
    feed.frames(100, 1)
    (alarm,) = feed.alarms
    assert (alarm.kind, alarm.state, alarm.raised_us) == ("no_data", "returned", T0 + 9 * STEP)
    assert alarm.detail == "none for 3.0 s"
    feed.tell(acknowledged(T0 + 9 * STEP, "no_data"))
    assert feed.told() == []


def merge(status: str, number: int = 1) -> MergeTold:
    return MergeTold(PLACE, number, "1_2", status, {"1": "in", "2": "in"})


def test_a_group_that_is_merged_lacks_nothing() -> None:
    feed = Feed()
    feed.frames(0, 10)
    merged_at = T0 + 10 * STEP
    feed.state.apply(BlockTold("mainchain", 0, merged_at, (merge("gathering"),)), merged_at)
    feed.state.apply(BlockTold("mainchain", 1, merged_at, (merge("open"),)), merged_at)
    for n in range(11, 200):
        told = frame(n, "1_2", vsi={3: 0.87, 4: 0.97, 13: 0.9}, vm={3: 0.9, 13: 0.95}, threshold=0.88)
        assert feed.state.apply(BlockTold("mainchain", n, told.time_us, (told,)), told.time_us)
    now_us = T0 + 200 * STEP
    one, both = group_views(feed.state, now_us)
    assert (one.word, one.merged_into, one.stale, both.word) == ("merged", "1_2", False, "normal")
    assert alarms_now(feed.state, now_us) == []
    buses = bus_views([one, both])
    assert buses[3] == BusView(3, "1_2", 0.9, 0.87, 0.88, "low", weak=True)
    assert buses[2].vm == 1.0
    assert [each.told.status for each in merges_now(feed.state.merges())] == ["open"]
    feed.state.apply(BlockTold("mainchain", 300, now_us, (merge("closed"),)), now_us)
    assert merges_now(feed.state.merges()) == []
    feed.number = 1000
    feed.frames(201, 5)
    assert alarms_now(feed.state, feed.now_us) == []
    assert [each.state.group for each in group_views(feed.state, feed.now_us + 700_000)] == ["1"]


def test_what_was_injected_stands_until_the_group_begins_afresh() -> None:
    feed = Feed()
    one = Action(1, 3, 4, 42.5, {3: 0.0, 4: 0.5})
    back = replace(one, number=2, q_mvar=-2.5, vvc_left={4: 0.6})
    feed.tell(replace(low(0), outcome="injected", action=one), frame(1, outcome="released", action=back))
    group = feed.state.channels["shard1"].groups["1"]
    assert group.standing == {4: 40.0}
    assert [(each.number, each.q_mvar, each.place.tx_id) for each in group.actions] == [
        (1, 42.5, f"{0:064x}"),
        (2, -2.5, f"{1:064x}"),
    ]
    assert group.vvc == {4: 0.6}
    feed.tell(ResourcesTold(PLACE, "1", {4: 1.0}))
    assert (group.standing, group.vvc) == ({4: 40.0}, {4: 1.0})
    feed.tell(ResourcesTold(PLACE, "1", {4: 1.5}, afresh=True))
    assert (group.standing, group.vvc) == ({}, {4: 1.5})


def test_what_a_merge_injected_stands_after_it_until_one_of_its_groups_begins_afresh() -> None:
    feed = Feed()
    one = Action(1, 3, 4, 42.5, {})
    feed.tell(replace(frame(0, "1"), outcome="injected", action=one))
    merged = replace(frame(1, "1_2"), outcome="injected", action=replace(one, source_bus=6, q_mvar=7.0))
    feed.tell(replace(merged, place=replace(PLACE, proposed_us=T0 + STEP)))
    groups = feed.state.channels["shard1"].groups
    assert standing_now(groups.values()) == {4: 42.5, 6: 7.0}
    feed.tell(ResourcesTold(replace(PLACE, proposed_us=T0), "2", {}, afresh=True))
    assert standing_now(groups.values()) == {4: 42.5, 6: 7.0}
    feed.tell(ResourcesTold(replace(PLACE, proposed_us=T0 + 2 * STEP), "2", {}, afresh=True))
    assert standing_now(groups.values()) == {4: 42.5}


def test_rate_interval_and_latency_are_those_of_the_frames() -> None:
    feed = Feed()
    for n in range(400):
        told = frame(n)
        feed.state.apply(BlockTold("shard1", n, told.time_us, (told,)), told.time_us + 18_000 + (n == 399) * 10_000)
    group = feed.state.channels["shard1"].groups["1"]
    assert abs(group.interval_s() - 1 / 30) < 1e-4
    assert abs(group.rate(T0 + 400 * STEP) - 30) < 0.5
    assert (group.latency_ms(0.5), group.latency_ms(1.0)) == (18.0, 28.0)


def test_a_frame_that_comes_late_does_not_replace_a_newer_one() -> None:
    feed = Feed()
    feed.frames(0, 5)
    feed.tell(low(3))
    assert feed.told() == []
    group = feed.state.channels["shard1"].groups["1"]
    assert group.latest is not None
    assert group.latest.time_us == T0 + 4 * STEP
    afresh = replace(frame(0), time_us=T0 - 3_600_000_000)
    feed.tell(afresh)
    assert group.latest == afresh


KINDS = st.sampled_from(["normal", "low", "escalate", "suspect", "ack", "shelf", "inject", "merge"])


def story(channel: str, kinds: Sequence[str]) -> list[BlockTold]:
    """Blocks of a channel, whose frames come 30 a second, with pauses."""
    blocks, n = [], 0
    for number, kind in enumerate(kinds):
        n += 1 if number % 7 else 40
        group = str(1 + number % 2)
        told: Told
        match kind:
            case "ack":
                told = acknowledged(T0 + n * STEP, "vsi", group)
            case "shelf":
                told = ShelvedTold(PLACE, group, "vsi", T0 + 10**7, "alice", "Org1MSP", "x")
            case "merge":
                told = merge(("gathering", "open", "returning", "closed")[number % 4])
            case "inject":
                told = replace(low(n, group), outcome="injected", action=Action(number, 3, 4, 1.0, {}))
            case "normal":
                told = frame(n, group)
            case _:
                told = replace(low(n, group), outcome=kind)
        blocks.append(BlockTold(channel, number, T0 + n * STEP, (told,)))
    return blocks


def seen(state: GridState) -> object:
    now_us = T0 + 2_000_000
    groups = group_views(state, now_us)
    return (
        [(g.state.channel, g.state.group, g.word, g.stale, g.merged_into, g.frame) for g in groups],
        [(list(g.state.actions), g.state.standing, g.state.frames, g.state.rate(now_us)) for g in groups],
        bus_views(groups),
        alarms_now(state, now_us),
        [(each.told, each.began_us, each.ended_us) for each in merges_now(state.merges())],
        [g.state.series.columns([3]) for g in groups if g.state.series is not None],
    )


@given(st.lists(KINDS, max_size=30), st.lists(KINDS, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_channels_does_not_matter_and_replays_change_nothing(
    one: list[str], two: list[str], chance: random.Random
) -> None:
    blocks = {"shard1": story("shard1", one), "shard2": story("shard2", two)}
    ordered, mixed = GridState(), GridState()
    for each in (*blocks["shard2"], *blocks["shard1"]):
        assert ordered.apply(each, each.timestamp_us)
    given_out: list[BlockTold] = []
    waiting = {name: list(each) for name, each in blocks.items()}
    while any(waiting.values()):
        name = chance.choice([name for name, rest in waiting.items() if rest])
        given_out.append(waiting[name].pop(0))
        assert mixed.apply(given_out[-1], given_out[-1].timestamp_us)
        if chance.random() < 0.3:  # the stream reconnects and begins before where it was
            again = chance.choice(given_out)
            assert not mixed.apply(again, T0 + 10**9)
    assert seen(mixed) == seen(ordered)


def test_memory_is_bounded_whatever_groups_and_people_say() -> None:
    feed = Feed()
    for n in range(bounds.MAX_GROUPS + 50):
        wide = dict.fromkeys(range(20), 0.9)
        feed.tell(frame(n, str(n + 1), vsi=wide, weak_bus=None, threshold=None))
    channel = feed.state.channels["shard1"]
    assert (len(channel.groups), channel.unfollowed) == (bounds.MAX_GROUPS, 50)
    kept = [group.series for group in channel.groups.values() if group.series is not None]
    assert sum(len(each.buses) for each in kept) <= bounds.MAX_SERIES_BUSES
    for n in range(MAX_SOURCES + 10):
        feed.tell(acknowledged(T0, f"k{n}"), ShelvedTold(PLACE, "1", f"k{n}", T0 + 10**12, "a", "b", "c"))
        feed.tell(merge("open", n))
    assert len(channel.alarms.shelves(T0)) == MAX_SOURCES
    assert len(list(feed.state.merges())) == bounds.MAX_MERGES


def test_ten_minutes_of_series_are_kept_and_the_weakest_frame_of_a_slot() -> None:
    series = Series((3, 4))
    for n in range(30 * 60 * 12):
        series.add(frame(n, vsi={3: 0.9 if n % 90 else 0.5, 4: 0.97}, weak_bus=3))
    times, columns = series.columns([3, 99])
    assert len(times) == SLOTS
    assert len(series) < SLOTS * 1.2
    assert all(two - one < 0.2 for one, two in pairwise(times))
    assert columns.keys() == {3}
    assert abs(columns[3][1].count(0.5) - 600 / 3) <= 1  # one of a slot's three frames, 200 times
    assert columns[3][0][0] == 0.97
    assert len(series.columns([3], int(times[-10] * 1e6))[0]) == 9
    late = frame(30 * 60 * 12 - 60)
    series.add(late)
    assert series.columns([3]) == (times, columns)
    series.add(replace(late, time_us=T0 + 10**12))
    assert len(series.columns([3])[0]) == 1
    assert len(series) < SLOTS / 8 + 2
