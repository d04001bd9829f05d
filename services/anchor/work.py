"""One channel's work, round and round: follow the own peer, look at the anchors, do what is due."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridledger.errors import GridLedgerError
from gridledger.protocol.statements import Statement
from services.anchor import metrics
from services.anchor.anchoring import Anchoring
from services.anchor.chain import PeerChain
from services.anchor.deciding import LATE_INTERVALS, Pace

TICKS: Final = 20
"""Of an interval: how often it is asked what is due while a round is open."""
FOLLOWS: Final = 2
"""Of an interval: how often the own peer is asked for more blocks, at least."""
BLOCK_FOLLOWS: Final = 4
"""How often while an interval's blocks come."""
LEAD: Final = 0.02
"""Of an interval: so long before its turn an agent asks its own peer for more blocks."""
_ACTS_AT_ONCE: Final = 4
_CATCH_UPS: Final = 4
"""How often the own peer is asked for blocks that another agent has, a moment apart."""
_LATER_S: Final = 0.005
"""So much behind a slot's begin an agent wakes: clocks differ in their last digits."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trouble:
    """Since when a side has not answered, None while it does, when it did last, and what it said."""

    since_s: float | None = None
    well_s: float | None = None
    said: str = ""


class ChannelWork:
    """Keeps one channel anchored until it is cancelled."""

    def __init__(
        self, chain: PeerChain, anchoring: Anchoring, pace: Pace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.chain = chain
        self.anchoring = anchoring
        self._pace = pace
        self._clock = clock
        self._woken = asyncio.Event()
        self._needs_look = True
        self._looked_s = self._followed_s = float("-inf")
        self._rate = 0.0
        self._peer, self._ledger = _Trouble(), _Trouble()
        self._following = asyncio.Lock()

    def wake(self) -> None:
        """Something was said of the channel: look at once."""
        self._needs_look = True
        self._woken.set()

    async def run(self) -> None:
        """Until this is cancelled."""
        while True:
            self._woken.clear()
            await self.once()
            try:
                async with asyncio.timeout(self.pause_s()):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def once(self) -> None:
        """Follow, look, and do what is due; each only where it is time."""
        await self._follow()
        for _ in range(_ACTS_AT_ONCE):
            try:
                looked = await self._look()
                acted = await self.anchoring.step()
                if looked or acted:
                    self._is_well(self._ledger, "ledger")
            except GridLedgerError as error:
                self._is_away(self._ledger, "ledger", error)
                self._needs_look = True
                self._looked_s = self._clock()
                break
            if not acted:
                break
            metrics.SAID.labels(self.chain.channel, "done").inc()
            self._needs_look = True
        self._measure()

    async def statement(self, asker: str, size: int, base: int) -> Statement:
        """What the own organisation says of a size; as :meth:`Anchoring.sign`, once the own peer has so many blocks."""
        view, interval_s = self.anchoring.view, self._pace.interval_s
        if view is not None and base > view.status.size and self._clock() - self._looked_s > interval_s / TICKS:
            self._needs_look = True
            await self._look()
        most = self.chain.tree.size + self._pace.interval_blocks
        for attempt in range(_CATCH_UPS):
            if self.chain.tree.size >= size or size > most:
                break
            if attempt:
                await asyncio.sleep(interval_s * LEAD)
            await self._follow_now()
        return await self.anchoring.sign(asker, size, base)

    def pause_s(self) -> float:
        """How long there is nothing to do, unless somebody says something."""
        view, now_s, tick_s = self.anchoring.view, self._clock(), self._pace.interval_s / TICKS
        if view is None or view.status.rounds or self._peer.since_s is not None or self._ledger.since_s is not None:
            return tick_s
        turn = self.anchoring.decider.turn(view)
        until = [self._followed_s + self._follow_every_s - now_s, self._looked_s + self._pace.interval_s - now_s]
        if turn is not None and view.status.members == view.members:
            slot_s = self.anchoring.decider.until_slot_s(turn)
            until.append(slot_s + _LATER_S)
            if turn == 0:
                until.append(slot_s - LEAD * self._pace.interval_s)
        return min(max(min([each for each in until if each > 0], default=tick_s), _LATER_S), tick_s * FOLLOWS * 5)

    async def _follow(self) -> None:
        now_s = self._clock()
        is_due = now_s - self._followed_s >= self._follow_every_s
        if is_due or self._has_larger_round() or self._comes_next(now_s):
            await self._follow_now()

    def _comes_next(self, now_s: float) -> bool:
        """Whether this agent's turn is near, so that it should know how many blocks there are."""
        view, lead_s = self.anchoring.view, LEAD * self._pace.interval_s
        if view is None or view.status.rounds or now_s - self._followed_s <= 2 * lead_s:
            return False
        decider = self.anchoring.decider
        return decider.turn(view) == 0 and decider.until_slot_s(0) <= lead_s + _LATER_S

    async def _follow_now(self) -> None:
        async with self._following:
            await self._follow_peer()

    async def _follow_peer(self) -> None:
        now_s = self._clock()
        before = self.chain.tree.size
        try:
            has_more = await self.chain.follow()
        except GridLedgerError as error:
            self._followed_s = now_s
            self._is_away(self._peer, "peer", error)
            return
        except OSError as error:
            self._followed_s = now_s
            self._is_away(self._peer, "peer", GridLedgerError(f"the file of leaves cannot be written: {error}"))
            return
        self._is_well(self._peer, "peer")
        self._rate = (self.chain.tree.size - before) / max(now_s - self._followed_s, 0.1)
        self._followed_s = float("-inf") if has_more else now_s

    async def _look(self) -> bool:
        """Ask for the status where something was said, and now and then; whether it was asked for."""
        now_s = self._clock()
        if not self._needs_look and now_s - self._looked_s < self._pace.interval_s:
            return False
        if self._ledger.since_s is not None and now_s - self._looked_s < self._pace.interval_s / BLOCK_FOLLOWS:
            return False  # it did not answer just now
        self._needs_look = False
        await self.anchoring.look()
        self._looked_s = now_s
        view = self.anchoring.view
        if view is not None:
            self.chain.settle(view.status.final)
        return True

    @property
    def _follow_every_s(self) -> float:
        """Twice an interval, and as often as a quarter of an interval's blocks come."""
        blocks_s = self._pace.interval_blocks / self._rate if self._rate > 0 else float("inf")
        every_s = min(self._pace.interval_s / FOLLOWS, blocks_s / BLOCK_FOLLOWS)
        return max(every_s, self._pace.interval_s / TICKS)

    def _has_larger_round(self) -> bool:
        """Whether somebody has attested a size that the own peer may have by now."""
        view, now_s = self.anchoring.view, self._clock()
        if view is None or now_s - self._followed_s < self._pace.interval_s / TICKS:
            return False
        size, most = self.chain.tree.size, self._pace.interval_blocks
        return any(size < one.size <= size + most for one in view.status.rounds)

    def _is_away(self, trouble: _Trouble, kind: str, error: GridLedgerError) -> None:
        now_s = self._clock()
        if trouble.since_s is None:
            trouble.since_s = now_s if trouble.well_s is None else trouble.well_s
        if error.message != trouble.said:
            trouble.said = error.message
            _log.info("%s: the %s: %s", self.chain.channel, kind, error.message)
        if now_s - trouble.since_s > LATE_INTERVALS * self._pace.interval_s:
            self.anchoring.alarms.set(kind, f"no answer for three intervals: {error.message}")

    def _is_well(self, trouble: _Trouble, kind: str) -> None:
        trouble.since_s, trouble.well_s, trouble.said = None, self._clock(), ""
        self.anchoring.alarms.set(kind, None)

    def _measure(self) -> None:
        channel, view = self.chain.channel, self.anchoring.view
        metrics.HEIGHT.labels(channel).set(self.chain.tree.size)
        if view is not None:
            metrics.SIZE.labels(channel).set(view.status.size)
            metrics.FORKS.labels(channel).set(view.status.forks)
            metrics.LAG_SECONDS.labels(channel).set(self.anchoring.lag_s)

    def state(self) -> dict[str, Any]:
        """What the agent's page tells of the channel."""
        view = self.anchoring.view
        size = 0 if view is None else view.status.size
        return {
            "channel": self.chain.channel,
            "height": self.chain.tree.size,
            "size": size,
            "lag_blocks": max(0, self.chain.tree.size - size),
            "lag_s": round(self.anchoring.lag_s, 3),
            "forks": 0 if view is None else view.status.forks,
            "members": None if view is None else list(view.members.organisations),
            "alarms": self.anchoring.alarms.on,
        }
