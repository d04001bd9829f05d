"""The clock of a stream: seconds since it began, which stand still while it is paused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class StreamClock:
    """Begins ``lead_s`` from now. ``now`` is the machine's clock, in seconds."""

    def __init__(self, lead_s: float = 0.0, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._begin = now() + lead_s
        self._paused_at: float | None = None
        self._ended = False
        self._running = asyncio.Event()
        self._running.set()

    @property
    def at_s(self) -> float:
        """Seconds since the stream began, pauses left out."""
        return (self._now() if self._paused_at is None else self._paused_at) - self._begin

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused_at is not None

    @property
    def ended(self) -> bool:
        """Whether the stream shall send nothing more."""
        return self._ended

    def real(self, at_s: float) -> float:
        """The machine's time for a time of the stream, if it is not paused until then."""
        return self._begin + at_s

    def pause(self) -> bool:
        """Stand still; False where it does already."""
        if self._paused_at is not None:
            return False
        self._paused_at = self._now()
        self._running.clear()
        return True

    def resume(self) -> bool:
        """Go on; False where it does already."""
        if self._paused_at is None:
            return False
        self._begin += self._now() - self._paused_at
        self._paused_at = None
        self._running.set()
        return True

    def end(self) -> None:
        """Let every wait end now."""
        self._ended = True
        self._running.set()

    async def until(self, at_s: float) -> bool:
        """Wait for a time of the stream; False where the stream ended first."""
        while not self._ended:
            await self._running.wait()
            delay = self.real(at_s) - self._now()
            if self.paused:
                continue
            if delay <= 0.0:
                return not self._ended
            await asyncio.sleep(min(delay, _LOOK_EVERY_S))
        return False


_LOOK_EVERY_S = 0.5
"""How long a wait sleeps at most before it looks whether the stream ended or was paused."""
