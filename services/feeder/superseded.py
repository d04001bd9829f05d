"""Frames that were superseded: on their way while an injection, a new record or a merge changed what they read.

The ledger commits one of two transactions that meet on a key; the other conflicts. For a frame that is no fault: the
grid that it measured is not there any more, and the next frame, a moment later, measures the new one. A frame that
conflicts while nothing changed is a fault as any other. Where the topology changed, the contract may also have refused
the frame, which then does not fit the record.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridledger.grid.grouping import components
from services.feeder.group_loop import ESCALATE, INJECTED, LENT, RELEASED, STALE, FrameAnswer

SUPERSEDED = "superseded"
_OWN_GROUP = frozenset((INJECTED, RELEASED, STALE))
_ANY_GROUP = frozenset((ESCALATE, LENT))


@dataclass(frozen=True, slots=True)
class Change:
    """What a frame's answer made the feeder or the ledger change: in which groups (None: in any), and when."""

    groups: frozenset[str] | None
    begin_s: float
    end_s: float


class Changes:
    """The changes of a stream. Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._found: list[Change] = []

    def add(self, answer: FrameAnswer, begin_s: float, end_s: float) -> None:
        """Note a frame that was sent at ``begin_s``, and whose answer was carried out at ``end_s``."""
        if answer.outcome in _OWN_GROUP:
            self._found.append(Change(frozenset(components(answer.group)), begin_s, end_s))
        elif answer.outcome in _ANY_GROUP:
            self._found.append(Change(None, begin_s, end_s))

    def add_any(self, begin_s: float, end_s: float) -> None:
        """Note a time in which any group may have been changed."""
        self._found.append(Change(None, begin_s, end_s))

    def add_groups(self, groups: frozenset[str], begin_s: float, end_s: float) -> None:
        """Note a time in which these groups were changed."""
        self._found.append(Change(groups, begin_s, end_s))

    def met(self, group: str, begin_s: float, end_s: float) -> bool:
        """Whether a frame of a group that was on its way in this time met a change."""
        own = frozenset(components(group))
        return any(
            begin_s <= change.end_s and change.begin_s <= end_s and (change.groups is None or own & change.groups)
            for change in self._found
        )
