"""The simulated relay: clock, recorder and folder together, and those who are told of what it measures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from gridledger.field.capture import Capture, render_capture
from services.relay.simulator.clock import MINUTE_S, RelayClock
from services.relay.simulator.faults import FaultFolder
from services.relay.simulator.folder import CaptureFolder, Complete
from services.relay.simulator.misbehaviour import SHIFTS_S, Kind, Misbehaviour, Spell, garbage, other_face
from services.relay.simulator.recorder import Measured, OpenCapture, Recorder

LONGEST_HOLD_S = 60.0
"""How long a relay that does not answer keeps a request."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """What those who serve other protocols are told at each reading: the reading, and what was completed before it.

    ``broken``: the relay writes garbage, so these numbers are none.
    """

    measured: Measured
    faults: float
    began: bool
    broken: bool
    completed: tuple[OpenCapture, Complete] | None


class SimulatedRelay:
    """Captures minute after minute; :meth:`run` does so until it is cancelled."""

    def __init__(
        self,
        *,
        clock: RelayClock,
        recorder: Recorder,
        folder: CaptureFolder,
        faults: FaultFolder,
        misbehaviour: Misbehaviour,
        interval_s: int,
        seed: int,
    ) -> None:
        self.clock = clock
        self.folder = folder
        self.listeners: list[Callable[[Step], None]] = []
        self._recorder = recorder
        self._faults = faults
        self._misbehaviour = misbehaviour
        self._interval_s = interval_s
        self._seed = seed
        self._news = asyncio.Event()
        self._is_closed = False

    @property
    def kind(self) -> Kind | None:
        """What it does wrong now."""
        return self._misbehaviour.at(self.clock.now())

    def misbehave(self, kind: Kind | None, minutes: int) -> Spell | None:
        """Misbehave for some minutes from the next one that begins; None ends it at once."""
        return self._misbehaviour.begin(kind, self.clock.next_minute(), minutes)

    async def run(self, first_minute: int) -> None:
        """Take readings from the beginning of a minute on."""
        second = first_minute * MINUTE_S
        while True:
            await self.clock.until(second)
            self._step(second)
            second += self._interval_s

    async def next_complete(self, timeout_s: float) -> None:
        """Wait until a further capture is complete, or for ``timeout_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._news.wait()

    async def hold(self, kind: Kind, longest_s: float) -> None:
        """Wait for as long as the relay does this wrong, at most ``longest_s``."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest_s
        while self.kind == kind and not self._is_closed and (left := end - loop.time()) > 0:
            await self.next_complete(left)

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._is_closed = True
        self._news.set()

    def _step(self, second: int) -> None:
        kind = self._misbehaviour.at(second)
        finished = self._recorder.finish_before(second, kind)
        completed = None if finished is None else (finished, self._complete(finished))
        began = self._recorder.open is None
        measured = self._recorder.step(second, kind)
        capture = self._recorder.open
        assert capture is not None  # noqa: S101 - a step leaves one open
        self._write(self._recorder.capture_of(capture), began=began)
        step = Step(measured, capture.faults, began, capture.kind == "garbage", completed)
        for listener in self.listeners:
            listener(step)
        if completed is not None:
            self._news.set()
            self._news = asyncio.Event()

    def _write(self, capture: Capture, *, began: bool) -> None:
        text = render_capture(capture)
        if began:
            self.folder.begin(text)
        else:
            self.folder.append(text.splitlines(keepends=True)[-1])

    def _complete(self, finished: OpenCapture) -> Complete:
        capture = self._recorder.capture_of(finished)
        data, other = render_capture(capture).encode(), None
        if finished.kind == "garbage":
            data = garbage(capture, Random(f"{self._seed} garbage {finished.began}"))  # noqa: S311 - repeats itself
        elif finished.kind == "two-faced":
            other = render_capture(other_face(capture)).encode()
        if finished.kind != "garbage":
            self._faults.take(capture)
        shift_s = SHIFTS_S.get(finished.kind or "", 0)
        completed_us = round((self.clock.now() + shift_s) * _MICROSECONDS)
        return self.folder.complete(
            capture.time,
            finished.minute,
            data,
            other=other,
            completed_us=completed_us,
            real_us=self.clock.real_us(),
        )
