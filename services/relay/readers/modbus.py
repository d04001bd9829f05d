"""Reads a relay's captures over Modbus TCP, by the map of :mod:`services.relay.modbus_map`.

The registers hold the last ten complete captures. Each call has a connection of its own: a client of pymodbus that
outlives a long outage has to be made anew (pymodbus#1635, #2619).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from gridledger.field.capture import CaptureError
from services.relay import modbus_map
from services.relay.modbus_map import HEAD_REGISTERS, MAX_READINGS, READING_REGISTERS, SLOTS, Table
from services.relay.readers.addresses import host_and_port, joined
from services.relay.readers.errors import LATE, UNREACHABLE, RelayAnswerBad, RelayUnreachable
from services.relay.readers.reader import ANSWER_S, Delivered, Held
from services.relay.readers.values import text_of

POLL_S = 0.25
"""How often the table is read while a capture is waited for."""
_ATTEMPTS = 3
"""How often a slot is read that changes meanwhile."""
_IN_A_REQUEST = modbus_map.MAX_REQUEST // READING_REGISTERS
_NAME = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")


# It logs each failed request; ours are raised, and told by whoever reads.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class ModbusReader:
    """The reader of a relay whose address is ``HOST:PORT``. A capture's name is ``MINUTE-NUMBER``."""

    def __init__(self, record: dict[str, Any], *, answer_s: float = ANSWER_S) -> None:
        self._record = record
        self._host, self._port = host_and_port(record)
        self._address = joined(self._host, self._port)
        self._answer_s = answer_s
        # The newest capture that was read: its number in the relay, and the hash of its text.
        self._read: tuple[int, str] | None = None

    async def latest(self, after: str | None, wait_s: float) -> Delivered | None:
        """The last complete capture whose ``sha256`` is not ``after``; None when none came within ``wait_s``."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        async with self._connected(wait_s) as client:
            while True:
                table = await self._table(client)
                if table.number and self._read != (table.number, after):
                    found = await self._capture(client, table.slot, table.number)
                    self._read = (table.number, found.sha256)
                    if found.sha256 != after:
                        return found
                left = end - loop.time()
                if left <= 0:
                    return None
                await asyncio.sleep(min(POLL_S, left))

    async def held(self) -> list[Held]:
        """What the registers have, oldest first."""
        async with self._connected() as client:
            table = await self._table(client)
        slots = sorted(zip(table.numbers, table.minutes, strict=True))
        return [Held(f"{minute}-{number}", None, minute, None) for number, minute in slots if number]

    async def fetch(self, name: str) -> Delivered:
        """One of what :meth:`held` lists."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise self._bad(f"{name!r:.40} is no MINUTE-NUMBER of a capture")
        number = int(match.group(2))
        async with self._connected() as client:
            table = await self._table(client)
            if number == 0 or number not in table.numbers:
                raise self._bad(f"it no longer has the capture {name}")
            return await self._capture(client, table.numbers.index(number), number)

    async def close(self) -> None:
        """Nothing is open between calls."""

    async def _table(self, client: AsyncModbusTcpClient) -> Table:
        table = modbus_map.read_table(await self._registers(client, modbus_map.TABLE, modbus_map.TABLE_REGISTERS))
        if table.slot >= SLOTS:
            raise self._bad(f"its last capture is in slot {table.slot}, and there are {SLOTS}")
        return table

    async def _capture(self, client: AsyncModbusTcpClient, slot: int, number: int) -> Delivered:
        """The capture with this number, which stood in ``slot`` when the table was read."""
        start = modbus_map.slot_at(slot)
        for _ in range(_ATTEMPTS):
            before = await self._registers(client, start, HEAD_REGISTERS)
            head = modbus_map.read_head(before)
            if head.number != number:
                raise self._bad(f"its slot {slot} has capture {head.number} where {number} was asked for")
            if not 0 < head.readings <= MAX_READINGS:
                raise self._bad(f"its capture {number} has {head.readings} readings; 1 to {MAX_READINGS} are read")
            rows = await self._rows(client, start + HEAD_REGISTERS, head.readings)
            if await self._registers(client, start, HEAD_REGISTERS) == before:
                return self._delivered(before, rows)
        raise self._bad(f"its capture {number} changed each of {_ATTEMPTS} times that it was read")

    async def _rows(self, client: AsyncModbusTcpClient, start: int, readings: int) -> list[int]:
        found: list[int] = []
        for done in range(0, readings, _IN_A_REQUEST):
            count = min(_IN_A_REQUEST, readings - done) * READING_REGISTERS
            found += await self._registers(client, start + done * READING_REGISTERS, count)
        return found

    def _delivered(self, before: list[int], rows: list[int]) -> Delivered:
        head = modbus_map.read_head(before)
        try:
            text = text_of(self._record, head.minute, head.faults, modbus_map.read_readings(rows))
        except CaptureError as error:
            raise self._bad(f"its capture {head.number}: {error.message}") from None
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        source = hashlib.sha256(modbus_map.data_of([*before, *rows])).hexdigest()
        return Delivered(f"{head.minute}-{head.number}", text, sha256, source, head.minute, head.completed_us)

    async def _registers(self, client: AsyncModbusTcpClient, address: int, count: int) -> list[int]:
        try:
            answer = await client.read_holding_registers(address, count=count, device_id=modbus_map.DEVICE)
        except ModbusException:
            raise self._unreachable(f"does not answer within {self._answer_s:g} s, or ended the connection") from None
        if answer.isError():
            raise self._bad(f"registers {address} to {address + count - 1}: {answer}")
        if len(answer.registers) != count:
            raise self._bad(f"it sent {len(answer.registers)} registers where {count} were asked for")
        return list(answer.registers)

    @asynccontextmanager
    async def _connected(self, wait_s: float = 0.0) -> AsyncIterator[AsyncModbusTcpClient]:
        """A connection for one call, which has ``answer_s`` for all its requests, and ``wait_s`` to wait."""
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._answer_s, retries=0, reconnect_delay=0, reconnect_delay_max=0
        )
        try:
            async with asyncio.timeout(wait_s + self._answer_s):
                if not await client.connect():
                    raise self._unreachable("does not take a connection")
                yield client
        except TimeoutError:
            raise self._unreachable(f"gave no whole answer within {wait_s + self._answer_s:g} s", LATE) from None
        finally:
            client.close()

    def _unreachable(self, why: str, brief: str = UNREACHABLE) -> RelayUnreachable:
        return RelayUnreachable(f"the relay at {self._address} {why}", brief=brief)

    def _bad(self, why: str) -> RelayAnswerBad:
        return RelayAnswerBad(f"the relay at {self._address}: {why}")
