"""The reader of PMUs: a PMU's phasors as the article's ten values, whole minutes only, and devices of no use."""

from __future__ import annotations

import asyncio
import cmath
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gridledger.errors import SettingsError
from gridledger.field.c37118 import (
    Configuration,
    DataFrame,
    FrameTime,
    FrameType,
    PhasorChannel,
    PmuConfig,
    PmuData,
    Stat,
)
from gridledger.field.capture import parse_capture
from services.feeder.pmu.server import PmuServer
from services.relay.readers import Delivered, Reader, RelayAnswerBad, RelayUnreachable, open_reader
from services.relay.readers.pmu_values import three_phases
from tests.support.waiting import until

MINUTE = 29_400_000
NAMES = ("VA", "VB", "VC", "IA", "IB", "IC")
CHANNELS = tuple(PhasorChannel(name, name.startswith("I")) for name in NAMES)


def config(channels: tuple[PhasorChannel, ...] = CHANNELS) -> Configuration:
    """The stream of one PMU."""
    return Configuration(FrameType.CFG2, 7734, FrameTime(0, 0), (PmuConfig("RELAY", 7734, phasors=channels),), 1)


def balanced(kilovolts: float, amperes: float, angle_deg: float) -> tuple[complex, ...]:
    """Three balanced phases; the current lags by the angle."""
    turns = [cmath.rect(1.0, math.radians(degrees)) for degrees in (0, -120, 120)]
    volts = kilovolts * 1000 / math.sqrt(3)
    lag = cmath.rect(1.0, -math.radians(angle_deg))
    return (*(volts * turn for turn in turns), *(amperes * turn * lag for turn in turns))


def measured(second: int, word: int = 0, fraction: int = 0) -> DataFrame:
    """What the PMU sends in a second of the minute."""
    pmu = PmuData(Stat(word), balanced(115.0, 400.0, 30.0), 60.02, 0.0)
    return DataFrame(7734, FrameTime(MINUTE * 60 + second, fraction), (pmu,))


@asynccontextmanager
async def read(channels: tuple[PhasorChannel, ...] = CHANNELS) -> AsyncIterator[tuple[PmuServer, Reader]]:
    """A PMU and its reader, which has begun to watch."""
    server = PmuServer(config(channels), now_us=lambda: 0)
    await server.start("127.0.0.1", 0)
    reader = open_reader(record(f"127.0.0.1:{server.address[1]}/7734"), "5004", answer_s=5.0)
    try:
        assert await reader.latest(None, 0.0) is None
        await until(lambda: server.receiving)
        yield server, reader
    finally:
        await reader.close()
        await server.stop()


def record(address: str) -> dict[str, Any]:
    """A relay that is a PMU."""
    return {
        "relay": "Rele_1",
        "name": "Relay 1",
        "substation": "Bogotá",
        "protocol": "c37118",
        "address": address,
        "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
        "period_s": 60,
        "reading_s": 10,
    }


async def test_a_minute_of_phasors_becomes_a_capture() -> None:
    async with read() as (server, reader):
        for second in range(61):
            word = 0x0800 if second in (5, 6, 58) else 0
            server.publish(measured(second, word))
            server.publish(measured(second, word, fraction=500_000))
        found = await reader.latest(None, 10.0)
    assert isinstance(found, Delivered)
    assert found.minute == MINUTE
    capture = parse_capture(found.text)
    assert capture.faults == 2
    assert [reading.time.second for reading in capture.readings] == [0, 10, 20, 30, 40, 50]
    apparent = math.sqrt(3) * 115.0 * 0.4
    expected = (
        (115.0,) * 3 + (400.0,) * 3 + (60.02, math.cos(math.pi / 6), apparent * math.cos(math.pi / 6), apparent / 2)
    )
    for reading in capture.readings:
        assert reading.values == pytest.approx(expected, abs=6e-4)


async def test_two_readers_of_a_pmu_give_the_same_hash() -> None:
    async with read() as (server, one):
        two = open_reader(record(f"127.0.0.1:{server.address[1]}/7734"), "5005")
        assert await two.latest(None, 0.0) is None
        await until(lambda: server.receiving == 2)
        for second in range(61):
            server.publish(measured(second))
        first, second_one = await asyncio.gather(one.latest(None, 10.0), two.latest(None, 10.0))
        await two.close()
    assert first is not None
    assert second_one is not None
    assert (first.sha256, first.source_sha256) == (second_one.sha256, second_one.source_sha256)


async def latest_of_two(reader: Reader) -> Delivered | None:
    """The second capture. The stream may be read in two parts, and the first capture be there before the second."""
    first = await reader.latest("none", 10.0)
    return await reader.latest(first.sha256 if first else None, 10.0)


@pytest.mark.parametrize("word", [0x4000, 0x8000, 0x2000])
async def test_a_reading_that_is_not_good_makes_a_gap(word: int) -> None:
    async with read() as (server, reader):
        for second in range(121):
            server.publish(measured(second, word=word if second == 70 else 0))
        with pytest.raises(RelayAnswerBad, match=f"gap: of the minute {MINUTE + 1} 1 readings were not seen"):
            await latest_of_two(reader)


async def test_a_pmu_without_three_phases_is_of_no_use() -> None:
    async with read(CHANNELS[:5]) as (server, reader):
        server.publish(DataFrame(7734, FrameTime(0, 0), (PmuData(Stat(0), (1 + 0j,) * 5, 60.0, 0.0),)))
        with pytest.raises(RelayAnswerBad, match="no three voltages and three currents"):
            await reader.latest(None, 10.0)
        with pytest.raises(RelayAnswerBad, match=r"over C37\.118 it keeps no capture"):
            await reader.fetch("1")
        assert await reader.held() == []


async def test_a_pmu_that_is_away_is_told_so() -> None:
    reader = open_reader(record("127.0.0.1:9/1"), "5004", answer_s=0.5)
    with pytest.raises(RelayUnreachable):
        await reader.latest(None, 10.0)
    await reader.close()


def test_phases_are_found_by_name_before_order() -> None:
    names = ("IC", "VC", "VB", "VA", "IA", "IB")
    phases = three_phases(PmuConfig("A", 1, phasors=tuple(PhasorChannel(name, name[0] == "I") for name in names)))
    assert phases is not None
    assert (phases.voltages, phases.currents) == ((3, 2, 1), (4, 5, 0))
    others = three_phases(PmuConfig("A", 1, phasors=tuple(PhasorChannel(f"x{n}", n > 2) for n in range(6))))
    assert others is not None
    assert (others.voltages, others.currents) == ((0, 1, 2), (3, 4, 5))


@pytest.mark.parametrize("address", ["127.0.0.1:4712", "127.0.0.1:4712/", "127.0.0.1:4712/65536", "a/1", "a:1/-1"])
def test_an_address_needs_its_idcode(address: str) -> None:
    with pytest.raises(SettingsError):
        open_reader(record(address), "5004")
