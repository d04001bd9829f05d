"""The reader of Modbus against the simulated relay, and against devices that answer something else."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gridledger.errors import GridLedgerError, SettingsError
from services.relay import modbus_map
from services.relay.modbus_map import SlotHead, Table
from services.relay.readers import Reader, RelayAnswerBad, RelayUnreachable, open_reader
from services.relay.readers.addresses import host_and_port, joined
from tests.support.simulated_relay import START_MINUTE, reader_of, simulated_relay
from tests.support.waiting import until

ANSWER_S = 5.0
NO_ANSWER_S = 0.3
"""Where what is answered is no answer, and the reader waits for one until then."""
MINUTE = START_MINUTE
Row = tuple[int, tuple[float, ...]]
ROWS: list[Row] = [
    (MINUTE * 60 + 10 * at, (115.3, 116.0, 116.2, 26.0, 30.8, 45.1, 60.1, 0.9, 2.3, 5.7)) for at in range(6)
]


def record(address: str) -> dict[str, object]:
    return {
        "relay": "Rele_1",
        "name": "Relay 1",
        "substation": "Bogotá",
        "protocol": "modbus",
        "address": address,
        "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
        "period_s": 60,
    }


def table(**changed: Any) -> list[int]:
    minutes, numbers = (MINUTE, *[0] * 9), (1, *[0] * 9)
    told: dict[str, Any] = {"faults": 22, "minute": MINUTE, "readings": 6, "slot": 0, "held": 1, "number": 1}
    return modbus_map.table_registers(Table(**(told | {"minutes": minutes, "numbers": numbers} | changed)))


def slot(rows: list[Row] = ROWS, **changed: Any) -> list[int]:
    head: dict[str, Any] = {"minute": MINUTE, "faults": 22.0, "readings": len(rows), "completed_us": 5, "number": 1}
    return modbus_map.slot_registers(SlotHead(**(head | changed)), rows)


@asynccontextmanager
async def reader_of_device(
    table: list[int], slot: list[int], asked: Callable[[int, list[int]], ExcCodes | None] = lambda *_: None
) -> AsyncIterator[Reader]:
    """The reader of a device that has these registers; ``asked`` gets each request's address, and all registers."""
    image = [0] * modbus_map.REGISTERS
    for address, registers in ((modbus_map.TABLE, table), (modbus_map.FIRST_SLOT, slot)):
        image[address : address + len(registers)] = registers

    is_blank = True

    async def answer(*request: Any) -> ExcCodes | None:
        nonlocal is_blank
        if is_blank:  # pymodbus takes half a second to make a device of so many values
            request[4][: len(image)], is_blank = image, False
        return asked(request[2], request[4])

    blank = SimData(0, values=0, count=modbus_map.REGISTERS, datatype=DataType.REGISTERS)
    device = SimDevice(1, simdata=[blank], action=answer)
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    listening: Any = server.transport
    port = listening.sockets[0].getsockname()[1]
    try:
        yield open_reader(record(f"127.0.0.1:{port}"), "5004", answer_s=ANSWER_S)
    finally:
        await server.shutdown()


@asynccontextmanager
async def reader_of_bytes(answer: bytes, *, pause_s: float = 0.0, endless: bool = False) -> AsyncIterator[Reader]:
    """The reader of a device that answers each request with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(256):
                writer.write(answer)
                while endless:
                    writer.write(answer)
                    await writer.drain()
                    await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield open_reader(record(f"127.0.0.1:{server.sockets[0].getsockname()[1]}"), "5004", answer_s=NO_ANSWER_S)


async def test_a_device_that_has_the_map_is_read() -> None:
    async with reader_of_device(table(), slot()) as reader:
        found = await reader.latest(None, 0)
        assert found is not None
        assert await reader.latest(found.sha256, 0) is None
        assert [held.name for held in await reader.held()] == [found.name]
        assert (await reader.fetch(found.name)) == found
    assert (found.minute, found.completed_us) == (MINUTE, 5)
    assert found.text.startswith("03 05 2021 00 00\nRelay 1\nBogotá\n\nOpenings caused by faults: 22.0\n")
    assert found.text.splitlines()[-1].startswith("Time Stamp;03 05 2021 00 00 50;Vab;115.3;Vbc;116.0;Vca;116.2;")


def changed(at: int, value: float) -> list[Row]:
    second, values = ROWS[0]
    return [(second, (*values[:at], value, *values[at + 1 :])), *ROWS[1:]]


BAD_SLOTS = {
    "NaN": (slot(changed(0, math.nan)), "no number"),
    "infinity": (slot(changed(9, math.inf)), "no number"),
    "a power factor of 2": (slot(changed(7, 2.0)), "FP, line"),
    "a huge value": (slot(changed(0, 1e30)), "Vab, line"),
    "faults that are no number": (slot(faults=math.nan), "faults, line 5"),
    "half a fault": (slot(faults=2.5), "faults, line 5"),
    "times that go back": (slot(ROWS[::-1]), "time, line"),
    "another minute": (slot(minute=MINUTE + 5), "time, line"),
    "a minute beyond all years": (slot(minute=2**32 - 1), "beyond all years"),
    "no readings": (slot([], readings=0), "0 readings"),
    "91 readings": (slot(readings=91), "91 readings"),
    "another number": (slot(number=2), "capture 2 where 1"),
}


@pytest.mark.parametrize("kind", BAD_SLOTS)
async def test_registers_that_are_no_capture_are_refused(kind: str) -> None:
    registers, why = BAD_SLOTS[kind]
    async with reader_of_device(table(), registers) as reader:
        with pytest.raises(RelayAnswerBad, match=why):
            await reader.latest(None, 0)


async def test_a_slot_that_does_not_exist_is_refused() -> None:
    async with reader_of_device(table(slot=10), slot()) as reader:
        with pytest.raises(RelayAnswerBad, match="slot 10"):
            await reader.latest(None, 0)


async def test_an_exception_of_the_device_is_refused() -> None:
    async with reader_of_device(table(), slot(), lambda *_: ExcCodes.ILLEGAL_ADDRESS) as reader:
        with pytest.raises(RelayAnswerBad, match="registers 100 to 149"):
            await reader.held()


@pytest.mark.parametrize("changes", [0, 1, 2])
async def test_a_slot_that_changes_while_it_is_read_is_read_again(changes: int) -> None:
    heads: list[int] = []

    def change(address: int, registers: list[int]) -> None:
        if address == modbus_map.FIRST_SLOT:
            heads.append(address)
            if len(heads) % 2 == 0 and len(heads) <= 2 * changes:  # the head behind the readings
                registers[address + modbus_map.HEAD_REGISTERS - 1] += 1

    async with reader_of_device(table(), slot(), change) as reader:
        assert await reader.latest(None, 0) is not None
    assert len(heads) == 2 + 2 * changes


async def test_a_slot_that_changes_each_time_is_refused() -> None:
    def change(address: int, registers: list[int]) -> None:
        if address == modbus_map.FIRST_SLOT:
            registers[address + modbus_map.HEAD_REGISTERS - 1] += 1

    async with reader_of_device(table(), slot(), change) as reader:
        with pytest.raises(RelayAnswerBad, match="changed each of 3 times"):
            await reader.latest(None, 0)


async def test_a_name_that_is_no_captures_is_not_asked_for() -> None:
    async with reader_of_device(table(), slot()) as reader:
        for name in ("../1", f"{MINUTE}-0", f"{MINUTE}-7"):
            with pytest.raises(RelayAnswerBad):
                await reader.fetch(name)


HOSTILE = {
    "no Modbus": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a length beyond the frame": b"\x00\x01\x00\x00\xff\xff\x01\x03\x64",
    "another function": b"\x00\x01\x00\x00\x00\x03\x01\x7f\x00",
    "fewer registers": b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x00",
    "a count that lies": b"\x00\x01\x00\x00\x00\x05\x01\x03\xfe\x00\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_answer_that_is_no_answer_ends_in_time(kind: str) -> None:
    async with asyncio.timeout(5), reader_of_bytes(HOSTILE[kind]) as reader:
        with pytest.raises((RelayUnreachable, RelayAnswerBad)):
            await reader.latest(None, 0)


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
async def test_endless_bytes_end_in_time(pause_s: float) -> None:
    async with asyncio.timeout(5), reader_of_bytes(b"\x00" * 4096, pause_s=pause_s, endless=True) as reader:
        with pytest.raises(RelayUnreachable):
            await reader.held()


async def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(RelayUnreachable, match="does not take a connection"):
        await open_reader(record("127.0.0.1:1"), "5004", answer_s=ANSWER_S).held()


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "http://127.0.0.1:5020", "127.0.0.1:0", "127.0.0.1:70000", "a b:1"]
)
def test_an_address_that_is_no_host_and_port_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="no HOST:PORT"):
        open_reader(record(address), "5004")


def test_an_address_may_be_of_ip_version_6() -> None:
    told = record("[::1]:5020")
    assert host_and_port(told) == ("::1", 5020)
    assert joined("::1", 5020) == "[::1]:5020"


async def test_modbus_gives_the_text_that_http_gives(tmp_path: Path) -> None:
    async with (
        simulated_relay(tmp_path, minute_s=0.6) as relay,
        reader_of(relay) as text,
        reader_of(relay, "modbus") as modbus,
    ):
        after, found = None, []
        for _ in range(3):
            one = await modbus.latest(after, 10)
            assert one is not None
            after = one.sha256
            found.append(one)
        held = await text.held()
        told = {capture.sha256: await text.fetch(capture.name) for capture in held}
        minutes = {capture.sha256: capture.minute for capture in held}
    for one in found:
        assert told[one.sha256].text == one.text
        assert minutes[one.sha256] == one.minute
        assert one.source_sha256 != one.sha256


async def test_modbus_catches_up_on_ten_captures(tmp_path: Path) -> None:
    async with simulated_relay(tmp_path, minute_s=0.3) as relay, reader_of(relay, "modbus") as reader:
        await until(lambda: len(list(relay.relay.folder)) >= 13, within_s=20)
        held = await reader.held()
        fetched = [await reader.fetch(each.name) for each in held[4:]]
    minutes = [each.minute or 0 for each in held]
    assert len(minutes) == 10
    assert minutes == list(range(minutes[0], minutes[0] + 10))
    assert [each.minute for each in fetched] == minutes[4:]


async def test_changed_bytes_end_in_our_errors() -> None:
    """A device that changes a byte of each second answer, and cuts some short."""
    draws = random.Random(5)
    outcomes: list[object] = []
    image = [0] * modbus_map.REGISTERS
    for address, registers in ((modbus_map.TABLE, table()), (modbus_map.FIRST_SLOT, slot())):
        image[address : address + len(registers)] = registers

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while len(request := await reader.read(256)) >= 12:
                address, count = int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
                values = modbus_map.data_of(image[address : address + count])
                length = (3 + len(values)).to_bytes(2, "big")
                answer = bytearray(request[:4] + length + request[6:8] + bytes([len(values)]) + values)
                if draws.random() < 0.5:
                    answer[draws.randrange(len(answer))] ^= 1 << draws.randrange(8)
                end = draws.randrange(len(answer)) if draws.random() < 0.1 else len(answer)
                writer.write(answer[:end])
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        there = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reader = open_reader(record(there), "5004", answer_s=0.05)
        for _ in range(50):
            try:
                outcomes.append(await reader.latest(None, 0))
            except GridLedgerError as error:
                outcomes.append(error)
    codes = {outcome.code for outcome in outcomes if isinstance(outcome, GridLedgerError)}
    assert codes == {"RELAY_UNREACHABLE", "RELAY_ANSWER_BAD"}
