"""Alarms by ISA-18.2, folded from what frames and people said: raised, acknowledged, returned to normal, shelved.

A source is a group and a kind. Its alarm is *active* while its cause stands, and stays listed as *returned* until
somebody has acknowledged it. Clock and order come from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from services.console.grid.told import AcknowledgedTold, ShelvedTold

ESCALATED: Final = "escalated"
VSI: Final = "vsi"
NO_DATA: Final = "no_data"
SUSPECT: Final = "suspect"
STALE: Final = "stale"

PRIORITIES: Final[Mapping[str, int]] = {ESCALATED: 1, VSI: 2, NO_DATA: 2, SUSPECT: 3, STALE: 3}
"""1 is the most urgent. By how little time is left: a group without reactive power, one below its threshold or unseen,
one whose measurement or record is in doubt."""
MEANINGS: Final[Mapping[str, str]] = {
    ESCALATED: "no reactive power left in the group",
    VSI: "VSI below the threshold",
    NO_DATA: "no frames come",
    SUSPECT: "the frame contradicts itself",
    STALE: "power flows otherwise than the record says",
}
CALM_FRAMES: Final = 3
"""Frames in a row without the cause until an alarm has returned to normal; measurements are noisy."""
DELAYS_US: Final[Mapping[str, int]] = {STALE: 5_000_000}
"""How long a cause stands, by the frames' times, before it is an alarm: the planner renews a record by itself."""
MAX_SOURCES: Final = 2048
"""Sources whose acknowledgements and shelves are remembered: whoever is an operator may name any."""
_KEPT_ACKNOWLEDGEMENTS: Final = 16

State = Literal["unacknowledged", "acknowledged", "returned"]
Source = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One source's alarm. It was raised ``count`` times since ``first_us``, the last time at ``raised_us``.

    ``last_us``: the time of the last frame with the cause. Times are those of frames. ``tx_id``: of the raising frame.
    """

    channel: str
    group: str
    kind: str
    first_us: int
    raised_us: int
    last_us: int
    tx_id: str
    detail: str
    active: bool = True
    count: int = 1
    calm: int = 0
    acknowledged: AcknowledgedTold | None = None
    shelved: ShelvedTold | None = None

    @property
    def priority(self) -> int:
        """1 (most urgent) to 3."""
        return PRIORITIES.get(self.kind, 3)

    @property
    def state(self) -> State:
        """As ISA-18.2 calls it, without shelving."""
        if not self.active:
            return "returned"
        return "unacknowledged" if self.acknowledged is None else "acknowledged"

    @property
    def id(self) -> str:
        """A name for it on a page."""
        return f"{self.channel}/{self.group}/{self.kind}"


class ChannelAlarms:
    """The alarms of one channel's groups. It holds one for each source, so it is as large as there are groups."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._alarms: dict[Source, Alarm] = {}
        self._since: dict[Source, int] = {}
        self._acknowledged: dict[Source, deque[AcknowledgedTold]] = {}
        self._shelved: dict[Source, ShelvedTold] = {}

    def raised(self, group: str, kind: str, time_us: int, tx_id: str, detail: str) -> None:
        """A frame has the cause."""
        source = (group, kind)
        if time_us - self._since.setdefault(source, time_us) < DELAYS_US.get(kind, 0):
            return
        known = self._alarms.get(source)
        if known is None:
            known = Alarm(self._channel, group, kind, time_us, time_us, time_us, tx_id, detail)
        elif known.active:
            known = replace(known, last_us=max(known.last_us, time_us), detail=detail, calm=0)
        else:
            last_us = max(known.last_us, time_us)
            again = known.count + 1
            known = replace(
                known,
                raised_us=time_us,
                last_us=last_us,
                tx_id=tx_id,
                detail=detail,
                active=True,
                count=again,
                calm=0,
                acknowledged=None,
            )
        self._alarms[source] = known
        for each in self._acknowledged.get(source, ()):
            self._take(each)

    def calm(self, group: str, kind: str, frames: int = 1) -> None:
        """A frame, or several, without the cause."""
        self._since.pop((group, kind), None)
        known = self._alarms.get((group, kind))
        if known is None or not known.active:
            return
        known = replace(known, calm=known.calm + frames)
        if known.calm >= CALM_FRAMES:
            known = replace(known, active=False)
        self._keep(known)

    def acknowledge(self, told: AcknowledgedTold) -> None:
        """Somebody acknowledged an alarm of this channel; it may be one that is known only later."""
        source = (told.group, told.kind)
        if source not in self._acknowledged and len(self._acknowledged) >= MAX_SOURCES:
            del self._acknowledged[next(iter(self._acknowledged))]
        kept = self._acknowledged.setdefault(source, deque(maxlen=_KEPT_ACKNOWLEDGEMENTS))
        if all(each.raised_us != told.raised_us for each in kept):
            kept.append(told)
        self._take(told)

    def shelve(self, told: ShelvedTold) -> None:
        """A source is shelved, or no more."""
        if told.until_us is None:
            self._shelved.pop((told.group, told.kind), None)
        else:
            self._shelved.pop((told.group, told.kind), None)
            self._shelved[told.group, told.kind] = told
            if len(self._shelved) > MAX_SOURCES:
                del self._shelved[next(iter(self._shelved))]

    def acknowledgement(self, group: str, kind: str, raised_us: int) -> AcknowledgedTold | None:
        """Who acknowledged the alarm that was raised then."""
        kept = self._acknowledged.get((group, kind), ())
        return next((each for each in kept if each.raised_us == raised_us), None)

    def shelf(self, group: str, kind: str, now_us: int) -> ShelvedTold | None:
        """That a source is shelved now."""
        found = self._shelved.get((group, kind))
        return found if found is not None and found.until_us is not None and found.until_us > now_us else None

    def listed(self, now_us: int) -> list[Alarm]:
        """All that are active, or returned and not acknowledged yet."""
        return [replace(each, shelved=self.shelf(each.group, each.kind, now_us)) for each in self._alarms.values()]

    def shelves(self, now_us: int) -> list[ShelvedTold]:
        """What is shelved now."""
        return [each for each in self._shelved.values() if each.until_us is not None and each.until_us > now_us]

    def _take(self, told: AcknowledgedTold) -> None:
        known = self._alarms.get((told.group, told.kind))
        if known is None or known.acknowledged is not None or not known.raised_us <= told.raised_us <= known.last_us:
            return
        self._keep(replace(known, acknowledged=told))

    def _keep(self, alarm: Alarm) -> None:
        """What has returned and is acknowledged is over."""
        source = (alarm.group, alarm.kind)
        if not alarm.active and alarm.acknowledged is not None:
            del self._alarms[source]
        else:
            self._alarms[source] = alarm


def in_order(alarms: Iterable[Alarm]) -> list[Alarm]:
    """The most urgent first: not shelved, not acknowledged, by priority, the oldest first."""
    rank = {"unacknowledged": 0, "returned": 1, "acknowledged": 2}
    return sorted(
        alarms,
        key=lambda alarm: (
            alarm.shelved is not None,
            rank[alarm.state],
            alarm.priority,
            alarm.raised_us,
            alarm.channel,
            alarm.group,
            alarm.kind,
        ),
    )


def first_out(alarms: Iterable[Alarm]) -> Alarm | None:
    """The alarm with which the present disturbance began: of all that are listed the one that was raised first."""
    return min(
        (alarm for alarm in alarms if alarm.shelved is None),
        key=lambda alarm: (alarm.first_us, alarm.priority, alarm.channel, alarm.group, alarm.kind),
        default=None,
    )
