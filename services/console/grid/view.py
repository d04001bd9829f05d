"""What the pages show of the state at a moment: groups, buses, alarms. The clock comes from the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from services.console.grid.alarms import NO_DATA, Alarm, in_order
from services.console.grid.state import GridState, GroupState, MergeNote
from services.console.grid.told import FrameTold

NEAR: Final = 0.02
"""Above its threshold by less than this, a bus is near it."""

NOTHING_MVAR: Final = 0.0005
"""What is less than this is nothing that stands."""

Level = Literal["ok", "near", "low", "none"]
Word = Literal["normal", "alarm", "escalated", "injected", "suspect", "stale", "no data", "merged"]
_WORDS: Final[dict[str, Word]] = {
    "injected": "injected",
    "released": "injected",
    "escalate": "escalated",
    "suspect": "suspect",
    "stale": "stale",
}


@dataclass(frozen=True, slots=True)
class BusView:
    """A bus as it is drawn. ``vm`` and ``vsi``: p.u., None where nothing says them; ``weak``: the group's weakest."""

    number: int
    group: str
    vm: float | None
    vsi: float | None
    threshold: float | None
    level: Level
    weak: bool


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as it is shown. ``word``: how it is; ``merged_into``: the merged group that is measured in its place."""

    state: GroupState
    word: Word
    stale: bool
    merged_into: str | None
    age_s: float
    interval_s: float

    @property
    def frame(self) -> FrameTold | None:
        """Its newest frame."""
        return self.state.latest


def group_views(state: GridState, now_us: int) -> list[GroupView]:
    """All groups that are in use: single ones, and merged ones while they are merged."""
    merges = list(state.merges())
    fed = _fed_merges(state, now_us)
    found = []
    for group in state.groups():
        if group.latest is None or ("_" in group.group and not _is_in_use(group, merges, fed)):
            continue
        found.append(_group_view(state, group, merges, fed, now_us))
    return found


def bus_views(groups: Sequence[GroupView], homes: Mapping[int, str] | None = None) -> dict[int, BusView]:
    """Every bus that a frame names, by number: as its own group saw it, or the merged group in its place.

    A group without data has its buses, and nothing of them. ``homes``: the single group of each bus, where it is known;
    a bus across the border is measured by its neighbours too, and a generator has no index that tells whose it is.
    """
    thresholds = {
        bus: group.state.threshold
        for group in groups
        if "_" not in group.state.group and group.frame is not None
        for bus in group.frame.vsi
    }
    found: dict[int, tuple[tuple[bool, ...], BusView]] = {}
    for group in groups:
        frame = group.frame
        if frame is None:
            continue
        parts = group.state.group.split("_")
        for bus in frame.vm.keys() | frame.vsi.keys():
            is_own = bus in frame.vsi or (homes is not None and homes.get(bus) in parts)
            # The merged group stands for its parts while they are merged; whoever has data tells it.
            rank = (is_own, group.merged_into is None, not group.stale)
            if bus not in found or rank > found[bus][0]:
                found[bus] = rank, _bus_view(group, frame, bus, thresholds.get(bus) or frame.threshold)
    return {bus: found[bus][1] for bus in sorted(found)}


def alarms_now(state: GridState, now_us: int) -> list[Alarm]:
    """All alarms, the most urgent first: those that frames raised, and groups that have no data now."""
    merges = list(state.merges())
    found = []
    for name in sorted(state.channels):
        listed = state.channels[name].alarms.listed(now_us)
        found += [each for each in listed if each.kind != NO_DATA or not _was_merged(state, each, merges)]
    for view in group_views(state, now_us):
        if view.stale and view.frame is not None:
            found = [each for each in found if (each.channel, each.group, each.kind) != _source(view)]
            found.append(_no_data(state, view, view.frame, now_us))
    return in_order(found)


def standing_now(groups: Iterable[GroupState]) -> dict[int, float]:
    """What was injected and stands, MVAr by bus. What a merge injected stands when it is closed, too, until one of its
    groups begins afresh."""
    every = list(groups)
    afresh_us = {group.group: group.afresh_us for group in every}
    found: dict[int, float] = {}
    for group in every:
        began_us = max(afresh_us.get(part, 0) for part in group.group.split("_"))
        if "_" in group.group and group.actions and group.actions[-1].place.proposed_us < began_us:
            continue
        for bus, q_mvar in group.standing.items():
            found[bus] = found.get(bus, 0.0) + q_mvar
    return {bus: q_mvar for bus, q_mvar in sorted(found.items()) if abs(q_mvar) >= NOTHING_MVAR}


def merges_now(merges: Iterable[MergeNote]) -> list[MergeNote]:
    """Those that are not closed, the oldest first."""
    return sorted((each for each in merges if each.ended_us is None), key=lambda each: each.told.number)


def _group_view(
    state: GridState, group: GroupState, merges: Sequence[MergeNote], fed: Iterable[str], now_us: int
) -> GroupView:
    merged_into = _merged_into(group, merges, fed)
    since_us = max([group.seen_us, *(_changed_us(group, merge) for merge in merges)])
    stale = merged_into is None and now_us - since_us > group.limit_us(state.interval_s)
    word: Word = "normal"
    if group.latest is not None:
        word = _WORDS.get(group.latest.outcome, "alarm" if group.latest.alarm else "normal")
    if merged_into is not None:
        word = "merged"
    if stale:
        word = "no data"
    age_s = max(0.0, (now_us - group.seen_us) / 1e6)
    return GroupView(group, word, stale, merged_into, age_s, group.interval_s(state.interval_s))


def _bus_view(group: GroupView, frame: FrameTold, bus: int, threshold: float | None) -> BusView:
    if group.stale:
        return BusView(bus, group.state.group, None, None, None, "none", weak=False)
    vsi = frame.vsi.get(bus)
    level: Level = "ok"
    if vsi is None or threshold is None:
        level = "ok" if vsi is None else "none"
    elif vsi < threshold:
        level = "low"
    elif vsi < threshold + NEAR:
        level = "near"
    weak = bus == frame.weak_bus and group.merged_into is None
    return BusView(bus, group.state.group, frame.vm.get(bus), vsi, threshold, level, weak=weak)


def _is_in_use(group: GroupState, merges: Sequence[MergeNote], fed: Iterable[str]) -> bool:
    return group.group in fed or any(each.told.group == group.group and each.ended_us is None for each in merges)


def _fed_merges(state: GridState, now_us: int) -> list[str]:
    """Merged groups whose frames come, whether or not their merge is known; of those that overlap the newest."""
    coming = [
        group
        for group in state.groups()
        if "_" in group.group and now_us - group.seen_us <= group.limit_us(state.interval_s)
    ]
    found: list[str] = []
    taken: set[str] = set()
    for group in sorted(coming, key=lambda one: (-one.seen_us, one.group)):
        parts = group.group.split("_")
        if taken.isdisjoint(parts):
            found.append(group.group)
            taken.update(parts)
    return found


def _merged_into(group: GroupState, merges: Sequence[MergeNote], fed: Iterable[str]) -> str | None:
    if "_" in group.group:
        return None
    for merge in merges:
        if merge.told.status == "open" and group.group in merge.told.components:
            return merge.told.group
    return next((each for each in fed if group.group in each.split("_")), None)


def _changed_us(group: GroupState, merge: MergeNote) -> int:
    """When a merge last changed that a group has part in: its frames go elsewhere from then on, or come back."""
    has_part = group.group in merge.told.components or group.group == merge.told.group
    return merge.since_us if has_part else 0


def _was_merged(state: GridState, alarm: Alarm, merges: Sequence[MergeNote]) -> bool:
    """Whether the frames that were missed are those of a group that was merged then."""
    group = state.channels[alarm.channel].groups.get(alarm.group)
    if group is None:
        return False
    for from_us, to_us, last_us in group.gaps:
        if last_us == alarm.raised_us:
            return any(
                (alarm.group in merge.told.components or alarm.group == merge.told.group)
                and merge.began_us < to_us
                and (merge.ended_us is None or merge.ended_us > from_us)
                for merge in merges
            )
    return False


def _source(view: GroupView) -> tuple[str, str, str]:
    return view.state.channel, view.state.group, NO_DATA


def _no_data(state: GridState, view: GroupView, frame: FrameTold, now_us: int) -> Alarm:
    """The alarm of a group whose frames stay away; it is known by its last frame, so all readers know it as one."""
    channel, group, kind = _source(view)
    alarms = state.channels[channel].alarms
    alarm = Alarm(
        channel,
        group,
        kind,
        frame.time_us,
        frame.time_us,
        frame.time_us,
        frame.place.tx_id,
        "none since then",
    )
    return replace(
        alarm,
        acknowledged=alarms.acknowledgement(group, kind, frame.time_us),
        shelved=alarms.shelf(group, kind, now_us),
    )
