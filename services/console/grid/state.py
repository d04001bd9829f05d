"""The state of the grid: a fold over what blocks tell, channel by channel.

A block changes the state of its channel only, and a block that was folded changes nothing when it comes again; so the
order in which channels' blocks arrive does not matter, and a stream may replay what it gave before. What depends on
several channels, or on the clock, is made when somebody looks (:mod:`services.console.grid.view`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from services.console.grid.alarms import ESCALATED, NO_DATA, STALE, SUSPECT, VSI, ChannelAlarms
from services.console.grid.series import Series
from services.console.grid.told import (
    AcknowledgedTold,
    BlockTold,
    FrameTold,
    MergeTold,
    Place,
    RecordTold,
    ResourcesTold,
    ShelvedTold,
    UnreadableTold,
)

MAX_GROUPS: Final = 256
"""Groups of one channel that are followed; frames of more are counted and not kept."""
MAX_SERIES_BUSES: Final = 512
"""Buses of one channel whose last ten minutes are kept, 25 MB."""
MAX_MERGES: Final = 64
MAX_ACTIONS: Final = 200
MAX_UNREADABLE: Final = 50
GRACE_US: Final = 500_000
"""What a frame may be late beside the missed ones: a flush to disk takes that long at times."""
MISSED: Final = 3
"""Frames that are missed in a row before a group has no data."""
SLOWEST_S: Final = 60.0
"""The interval of frames that is assumed where it is not known yet, and the longest that is."""
_INTERVALS: Final = 32
_SEEN: Final = 512
_BACK_US: Final = 10_000_000
"""A frame that is older than the newest by more begins anew: its source has another clock, or was restarted."""


@dataclass(frozen=True, slots=True)
class ActionNote:
    """An action of a group, and where it stands on the ledger."""

    channel: str
    group: str
    time_us: int
    place: Place
    number: int
    weak_bus: int
    source_bus: int
    q_mvar: float


@dataclass(slots=True)
class MergeNote:
    """How far a merge is, since when its status is that (block time), and from when to when it was at all."""

    told: MergeTold
    since_us: int
    began_us: int
    ended_us: int | None = None


@dataclass(slots=True)
class GroupState:
    """What is known of one group on one channel. ``seen_us``: when its newest frame was seen, by the reader's clock."""

    channel: str
    group: str
    version: int = 0
    latest: FrameTold | None = None
    seen_us: int = 0
    frames: int = 0
    threshold: float | None = None
    vvc: dict[int, float] = field(default_factory=dict)
    standing: dict[int, float] = field(default_factory=dict)
    afresh_us: int = 0
    actions: deque[ActionNote] = field(default_factory=lambda: deque(maxlen=MAX_ACTIONS))
    series: Series | None = None
    gaps: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=16))
    _intervals: deque[int] = field(default_factory=lambda: deque(maxlen=_INTERVALS))
    _seen: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_SEEN))

    def interval_s(self, told_s: float | None = None) -> float:
        """Seconds between frames: as told, else the median of the last ones."""
        if told_s is not None:
            return told_s
        return min(SLOWEST_S, median(self._intervals) / 1e6) if self._intervals else SLOWEST_S

    def limit_us(self, told_s: float | None = None) -> int:
        """How long after a frame was seen the group has no data."""
        return int(MISSED * self.interval_s(told_s) * 1e6) + GRACE_US

    def rate(self, now_us: int, over_us: int = 10_000_000) -> float:
        """Frames a second lately."""
        recent = sum(1 for seen, _ in self._seen if now_us - over_us < seen <= now_us)
        if recent == _SEEN:
            over_us = max(1, now_us - self._seen[0][0])
        return recent * 1e6 / over_us

    def latency_ms(self, share: float) -> float | None:
        """From a frame's own time to when it was seen: the value that ``share`` of the last ones do not exceed."""
        found = sorted(latency for _, latency in self._seen)
        return found[min(len(found) - 1, int(share * len(found)))] / 1000 if found else None

    def note_frame(self, frame: FrameTold, seen_us: int, *, live: bool) -> bool:
        """Take a frame in; False where it is older than the newest one."""
        self.frames += 1
        newest = self.latest
        if newest is not None:
            step = frame.time_us - newest.time_us
            if -_BACK_US <= step <= 0:
                return False
            if 0 < step <= SLOWEST_S * 1e6:
                self._intervals.append(step)
            if seen_us - self.seen_us > self.limit_us() and self._intervals:
                self.gaps.append((self.seen_us, seen_us, newest.time_us))
        self.latest = frame
        self.seen_us = max(self.seen_us, seen_us)
        if live:
            self._seen.append((seen_us, seen_us - frame.time_us))
        if frame.threshold is not None and "_" not in self.group:
            self.threshold = frame.threshold
        return True


class ChannelState:
    """The groups, merges and alarms of one channel, up to block ``height`` - 1."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.height = 0
        self.block_us = 0
        self.version = 0
        self.invalid = 0
        self.unfollowed = 0
        self.records = 0
        self.groups: dict[str, GroupState] = {}
        self.merges: dict[int, MergeNote] = {}
        self.alarms = ChannelAlarms(channel)
        self.unreadable: deque[UnreadableTold] = deque(maxlen=MAX_UNREADABLE)

    def apply(self, block: BlockTold, seen_us: int, *, live: bool) -> None:
        """Fold the next block in."""
        self.height, self.block_us = block.number + 1, block.timestamp_us
        self.version += 1
        self.invalid += block.invalid
        for told in block.told:
            match told:
                case FrameTold():
                    self._frame(told, seen_us, live=live)
                case MergeTold():
                    self._merge(told, block.timestamp_us)
                case ResourcesTold():
                    self._resources(told)
                case RecordTold():
                    self._record(told)
                case AcknowledgedTold():
                    self.alarms.acknowledge(told)
                case ShelvedTold():
                    self.alarms.shelve(told)
                case UnreadableTold():
                    self.unreadable.append(told)

    def _group(self, group: str) -> GroupState | None:
        found = self.groups.get(group)
        if found is None:
            if len(self.groups) >= MAX_GROUPS:
                self.unfollowed += 1
                return None
            found = self.groups[group] = GroupState(self.channel, group)
        found.version = self.version
        return found

    def _frame(self, frame: FrameTold, seen_us: int, *, live: bool) -> None:
        group = self._group(frame.group)
        if group is None:
            return
        gaps = len(group.gaps), group.gaps[-1] if group.gaps else None
        if frame.action is not None:
            self._act(group, frame)
        if not group.note_frame(frame, seen_us, live=live):
            return
        if gaps != (len(group.gaps), group.gaps[-1] if group.gaps else None):
            self._returned_data(group, frame)
        self._draw(group, frame)
        self._judge(frame)

    def _act(self, group: GroupState, frame: FrameTold) -> None:
        action = frame.action
        if action is None:
            return
        group.actions.append(
            ActionNote(
                self.channel,
                group.group,
                frame.time_us,
                frame.place,
                action.number,
                action.weak_bus,
                action.source_bus,
                action.q_mvar,
            )
        )
        bus = action.source_bus
        group.standing[bus] = group.standing.get(bus, 0.0) + action.q_mvar
        group.vvc = dict(action.vvc_left)

    def _returned_data(self, group: GroupState, frame: FrameTold) -> None:
        """Frames come again: what was an alarm meanwhile has returned to normal."""
        from_us, to_us, last_us = group.gaps[-1]
        detail = f"none for {(to_us - from_us) / 1e6:.1f} s"
        self.alarms.raised(group.group, NO_DATA, last_us, frame.place.tx_id, detail)
        self.alarms.calm(group.group, NO_DATA, MISSED)

    def _draw(self, group: GroupState, frame: FrameTold) -> None:
        buses = tuple(sorted(frame.vsi))
        if group.series is not None and group.series.buses == buses and not group.series.is_ahead_of(frame):
            group.series.add(frame)
            return
        group.series = None
        kept = sum(len(each.series.buses) for each in self.groups.values() if each.series is not None)
        if kept + len(buses) <= MAX_SERIES_BUSES:
            group.series = Series(buses)
            group.series.add(frame)

    def _judge(self, frame: FrameTold) -> None:
        """Raise what the frame shows, and let what it does not show come to rest."""
        group, tx_id = frame.group, frame.place.tx_id
        margin = frame.margin
        weak = "" if margin is None or frame.threshold is None else (
            f"bus {frame.weak_bus}: VSI {margin + frame.threshold:.4f}, threshold {frame.threshold:.4f}"
        )  # fmt: skip
        causes = {
            VSI: (frame.alarm, weak),
            ESCALATED: (frame.outcome == "escalate", weak),
            SUSPECT: (frame.outcome == "suspect", frame.suspect or ""),
            STALE: (frame.outcome == "stale", "the planner has to submit the record again"),
        }
        for kind, (stands, detail) in causes.items():
            if stands:
                self.alarms.raised(group, kind, frame.time_us, tx_id, detail)
            elif kind != ESCALATED or not frame.alarm:  # an escalated group that is pending still has nothing left
                self.alarms.calm(group, kind)

    def _merge(self, told: MergeTold, block_us: int) -> None:
        ended = block_us if told.status == "closed" else None
        known = self.merges.get(told.number)
        if known is None:
            self.merges[told.number] = MergeNote(told, block_us, block_us, ended)
            if len(self.merges) > MAX_MERGES:
                over = [number for number, each in self.merges.items() if each.ended_us is not None]
                del self.merges[over[0] if over else next(iter(self.merges))]
            return
        if known.told.status != told.status or known.told.group != told.group:
            known.since_us = block_us
        known.told, known.ended_us = told, ended

    def _resources(self, told: ResourcesTold) -> None:
        group = self._group(told.group)
        if group is not None:
            group.vvc = dict(told.vvc)
            if told.afresh:
                group.standing, group.afresh_us = {}, told.place.proposed_us

    def _record(self, told: RecordTold) -> None:
        self.records += 1
        group = self._group(told.group)
        if group is not None and told.threshold is not None:
            group.threshold = told.threshold


class GridState:
    """All channels. ``interval_s``: between a group's frames, where it is told."""

    def __init__(self, channels: Mapping[str, str] | None = None, *, interval_s: float | None = None) -> None:
        self.interval_s = interval_s
        self.channels: dict[str, ChannelState] = {name: ChannelState(name) for name in channels or ()}

    def apply(self, block: BlockTold, seen_us: int, *, live: bool = True) -> bool:
        """Fold a block in; False where it, or a later one of its channel, was before: then nothing changes.

        ``seen_us``: when it came, by the clock by which :mod:`~services.console.grid.view` looks at it; the block's own
        time where it is read from the past, and ``live`` false.
        """
        channel = self.channel(block.channel)
        if block.number < channel.height:
            return False
        channel.apply(block, seen_us, live=live)
        return True

    def channel(self, name: str) -> ChannelState:
        """The state of a channel, which begins here where it is new."""
        if name not in self.channels:
            self.channels[name] = ChannelState(name)
        return self.channels[name]

    def groups(self) -> Iterator[GroupState]:
        """All groups of all channels, in the order of their numbers."""
        every = [group for channel in self.channels.values() for group in channel.groups.values()]
        yield from sorted(every, key=lambda one: ([int(part) for part in one.group.split("_")], one.channel))

    def merges(self) -> Iterator[MergeNote]:
        """All merges that are remembered."""
        for name in sorted(self.channels):
            yield from self.channels[name].merges.values()
