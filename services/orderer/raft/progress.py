"""What a leader knows of one follower, and how it feeds it (after etcd-io/raft's tracker).

PROBE: where the logs agree is not known; one append at a time, the next after an answer or a heartbeat.
REPLICATE: it is known; appends stream, bounded by count and bytes under way.
SNAPSHOT: what it needs was compacted; a snapshot is under way, no appends.
"""

from __future__ import annotations

import enum
from collections import deque


class Feed(enum.Enum):
    """How a follower is fed."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """``match`` is known to be durable in the follower's log and equal to ours; ``next`` is the next index to send."""

    __slots__ = (
        "_inflight",
        "_inflight_bytes",
        "_max_bytes",
        "_max_count",
        "active",
        "declined",
        "denials",
        "feed",
        "match",
        "next",
        "nudge",
        "paused",
        "silent",
        "snapshot_index",
        "snapshot_tick",
        "told_commit",
    )

    def __init__(self, next_index: int, *, max_count: int, max_bytes: int) -> None:
        self.match = 0
        self.next = next_index
        self.feed = Feed.PROBE
        self.paused = False
        self.nudge = False
        self.active = True
        self.silent = 0
        """In how many election timeouts in a row nothing was heard."""
        self.declined = 0
        """The entry that the follower does not accept, 0 for none."""
        self.denials = 0
        """How often in a row the follower refused what it had acknowledged."""
        self.told_commit = 0
        self.snapshot_index = 0
        self.snapshot_tick = 0
        self._inflight: deque[tuple[int, int]] = deque()
        self._inflight_bytes = 0
        self._max_count = max_count
        self._max_bytes = max_bytes

    def may_send(self) -> bool:
        """Whether another append may follow now."""
        if self.feed is Feed.PROBE:
            return not self.paused
        if self.feed is Feed.SNAPSHOT:
            return False
        return len(self._inflight) < self._max_count and self._inflight_bytes < self._max_bytes

    def sent(self, last: int, size: int) -> None:
        """An append up to ``last`` (entries of ``size`` bytes) is on its way."""
        if self.feed is Feed.PROBE:
            self.paused = True
            return
        self.next = last + 1
        self._inflight.append((last, size))
        self._inflight_bytes += size

    def acknowledged(self, index: int) -> bool:
        """The follower's log agrees with ours up to index, durably. Returns whether that is news."""
        while self._inflight and self._inflight[0][0] <= index:
            self._inflight_bytes -= self._inflight.popleft()[1]
        if index <= self.match:
            return False
        self.paused = False
        self.denials = 0
        if index >= self.declined:
            self.declined = 0
        self.match = index
        self.next = max(self.next, index + 1)
        return True

    def refused(self, previous: int, agreement: int) -> bool:
        """The follower lacks the entry at ``previous``; the logs may agree at ``agreement``. False for a stale refusal,
        or one of what it acknowledged.

        The latter is stale too, or the follower has lost its log. Then there is nothing to go back to, and an append at
        once would be refused at once, without end: the probe stays paused until the next heartbeat's answer.
        """
        if previous <= self.match:
            self.denials += self.feed is Feed.PROBE and previous == self.match
            return False
        if self.feed is Feed.REPLICATE:
            self.probe()
            return True
        if self.next - 1 != previous:
            return False
        self.next = max(min(previous, agreement + 1), self.match + 1)
        self.paused = False
        return True

    def declines(self, index: int) -> None:
        """The follower does not accept the entry at index: ask again with each heartbeat, or when it is committed."""
        self.probe()
        self.paused = True
        self.declined = index

    def committed(self, commit: int) -> None:
        """What the follower declined it takes once it is committed."""
        if 0 < self.declined <= commit:
            self.declined = 0
            self.paused = False

    def probe(self) -> None:
        """Go back to finding out; where a snapshot is under way, from behind it."""
        behind = self.snapshot_index if self.feed is Feed.SNAPSHOT else 0
        self._reset(Feed.PROBE)
        self.next = max(self.match, behind) + 1

    def replicate(self) -> None:
        """The logs agree up to ``match``: stream."""
        self._reset(Feed.REPLICATE)
        self.next = self.match + 1

    def await_snapshot(self, index: int, tick: int) -> None:
        """A snapshot at index was sent at this tick."""
        self._reset(Feed.SNAPSHOT)
        self.snapshot_index = index
        self.snapshot_tick = tick

    def _reset(self, feed: Feed) -> None:
        self.feed = feed
        self.paused = False
        self.nudge = False
        self._inflight.clear()
        self._inflight_bytes = 0
