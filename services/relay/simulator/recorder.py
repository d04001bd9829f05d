"""The article's Algorithm 1: which second belongs to which capture. Pure: seconds come in, captures come out.

    T_general = local minute; the file begins with name, substation and faults
    while the local minute is T_general: a reading, then 10 s of waiting
    the file gets the name T_general

The article looks at its clock before it waits, so a capture's last reading lies in the next minute, up to 10 s late.
Here the clock is looked at after the wait: a minute has six readings, at :00 to :50, and its file is complete when the
minute is. Both are captures of the strict grammar.

A capture's values depend on the seed and on the second in which it began, so that a relay that was off in between
draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from gridledger.field.capture import Capture, Reading
from services.relay.simulator.clock import MINUTE_S, local_time
from services.relay.simulator.draws import draw_faults, draw_values
from services.relay.simulator.misbehaviour import SHIFTS_S, Kind


@dataclass(frozen=True, slots=True)
class Measured:
    """A reading and when it was taken: by the relay's clock in UTC, seconds since 1970."""

    second: int
    reading: Reading


@dataclass(slots=True)
class OpenCapture:
    """The capture that is being written. ``began``: the true second, from which its minute of misbehaviour follows;
    ``minute``: the UTC epoch minute by the relay's clock, wrong where that is."""

    began: int
    minute: int
    time: datetime
    faults: float
    random: Random
    kind: Kind | None
    measured: list[Measured] = field(default_factory=list)


class Recorder:
    """Takes a reading at every step and says when a capture is complete."""

    def __init__(
        self, relay: str, substation: str, utc_offsets: Sequence[dict[str, int]], seed: int, *, physical: bool = False
    ) -> None:
        self._relay = relay
        self._substation = substation
        self._utc_offsets = utc_offsets
        self._seed = seed
        self._physical = physical
        self.open: OpenCapture | None = None

    def finish_before(self, second: int, kind: Kind | None) -> OpenCapture | None:
        """The open capture, where a step at ``second`` no longer belongs to it; it is then closed."""
        capture = self.open
        if capture is None:
            return None
        time = self._shown(second, kind)
        if time.replace(second=0) == capture.time and time > capture.measured[-1].reading.time:
            return None
        self.open = None
        return capture

    def step(self, second: int, kind: Kind | None) -> Measured:
        """Take a reading; it begins a capture where none is open."""
        shown = second + SHIFTS_S.get(kind or "", 0)
        if self.open is None:
            random = Random(f"{self._seed} {shown}")  # noqa: S311 - a simulation, which must repeat itself
            time = self._shown(second, kind).replace(second=0)
            self.open = OpenCapture(second, shown // MINUTE_S, time, draw_faults(random), random, kind)
        values = draw_values(self.open.random, physical=self._physical)
        measured = Measured(shown, Reading(self._shown(second, kind), values))
        self.open.measured.append(measured)
        return measured

    def capture_of(self, capture: OpenCapture) -> Capture:
        """What a capture says so far."""
        readings = tuple(one.reading for one in capture.measured)
        return Capture(capture.time, self._relay, self._substation, capture.faults, readings)

    def _shown(self, second: int, kind: Kind | None) -> datetime:
        return local_time(second + SHIFTS_S.get(kind or "", 0), self._utc_offsets)
