"""What the readers of each protocol see of each misbehaviour: a clear error, a gap, or nothing new."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridledger.field.capture import CaptureError, parse_capture
from services.relay.readers import Delivered, Reader, RelayAnswerBad, RelayUnreachable
from services.relay.simulator.process import RunningRelay
from tests.support.simulated_relay import START_MINUTE, reader_of, simulated_relay
from tests.support.waiting import eventually, until

PROTOCOLS = ("text", "modbus", "iec61850")
CAPTURES = ("text", "modbus")
"""Those that have captures, and not only running values."""
MINUTE_S = {"text": 0.4, "modbus": 0.4, "iec61850": 1.2}
"""A reader of running values must ask in each sixth of a minute."""


async def newest(reader: Reader, after: Delivered | None = None) -> Delivered:
    found = await reader.latest(after.sha256 if after else None, 10)
    assert found is not None
    return found


async def newest_at_last(reader: Reader) -> Delivered:
    """The newest capture, asked for until it comes whole."""
    unheard = (RelayUnreachable, RelayAnswerBad)
    return await eventually(lambda: newest(reader), within_s=15, what="a capture", ignore=unheard)


async def captured(relay: RunningRelay, count: int) -> None:
    await until(lambda: len(list(relay.relay.folder)) >= count, within_s=20)


@pytest.mark.parametrize("kind", ["silent", "slow", "reset"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_relay_that_cannot_be_heard_is_unreachable(tmp_path: Path, protocol: str, kind: str) -> None:
    async with (
        asyncio.timeout(20),
        simulated_relay(tmp_path, minute_s=MINUTE_S[protocol], misbehave=kind) as relay,
        reader_of(relay, protocol, answer_s=0.3) as reader,
    ):
        await captured(relay, 1)
        with pytest.raises(RelayUnreachable):
            await reader.latest(None, 1)
        relay.relay.misbehave(None, 0)
        found = await newest_at_last(reader)
    assert parse_capture(found.text)


async def test_a_wait_that_began_before_a_silence_is_not_answered(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path, minute_s=0.4) as relay, reader_of(relay, answer_s=0.3) as reader:
        first = await newest(reader)
        relay.relay.misbehave("silent", 6)
        with pytest.raises(RelayUnreachable):
            await reader.latest(first.sha256, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_garbage_is_refused(tmp_path: Path, protocol: str) -> None:
    async with (
        simulated_relay(tmp_path, minute_s=MINUTE_S[protocol], misbehave="garbage") as relay,
        reader_of(relay, protocol) as reader,
    ):
        with pytest.raises((RelayAnswerBad, CaptureError)):
            parse_capture((await newest(reader)).text)


@pytest.mark.parametrize("protocol", CAPTURES)
async def test_a_repeated_minute_is_nothing_new(tmp_path: Path, protocol: str) -> None:
    async with simulated_relay(tmp_path, minute_s=0.4) as relay, reader_of(relay, protocol) as reader:
        relay.relay.misbehave("repeat", 1)
        seen = [await newest(reader)]
        while len(seen) < 4:
            seen.append(await newest(reader, seen[-1]))
        held = [one.minute or 0 for one in await reader.held()]
    minutes = [parse_capture(one.text).time.minute for one in seen]
    assert minutes == sorted(set(minutes))
    assert sorted(set(held)) != held


@pytest.mark.parametrize("protocol", CAPTURES)
async def test_a_skewed_clock_is_told_as_the_relay_tells_it(tmp_path: Path, protocol: str) -> None:
    async with simulated_relay(tmp_path, misbehave="skewed") as relay, reader_of(relay, protocol) as reader:
        found = await newest(reader)
    assert parse_capture(found.text).time.minute == 1
    assert found.minute in (None, START_MINUTE + 1)
    assert found.completed_us is not None
    assert 0 <= found.completed_us / 1e6 - (START_MINUTE * 60 + 30 + 90) < 30


async def test_modbus_has_no_askers_to_tell_apart(tmp_path: Path) -> None:
    async with (
        simulated_relay(tmp_path, minute_s=1.0, misbehave="two-faced") as relay,
        reader_of(relay, "modbus", "5004") as one,
        reader_of(relay, "modbus", "5005") as two,
    ):
        first = await newest(one)
        assert (await newest(two)).sha256 == first.sha256


@pytest.mark.parametrize("protocol", CAPTURES)
async def test_the_hour_that_is_repeated_is_read_whole(tmp_path: Path, protocol: str) -> None:
    offsets = [
        {"from_minute": 0, "offset_min": -240},
        {"from_minute": START_MINUTE + 60, "offset_min": -300},
    ]
    async with (
        simulated_relay(tmp_path, minute_s=0.05, utc_offsets=offsets) as relay,
        reader_of(relay, protocol, utc_offsets=offsets) as reader,
    ):
        await captured(relay, 64)
        held = await reader.held()
        last = await newest_at_last(reader)
    minutes = [one.minute or 0 for one in held]
    assert minutes == list(range(minutes[0], minutes[0] + len(held)))
    assert minutes[-1] >= START_MINUTE + 63
    assert parse_capture(last.text).time.hour == 20
    if protocol == "text":
        names = [one.name for one in held]
        assert names[60:63] == [f"{name[:-4]} (2).txt" for name in names[:3]]


@pytest.mark.parametrize("protocol", CAPTURES)
async def test_the_hour_that_is_skipped_leaves_no_gap(tmp_path: Path, protocol: str) -> None:
    offsets = [{"from_minute": 0, "offset_min": -300}, {"from_minute": START_MINUTE + 3, "offset_min": -240}]
    async with (
        simulated_relay(tmp_path, minute_s=0.1, utc_offsets=offsets) as relay,
        reader_of(relay, protocol, utc_offsets=offsets) as reader,
    ):
        await captured(relay, 6)
        held = await reader.held()
        texts = [(await reader.fetch(one.name)).text for one in held[:6]]
    assert [one.minute for one in held[:6]] == list(range(START_MINUTE, START_MINUTE + 6))
    assert [text[11:16] for text in texts] == ["19 00", "19 01", "19 02", "20 03", "20 04", "20 05"]


async def test_a_reader_away_for_five_minutes_catches_up(tmp_path: Path) -> None:
    """By text and Modbus on all it missed, by IEC 61850 on nothing."""
    async with (
        simulated_relay(tmp_path, minute_s=0.4) as relay,
        reader_of(relay, "text") as text,
        reader_of(relay, "modbus") as modbus,
        reader_of(relay, "iec61850") as mms,
    ):
        await captured(relay, 1)
        before = (await newest(text)).text
        await captured(relay, 7)
        found = {}
        for name, reader in (("text", text), ("modbus", modbus), ("iec61850", mms)):
            held = await reader.held()
            found[name] = [(await reader.fetch(one.name)).text for one in held]
    missed = found["text"][found["text"].index(before) + 1 :]
    assert len(missed) >= 5
    assert found["modbus"][: len(found["text"])][1:6] == missed[:5]
    assert found["iec61850"] == []
