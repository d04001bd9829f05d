"""The configuration of a stream, and its frames CFG-1 and CFG-2 (section 6.4, tables 8 and 9)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gridledger.field.c37118.fields import Fields
from gridledger.field.c37118.frame import (
    CHK_BYTES,
    HEAD,
    MAX_FRAME,
    MIN_FRAME,
    FrameError,
    FrameTime,
    FrameType,
    put_frame,
    read_head,
)

MAX_PMUS: Final = 2_048
MAX_CHANNELS: Final = 32_767
"""Of one kind in one PMU; FRAMESIZE bounds them all together."""
LABELS_IN_A_WORD: Final = 16
DEFAULT_TIME_BASE: Final = 1_000_000

_NAME_BYTES: Final = 16
_TIME_BASE: Final = 0xFFFFFF
_RATES: Final = range(-32_767, 32_768)


@dataclass(frozen=True, slots=True)
class Format:
    """FORMAT: how a PMU's values stand in data frames."""

    polar: bool = False
    float_phasors: bool = True
    float_analogs: bool = True
    float_freq: bool = True

    @classmethod
    def of(cls, word: int) -> Format:
        """From the word; its upper twelve bits are unused."""
        return cls(bool(word & 1), bool(word & 2), bool(word & 4), bool(word & 8))

    @property
    def word(self) -> int:
        """FORMAT as a number."""
        return self.polar | self.float_phasors << 1 | self.float_analogs << 2 | self.float_freq << 3


@dataclass(frozen=True, slots=True)
class PhasorChannel:
    """A phasor's channel. ``factor``: PHUNIT's, in 10^-5 V or A a bit, for integers.

    CFG-3 has, instead of ``factor``, ``scale`` (V or A a unit) and ``offset_rad`` for integers and floats, the bits of
    ``modified`` and of ``component`` (0 zero, 1 positive, 2 negative sequence, 4 to 6 phase A to C), and a byte for the
    user.
    """

    name: str
    is_current: bool = False
    factor: int = 0
    scale: float = 1.0
    offset_rad: float = 0.0
    modified: int = 0
    component: int = 0
    user: int = 0


@dataclass(frozen=True, slots=True)
class AnalogChannel:
    """An analog value's channel. ``kind`` and ``factor`` are ANUNIT's; ``scale`` and ``offset`` stand in CFG-3.

    The standard leaves to the user what ``factor`` means, so values are given without it, as other decoders do.
    """

    name: str
    kind: int = 0
    factor: int = 0
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class DigitalChannel:
    """A digital status word: the labels of its 16 bits from the lowest, which are normally 1, and which are valid."""

    labels: tuple[str, ...]
    normal: int = 0
    valid: int = 0xFFFF


@dataclass(frozen=True, slots=True)
class Place:
    """What only CFG-3 tells of a PMU. Degrees and metres, infinity where unspecified; microseconds."""

    latitude: float = float("inf")
    longitude: float = float("inf")
    elevation_m: float = float("inf")
    service_class: str = "M"
    window_us: int = 0
    group_delay_us: int = 0
    global_id: bytes = bytes(16)


@dataclass(frozen=True, slots=True)
class PmuConfig:
    """One PMU of a stream. ``nominal_hz`` is 50 or 60."""

    station: str
    idcode: int
    format: Format = field(default_factory=Format)
    phasors: tuple[PhasorChannel, ...] = ()
    analogs: tuple[AnalogChannel, ...] = ()
    digitals: tuple[DigitalChannel, ...] = ()
    nominal_hz: int = 60
    change_count: int = 0
    place: Place = field(default_factory=Place)

    @property
    def data_struct(self) -> str:
        """The PMU's block in a data frame, as :mod:`struct` has it, without byte order."""
        phasor = "ff" if self.format.float_phasors else "Hh" if self.format.polar else "hh"
        freq = "ff" if self.format.float_freq else "hh"
        analog = "f" if self.format.float_analogs else "h"
        return f"H{phasor * len(self.phasors)}{freq}{analog * len(self.analogs)}{'H' * len(self.digitals)}"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of the stream ``idcode``, as CFG-1, CFG-2 or CFG-3 (``kind``) told it.

    ``data_rate``: frames a second where positive, else the negative of seconds a frame. ``time_base`` divides the
    second, ``base_flags`` are its upper byte.
    """

    kind: FrameType
    idcode: int
    time: FrameTime
    pmus: tuple[PmuConfig, ...]
    data_rate: int
    time_base: int = DEFAULT_TIME_BASE
    base_flags: int = 0
    version: int = 1

    @property
    def interval_s(self) -> float:
        """Seconds between two data frames; 0 where the rate is not told."""
        if self.data_rate > 0:
            return 1.0 / self.data_rate
        return float(-self.data_rate)

    @property
    def data_size(self) -> int:
        """The size of a data frame, bytes."""
        return MIN_FRAME + sum(struct.calcsize(">" + pmu.data_struct) for pmu in self.pmus)


def check_configuration(config: Configuration) -> None:
    """:class:`FrameError` for a configuration that no stream can have."""
    if not 1 <= len(config.pmus) <= MAX_PMUS:
        raise FrameError("num_pmu", f"there are {len(config.pmus)} PMUs; 1 to {MAX_PMUS} are taken")
    if not 0 < config.time_base <= _TIME_BASE:
        raise FrameError("time_base", f"{config.time_base} is not from 1 to {_TIME_BASE}")
    if config.data_rate not in _RATES:
        raise FrameError("data_rate", f"{config.data_rate} is not from -32767 to 32767")
    for pmu in config.pmus:
        for name, channels in (("phnmr", pmu.phasors), ("annmr", pmu.analogs), ("dgnmr", pmu.digitals)):
            if len(channels) > MAX_CHANNELS:
                raise FrameError(name, f"{pmu.station}: {len(channels)} channels; {MAX_CHANNELS} are the most")
    if config.data_size > MAX_FRAME:
        raise FrameError("size", f"a data frame would have {config.data_size} bytes, more than {MAX_FRAME}")


def decode_configuration(frame: bytes) -> Configuration:
    """CFG-1 or CFG-2. Raises :class:`FrameError`."""
    head = read_head(frame)
    if head.kind not in (FrameType.CFG1, FrameType.CFG2):
        raise FrameError("sync", f"a frame of type {head.kind.name} is neither CFG-1 nor CFG-2")
    fields = Fields(frame[HEAD.size : -CHK_BYTES])
    base, count = fields.take("time_base", ">I"), fields.take("num_pmu", ">H")
    _check_count("num_pmu", count, MAX_PMUS)
    pmus = tuple(_take_pmu(fields) for _ in range(count))
    rate = fields.take("data_rate", ">h")
    fields.end()
    config = Configuration(
        head.kind, head.idcode, head.time, pmus, rate, base & _TIME_BASE, base >> 24, version=head.version
    )
    check_configuration(config)
    return config


def _take_pmu(fields: Fields) -> PmuConfig:
    station = _name_of(fields.bytes("stn", _NAME_BYTES))
    idcode, word = fields.take("idcode", ">H"), fields.take("format", ">H")
    counts = [take_count(fields, name) for name in ("phnmr", "annmr", "dgnmr")]
    names = [_name_of(fields.bytes("chnam", _NAME_BYTES)) for _ in range(names_of(counts))]
    phasors, analogs, labels = split_names(names, counts)
    phunits = [fields.take("phunit", ">I") for _ in phasors]
    anunits = [fields.take("anunit", ">i") for _ in analogs]
    masks = [(fields.take("digunit", ">H"), fields.take("digunit", ">H")) for _ in labels]
    fnom, changes = fields.take("fnom", ">H"), fields.take("cfgcnt", ">H")
    return PmuConfig(
        station,
        idcode,
        Format.of(word),
        tuple(
            PhasorChannel(name, unit >> 24 == 1, unit & 0xFFFFFF) for name, unit in zip(phasors, phunits, strict=True)
        ),
        tuple(
            AnalogChannel(name, unit >> 24 & 0xFF, _signed_24(unit))
            for name, unit in zip(analogs, anunits, strict=True)
        ),
        tuple(DigitalChannel(bits, *mask) for bits, mask in zip(labels, masks, strict=True)),
        nominal_hz(fnom),
        changes,
    )


def take_count(fields: Fields, name: str) -> int:
    """A count of channels, within its bound."""
    count: int = fields.take(name, ">H")
    _check_count(name, count, MAX_CHANNELS)
    return count


def _check_count(name: str, count: int, most: int) -> None:
    if count > most:
        raise FrameError(name, f"there are {count}; {most} are the most")


def names_of(counts: list[int]) -> int:
    """How many names follow PHNMR, ANNMR and DGNMR."""
    return counts[0] + counts[1] + LABELS_IN_A_WORD * counts[2]


def split_names(names: list[str], counts: list[int]) -> tuple[list[str], list[str], list[tuple[str, ...]]]:
    """The names of phasors, of analogs, and of each digital word's bits."""
    labels = names[counts[0] + counts[1] :]
    words = [tuple(labels[at : at + LABELS_IN_A_WORD]) for at in range(0, len(labels), LABELS_IN_A_WORD)]
    return names[: counts[0]], names[counts[0] : counts[0] + counts[1]], words


def nominal_hz(fnom: int) -> int:
    """50 or 60, from FNOM."""
    return 50 if fnom & 1 else 60


def encode_configuration(config: Configuration) -> bytes:
    """The frame's bytes; the members that only CFG-3 has are left out. Raises :class:`FrameError`."""
    if config.kind not in (FrameType.CFG1, FrameType.CFG2):
        raise FrameError("sync", f"a frame of type {config.kind.name} is neither CFG-1 nor CFG-2")
    check_configuration(config)
    body = b"".join(
        (
            struct.pack(">IH", config.base_flags << 24 | config.time_base, len(config.pmus)),
            *(_put_pmu(pmu) for pmu in config.pmus),
            struct.pack(">h", config.data_rate),
        )
    )
    return put_frame(config.kind, config.version, config.idcode, config.time, body)


def _put_pmu(pmu: PmuConfig) -> bytes:
    counts = (len(pmu.phasors), len(pmu.analogs), len(pmu.digitals))
    try:
        return b"".join(
            (
                _put_name(pmu.station),
                struct.pack(">5H", pmu.idcode, pmu.format.word, *counts),
                *(_put_name(name) for name in channel_names(pmu)),
                *(
                    struct.pack(">I", channel.is_current << 24 | _unsigned_24(channel.factor))
                    for channel in pmu.phasors
                ),
                *(struct.pack(">B", channel.kind) + _put_signed_24(channel.factor) for channel in pmu.analogs),
                *(struct.pack(">HH", channel.normal, channel.valid) for channel in pmu.digitals),
                struct.pack(">HH", fnom_of(pmu.nominal_hz), pmu.change_count),
            )
        )
    except struct.error as error:
        raise FrameError("pmu", f"{pmu.station}: {error}") from None


def channel_names(pmu: PmuConfig) -> Iterable[str]:
    """All names in the order of the frame."""
    yield from (channel.name for channel in pmu.phasors)
    yield from (channel.name for channel in pmu.analogs)
    for word in pmu.digitals:
        if len(word.labels) != LABELS_IN_A_WORD:
            raise FrameError("chnam", f"{pmu.station}: a digital word has {len(word.labels)} labels, not 16")
        yield from word.labels


def fnom_of(hertz: int) -> int:
    """FNOM, from 50 or 60."""
    if hertz not in (50, 60):
        raise FrameError("fnom", f"the nominal frequency is 50 or 60 Hz, not {hertz}")
    return int(hertz == 50)  # noqa: PLR2004 - the standard's two frequencies


def _name_of(field_bytes: bytes) -> str:
    """ASCII by the standard; devices fill up with blanks or zeros, and some write Latin-1."""
    return field_bytes.decode("latin-1").rstrip(" \0")


def _put_name(name: str) -> bytes:
    try:
        data = name.encode("latin-1")
    except UnicodeEncodeError:
        raise FrameError("chnam", f"{name!r:.40} has characters that only CFG-3 can carry") from None
    if len(data) > _NAME_BYTES:
        raise FrameError("chnam", f"{name!r:.40} is longer than 16 characters, which only CFG-3 can carry")
    return data.ljust(_NAME_BYTES)


def _signed_24(word: int) -> int:
    low = word & 0xFFFFFF
    return low - (1 << 24) if low & 0x800000 else low


def _unsigned_24(factor: int) -> int:
    if not 0 <= factor <= 0xFFFFFF:  # noqa: PLR2004 - 24 bits
        raise FrameError("phunit", f"the factor {factor} has no 24 bits")
    return factor


def _put_signed_24(factor: int) -> bytes:
    if not -(1 << 23) <= factor < 1 << 23:
        raise FrameError("anunit", f"the factor {factor} has no 24 bits")
    return (factor & 0xFFFFFF).to_bytes(3, "big")
