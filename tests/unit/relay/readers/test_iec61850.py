"""The reader of IEC 61850 against the simulated relay, and against devices that answer something else."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import iec61850
import pytest

from gridledger.errors import GridLedgerError
from services.relay import mms_names
from services.relay.readers import Delivered, Reader, RelayAnswerBad, RelayUnreachable, in_brief, open_reader
from services.relay.simulator.iec61850 import _MODEL
from tests.support.simulated_relay import START_MINUTE, reader_of, simulated_relay
from tests.support.waiting import eventually, until

ANSWER_S = 0.5
MODEL = _MODEL.read_text()


def record(address: str) -> dict[str, Any]:
    return {
        "relay": "Rele_1",
        "name": "Relay 1",
        "substation": "Bogotá",
        "protocol": "iec61850",
        "address": address,
        "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
        "period_s": 60,
        "reading_s": 10,
    }


async def next_of(reader: Reader, after: Delivered | None) -> Delivered:
    """The next capture; a gap, as a crowded machine may have one, is passed over."""

    async def newer() -> Delivered | None:
        return await reader.latest(after.sha256 if after else None, 10)

    found = await eventually(newer, within_s=30, what="a capture", ignore=(RelayAnswerBad,))
    assert found is not None
    return found


async def test_mms_gives_the_text_that_http_gives(tmp_path: Path) -> None:
    async with (
        simulated_relay(tmp_path, minute_s=1.8) as relay,
        reader_of(relay) as text,
        reader_of(relay, "iec61850") as mms,
    ):
        first = await next_of(mms, None)
        second = await next_of(mms, first)
        held = await text.held()
        told = {capture.sha256: await text.fetch(capture.name) for capture in held}
        minutes = {capture.sha256: capture.minute for capture in held}
    for one in (first, second):
        assert told[one.sha256].text == one.text
        assert minutes[one.sha256] == one.minute
    assert (second.minute or 0) > (first.minute or 0)


@asynccontextmanager
async def reader_of_model(model: str) -> AsyncIterator[tuple[Reader, iec61850.IedServer, list[int]]]:
    """The reader of a device of this model, the device, and the second that its time stamps show."""
    second = [START_MINUTE * 60]
    server = iec61850.IedServer.from_scl_str(model, ied_name="RELE")
    server.bind("127.0.0.1:0")
    for name in mms_names.TIMES:
        if "MEAS" in model and (not name.startswith("GGIO") or 'lnClass="GGIO" inst' in model):
            server.on_read(f"MEAS/{name}", lambda _: mms_names.time_bytes(second[0]))
    async with server:
        reader = open_reader(record(server.bound_addr), "5004", answer_s=ANSWER_S)
        try:
            yield reader, server, second
        finally:
            await reader.close()


BAD_MODELS = {
    "no measurements": (MODEL.replace('"MEAS"', '"CTRL"'), "0 logical devices"),
    "whole numbers": (MODEL.replace("FLOAT32", "INT32"), "expected Float"),
    "no faults": (MODEL.replace('<LN lnClass="GGIO" inst="1" lnType="GGIO"/>', ""), "ObjectNonExistent"),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
async def test_another_model_is_refused(kind: str) -> None:
    model, why = BAD_MODELS[kind]
    async with reader_of_model(model) as (reader, _, _):
        with pytest.raises(RelayAnswerBad, match=why):
            await reader.latest(None, 5)


async def shown(reader: Reader, second: list[int], *seconds: int) -> list[str]:
    """What the reader is told, or refuses, while the device's time stamps show these seconds of its minute."""
    told, after = [], None
    for each in seconds:
        second[0] = START_MINUTE * 60 + each
        try:
            found = await reader.latest(after, 0.3)
        except RelayAnswerBad as error:
            told.append(f"{in_brief(error)}: {error.message}")
            continue
        if found is not None:
            told.append(found.name)
            after = found.sha256
    return told


async def test_a_value_that_is_no_number_is_refused() -> None:
    async with reader_of_model(MODEL) as (reader, server, second):
        server.update_float32("MEAS/MMXU1.TotVAr.mag.f", math.nan)
        [refused] = await shown(reader, second, *range(0, 70, 10))
    assert f"the minute {START_MINUTE}: reading, second" in refused


async def test_a_minute_that_was_missed_in_part_is_a_gap() -> None:
    async with reader_of_model(MODEL) as (reader, _, second):
        name, gap = await shown(reader, second, *range(0, 60, 10), 60, 80, 120)
    assert name == str(START_MINUTE)
    assert gap.startswith("gap: the relay at ")
    assert f"gap: of the minute {START_MINUTE + 1} 4 readings were not seen" in gap


async def test_values_of_different_times_are_no_reading() -> None:
    async with reader_of_model(MODEL) as (reader, server, second):
        server.on_read("MEAS/GGIO1.AnIn1.t", lambda _: mms_names.time_bytes(second[0] - 10))
        assert await shown(reader, second, *range(0, 70, 10)) == []


async def test_a_device_without_times_gives_nothing() -> None:
    async with reader_of_model(MODEL) as (reader, _, second):
        second[0] = 0
        assert await reader.latest(None, 0.4) is None


async def test_mms_keeps_nothing_to_catch_up_on(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path) as relay, reader_of(relay, "iec61850") as reader:
        await until(lambda: len(list(relay.relay.folder)) >= 2)
        assert await reader.held() == []
        with pytest.raises(RelayAnswerBad, match="keeps no capture"):
            await reader.fetch(str(START_MINUTE))


HOSTILE = {
    "no MMS": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a length beyond the bytes": b"\x03\x00\xff\xff\x02\xf0\x80",
    "a length of nothing": b"\x03\x00\x00\x00",
    "nothing": b"",
    "zeros without end": bytes(1 << 20),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_answer_that_is_no_answer_ends_in_time(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                writer.write(HOSTILE[kind])
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reader = open_reader(record(address), "5004", answer_s=ANSWER_S)
        with pytest.raises((RelayUnreachable, RelayAnswerBad)):
            await reader.latest(None, 3)
        await reader.close()


async def test_changed_bytes_end_in_our_errors(tmp_path: Path) -> None:
    """A device between the relay and its reader that changes a byte of each answer, or none."""
    draws = random.Random(5)
    outcomes: list[object] = []

    async def relay_bytes(source: asyncio.StreamReader, target: asyncio.StreamWriter, *, changes: bool) -> None:
        try:
            while data := bytearray(await source.read(4096)):
                if changes and draws.random() < 0.3:
                    data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    async with simulated_relay(tmp_path, minute_s=0.6) as relay:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection("127.0.0.1", relay.iec61850_port)
            await asyncio.gather(
                relay_bytes(reader, there[1], changes=False), relay_bytes(there[0], writer, changes=True)
            )

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for _ in range(20):
                reader = open_reader(record(address), "5004", answer_s=0.2)
                try:
                    outcomes.append(await reader.latest(None, 0.3))
                except GridLedgerError as error:
                    outcomes.append(error)
                await reader.close()
    assert any(isinstance(outcome, GridLedgerError) for outcome in outcomes)


async def test_nobody_listening_is_unreachable() -> None:
    reader = open_reader(record("127.0.0.1:1"), "5004", answer_s=ANSWER_S)
    with pytest.raises(RelayUnreachable, match="cannot be reached"):
        await reader.latest(None, 5)
    await reader.close()
