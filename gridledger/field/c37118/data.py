"""Data frames (section 6.3), by the configuration of their stream.

Values are in engineering units: phasors rectangular, in V and A as the configuration scales them; Hz; Hz/s. A value
that a device marks as absent (0x8000 of an integer, NaN of a float) is NaN. Integer FREQ is the deviation from the
nominal frequency in mHz, float FREQ the frequency itself; integer DFREQ is in Hz/s times 100.
"""

from __future__ import annotations

import cmath
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gridledger.field.c37118.config import Configuration, PhasorChannel, PmuConfig
from gridledger.field.c37118.frame import HEAD, FrameError, FrameTime, FrameType, put_frame, read_head

_ABSENT: Final = -0x8000
_PER_PHUNIT: Final = 100_000
_PER_RAD: Final = 10_000
_PER_HZ: Final = 1_000
_PER_ROCOF: Final = 100
_INT16: Final = 0x7FFF
_UINT16: Final = 0xFFFF
_NAN: Final = complex(math.nan, math.nan)

Scaler = Callable[[float, float], complex]

DATA_ERRORS: Final = ("good", "pmu error", "test mode or absent", "do not use")
TRIGGERS: Final = (
    *("manual", "magnitude low", "magnitude high", "phase angle difference", "frequency high or low", "df/dt high"),
    *("reserved", "digital", *(f"user {number}" for number in range(8, 16))),
)
UNLOCKED: Final = ("locked or less than 10 s", "10 to 100 s", "100 to 1000 s", "more than 1000 s")


@dataclass(frozen=True, slots=True)
class Stat:
    """STAT of one PMU in one frame: the word, and its bits by name (table 6)."""

    word: int

    @property
    def data_error(self) -> int:
        """Bits 15 and 14: 0 good, 1 an error of the PMU, 2 test mode or absent data, 3 do not use."""
        return self.word >> 14

    @property
    def is_good(self) -> bool:
        """Whether the values may be used: no error, no test mode, data not absent."""
        return self.word >> 14 == 0

    @property
    def unsynchronised(self) -> bool:
        """Bit 13: the PMU has lost the time."""
        return bool(self.word & 0x2000)

    @property
    def sorted_by_arrival(self) -> bool:
        """Bit 12: put into the frame by its arrival, not by its time."""
        return bool(self.word & 0x1000)

    @property
    def triggered(self) -> bool:
        """Bit 11."""
        return bool(self.word & 0x0800)

    @property
    def config_changes(self) -> bool:
        """Bit 10: the configuration changes within a minute; ask for it."""
        return bool(self.word & 0x0400)

    @property
    def modified(self) -> bool:
        """Bit 9: the values were modified after they were measured."""
        return bool(self.word & 0x0200)

    @property
    def time_quality(self) -> int:
        """Bits 8 to 6, PMU_TQ: 0 not told, 1 to 6 better than 10^(n - 8) s, 7 worse than 10 ms or unknown."""
        return self.word >> 6 & 0x07

    @property
    def unlocked(self) -> int:
        """Bits 5 and 4: for how long the clock has been unlocked, as :data:`UNLOCKED` has it."""
        return self.word >> 4 & 0x03

    @property
    def trigger_reason(self) -> int:
        """Bits 3 to 0, as :data:`TRIGGERS` has it."""
        return self.word & 0x0F

    def named(self) -> dict[str, Any]:
        """All bits by name."""
        return {
            "data_error": DATA_ERRORS[self.data_error],
            "unsynchronised": self.unsynchronised,
            "sorted_by_arrival": self.sorted_by_arrival,
            "triggered": self.triggered,
            "config_changes": self.config_changes,
            "modified": self.modified,
            "time_quality": self.time_quality,
            "unlocked": UNLOCKED[self.unlocked],
            "trigger_reason": TRIGGERS[self.trigger_reason],
        }


@dataclass(frozen=True, slots=True)
class PmuData:
    """What one PMU measured."""

    stat: Stat
    phasors: tuple[complex, ...]
    freq_hz: float
    rocof_hz_s: float
    analogs: tuple[float, ...] = ()
    digitals: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DataFrame:
    """One moment of a stream. ``pmus``: in the order of the configuration."""

    idcode: int
    time: FrameTime
    pmus: tuple[PmuData, ...]
    version: int = 1


class DataCodec:
    """Decodes and encodes the data frames of one configuration."""

    def __init__(self, config: Configuration) -> None:
        self.config = config
        self._struct = struct.Struct(">" + "".join(pmu.data_struct for pmu in config.pmus))
        self._scalers = [[_scaler(config, pmu, channel) for channel in pmu.phasors] for pmu in config.pmus]
        self.size = config.data_size

    def decode(self, frame: bytes) -> DataFrame:
        """A data frame of this configuration's stream; :class:`FrameError` for any other."""
        head = read_head(frame)
        if head.kind is not FrameType.DATA:
            raise FrameError("sync", f"a frame of type {head.kind.name} is no data")
        if head.idcode != self.config.idcode:
            raise FrameError("idcode", f"the frame is of stream {head.idcode}, the configuration of another")
        if head.size != self.size:
            raise FrameError("size", f"the frame has {head.size} bytes; by its configuration it has {self.size}")
        values = iter(self._struct.unpack_from(frame, HEAD.size))
        pmus = tuple(map(self._pmu, self.config.pmus, self._scalers, (values,) * len(self.config.pmus)))
        return DataFrame(head.idcode, head.time, pmus, head.version)

    def _pmu(self, pmu: PmuConfig, scalers: list[Scaler], values: Iterator[Any]) -> PmuData:
        stat = Stat(next(values))
        phasors = tuple([scaled(next(values), next(values)) for scaled in scalers])
        freq, rocof = next(values), next(values)
        if not pmu.format.float_freq:
            freq = math.nan if freq == _ABSENT else pmu.nominal_hz + freq / _PER_HZ
            rocof = math.nan if rocof == _ABSENT else rocof / _PER_ROCOF
        analogs = tuple([self._analog(pmu, at, next(values)) for at in range(len(pmu.analogs))])
        return PmuData(stat, phasors, freq, rocof, analogs, tuple([next(values) for _ in pmu.digitals]))

    def _analog(self, pmu: PmuConfig, at: int, value: float) -> float:
        if not pmu.format.float_analogs and value == _ABSENT:
            return math.nan
        if self.config.kind is FrameType.CFG3:
            return value * pmu.analogs[at].scale + pmu.analogs[at].offset
        return float(value)

    def encode(self, data: DataFrame) -> bytes:
        """The frame's bytes. :class:`FrameError` where a value does not fit its format."""
        if len(data.pmus) != len(self.config.pmus):
            raise FrameError("num_pmu", f"data of {len(data.pmus)} PMUs, and there are {len(self.config.pmus)}")
        values: list[Any] = []
        for pmu, measured in zip(self.config.pmus, data.pmus, strict=True):
            values += self._put(pmu, measured)
        try:
            body = self._struct.pack(*values)
        except (struct.error, OverflowError) as error:
            raise FrameError("data", f"a value does not fit: {error}") from None
        return put_frame(FrameType.DATA, data.version, self.config.idcode, data.time, body)

    def _put(self, pmu: PmuConfig, data: PmuData) -> Iterator[Any]:
        counts = (len(data.phasors), len(data.analogs), len(data.digitals))
        if counts != (len(pmu.phasors), len(pmu.analogs), len(pmu.digitals)):
            raise FrameError("pmu", f"{pmu.station}: {counts} phasors, analogs and digitals do not fit")
        yield data.stat.word
        for channel, phasor in zip(pmu.phasors, data.phasors, strict=True):
            yield from self._put_phasor(pmu, channel, phasor)
        if pmu.format.float_freq:
            yield from (data.freq_hz, data.rocof_hz_s)
        else:
            yield _rounded("freq", (data.freq_hz - pmu.nominal_hz) * _PER_HZ)
            yield _rounded("dfreq", data.rocof_hz_s * _PER_ROCOF)
        for analog, value in zip(pmu.analogs, data.analogs, strict=True):
            if self.config.kind is FrameType.CFG3:
                raw = (value - analog.offset) / _divisor("anscale", analog.scale)
            else:
                raw = value
            yield raw if pmu.format.float_analogs else _rounded("analog", raw)
        yield from data.digitals

    def _put_phasor(self, pmu: PmuConfig, channel: PhasorChannel, phasor: complex) -> tuple[float, float]:
        if self.config.kind is FrameType.CFG3:
            if (channel.scale, channel.offset_rad) != (1.0, 0.0):
                phasor = phasor * cmath.exp(1j * channel.offset_rad) / _divisor("phscale", channel.scale)
        elif not pmu.format.float_phasors:
            phasor = phasor * _PER_PHUNIT / _divisor("phunit", channel.factor)
        if not pmu.format.polar:
            if pmu.format.float_phasors:
                return phasor.real, phasor.imag
            return _rounded("phasor", phasor.real), _rounded("phasor", phasor.imag)
        if pmu.format.float_phasors:
            return abs(phasor), cmath.phase(phasor)
        if cmath.isnan(phasor):
            return 0, _ABSENT
        if abs(phasor) >= _UINT16 + 0.5:
            raise FrameError("phasor", f"the magnitude {abs(phasor):g} does not fit into 16 bits")
        return round(abs(phasor)), round(cmath.phase(phasor) * _PER_RAD)


def _scaler(config: Configuration, pmu: PmuConfig, channel: PhasorChannel) -> Scaler:
    """From a phasor's two numbers in a frame to the phasor in V or A."""
    rectangular = _rectangular(pmu.format.polar, is_float=pmu.format.float_phasors)
    if config.kind is FrameType.CFG3:
        if (channel.scale, channel.offset_rad) == (1.0, 0.0):
            return rectangular
        turn = channel.scale * (cmath.exp(-1j * channel.offset_rad) if math.isfinite(channel.offset_rad) else _NAN)
        return lambda first, second: rectangular(first, second) * turn
    if pmu.format.float_phasors:
        return rectangular
    factor = channel.factor
    if pmu.format.polar:
        return lambda first, second: rectangular(first * factor / _PER_PHUNIT, second)
    return lambda first, second: (
        _NAN if _ABSENT in (first, second) else complex(first * factor / _PER_PHUNIT, second * factor / _PER_PHUNIT)
    )


def _rectangular(polar: bool, *, is_float: bool) -> Scaler:
    if polar and is_float:
        return _from_polar
    if polar:
        return lambda magnitude, angle: _NAN if angle == _ABSENT else _from_polar(magnitude, angle / _PER_RAD)
    if is_float:
        return complex
    return lambda real, imaginary: _NAN if _ABSENT in (real, imaginary) else complex(real, imaginary)


def _from_polar(magnitude: float, angle: float) -> complex:
    """The phasor; NaN where a number is none or infinite."""
    if not math.isfinite(angle):
        return _NAN
    return complex(magnitude * math.cos(angle), magnitude * math.sin(angle))


def _divisor(field: str, scale: float) -> float:
    if not scale:
        raise FrameError(field, "a factor of 0 scales no value")
    return scale


def _rounded(field: str, value: float) -> int:
    if math.isnan(value):
        return _ABSENT
    if abs(value) >= _INT16 + 0.5:  # what was an integer may come back a little beside it
        raise FrameError(field, f"{value:g} does not fit into 16 bits")
    return round(value)
