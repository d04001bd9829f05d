"""Configurations and data of C37.118 for tests: the standard's own examples, and random ones."""

from __future__ import annotations

import math
import struct
from random import Random
from typing import Any

from hypothesis import strategies as st

from gridledger.field.c37118 import (
    AnalogChannel,
    Configuration,
    DigitalChannel,
    Format,
    FrameTime,
    FrameType,
    PhasorChannel,
    Place,
    PmuConfig,
)

STANDARD_DATA = bytes.fromhex(
    "aa0100341e3644853600000041b10000392b0000e36ace7ce36a31830444000009c4000042c80000447a0000461c40003c12d43f"
)
"""Annex D.2 of C37.118.2-2011, table D.1."""
STANDARD_COMMAND = bytes.fromhex("aa4100121e36448560300f0bbfd00002ce00")
"""Annex D.4, table D.3: data on."""


def _padded(name: str) -> bytes:
    return name.encode().ljust(16)


STANDARD_CONFIGURATION = (
    bytes.fromhex("aa3101c61e36448527f056071098000f42400001")
    + _padded("Station A")
    + bytes.fromhex("1e360004000400030001")
    + b"".join(map(_padded, ("VA", "VB", "VC", "I1", "ANALOG1", "ANALOG2", "ANALOG3")))
    + b"".join(_padded(f"BREAKER {label} STATUS") for label in "123456789ABCDEFG")
    + bytes.fromhex("000df847000df847000df8470100b2d00000000101000001020000010000ffff00000016001ed5d1")
)
"""Annex D.3, table D.2."""

_words = st.integers(0, 0xFFFF)
_plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=16)
_any_name = st.text(max_size=20)
times = st.builds(FrameTime, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFF), st.integers(0, 255))


def _phasor(kind: FrameType) -> st.SearchStrategy[PhasorChannel]:
    if kind is not FrameType.CFG3:
        return st.builds(PhasorChannel, _plain, st.booleans(), st.integers(1, 0xFFFFFF))
    return st.builds(
        PhasorChannel,
        _any_name,
        st.booleans(),
        st.just(0),
        st.floats(1.0, 1000.0, width=32),
        st.floats(-3.0, 3.0, width=32),
        _words,
        st.integers(0, 7),
        st.integers(0, 255),
    )


def _analog(kind: FrameType) -> st.SearchStrategy[AnalogChannel]:
    if kind is not FrameType.CFG3:
        return st.builds(AnalogChannel, _plain, st.integers(0, 255), st.integers(-(1 << 23), (1 << 23) - 1))
    return st.builds(
        AnalogChannel,
        _any_name,
        st.just(0),
        st.just(0),
        st.floats(1.0, 1000.0, width=32),
        st.floats(-1000.0, 1000.0, width=32),
    )


def pmus(kind: FrameType, form: st.SearchStrategy[Format]) -> st.SearchStrategy[PmuConfig]:
    """PMUs that a configuration of this kind can tell."""
    name = _any_name if kind is FrameType.CFG3 else _plain
    place = st.builds(
        Place,
        *(st.floats(-90, 90, width=32),) * 3,
        st.sampled_from("PM"),
        *(st.integers(-(1 << 31), (1 << 31) - 1),) * 2,
        st.binary(min_size=16, max_size=16),
    )
    return st.builds(
        PmuConfig,
        name,
        _words,
        form,
        st.lists(_phasor(kind), max_size=5).map(tuple),
        st.lists(_analog(kind), max_size=4).map(tuple),
        st.lists(
            st.builds(
                DigitalChannel, st.tuples(*(st.sampled_from(("", "trip", "breaker 1 status")),) * 16), _words, _words
            ),
            max_size=2,
        ).map(tuple),
        st.sampled_from((50, 60)),
        _words,
        place if kind is FrameType.CFG3 else st.just(Place()),
    )


def configurations(
    kinds: tuple[FrameType, ...] = (FrameType.CFG1, FrameType.CFG2, FrameType.CFG3),
    formats: st.SearchStrategy[Format] | None = None,
) -> st.SearchStrategy[Configuration]:
    """Random configurations, all sixteen formats among them."""
    form = formats or st.integers(0, 15).map(Format.of)

    def of(kind: FrameType) -> st.SearchStrategy[Configuration]:
        return st.builds(
            Configuration,
            st.just(kind),
            _words,
            times,
            st.lists(pmus(kind, form), min_size=1, max_size=4).map(tuple),
            st.integers(-32_767, 32_767),
            st.integers(1, 0xFFFFFF),
            st.integers(0, 255),
            st.just(2 if kind is FrameType.CFG3 else 1),
        )

    return st.sampled_from(kinds).flatmap(of)


def wire_values(config: Configuration, random: Random) -> list[list[Any]]:
    """Numbers as they stand in a data frame: of each PMU a list, in its order."""
    return [_wire_values(pmu, random) for pmu in config.pmus]


def _wire_values(pmu: PmuConfig, random: Random) -> list[Any]:
    form = pmu.format

    def number(*, is_float: bool) -> float:
        whole = random.choice((0, 1, -1, 0x7FFF, -0x7FFF, random.randint(-0x7FFF, 0x7FFF)))
        return _float32(whole * random.random() * 10.0 ** random.randint(-6, 6)) if is_float else whole

    def angle() -> float:
        return _float32(random.uniform(-3.125, 3.125)) if form.float_phasors else random.randint(-31_415, 31_415)

    values: list[Any] = [random.randrange(1 << 16)]
    for _ in pmu.phasors:
        if form.polar:
            magnitude = _float32(random.random() * 1e6) if form.float_phasors else random.randint(2, 0xFFFF)
            values += [magnitude, angle()]
        else:
            values += [number(is_float=form.float_phasors) for _ in range(2)]
    values += [number(is_float=form.float_freq) for _ in range(2)]
    values += [number(is_float=form.float_analogs) for _ in pmu.analogs]
    return values + [random.randrange(1 << 16) for _ in pmu.digitals]


def _float32(value: float) -> float:
    found: float = struct.unpack(">f", struct.pack(">f", value))[0]
    return found


def body_of(config: Configuration, values: list[list[Any]]) -> bytes:
    """The values' bytes."""
    return b"".join(
        struct.pack(">" + pmu.data_struct, *numbers) for pmu, numbers in zip(config.pmus, values, strict=True)
    )


def phasor_by_the_standard(config: Configuration, pmu: PmuConfig, at: int, first: float, second: float) -> complex:
    """A phasor from its two numbers, straight from tables 6, 9 and 11."""
    channel, form = pmu.phasors[at], pmu.format
    if form.polar:
        angle = second if form.float_phasors else second * 1e-4
        phasor = complex(first * math.cos(angle), first * math.sin(angle))
    else:
        phasor = complex(first, second)
    if config.kind is FrameType.CFG3:
        turn = complex(math.cos(channel.offset_rad), -math.sin(channel.offset_rad))
        return phasor * channel.scale * turn
    return phasor if form.float_phasors else phasor * channel.factor * 1e-5
