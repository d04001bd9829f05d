"""Events from registers and coils over Modbus TCP: a change is an event. Needs pymodbus (extra ``forensics``).

After each connection one event of kind ``health`` has all values, so what changed while nobody looked is on record.
Values whose changes are of a private kind, as a meter's readings, are told each by an event of that kind instead: what
``health`` says stands on the ledger for all its members.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from gridledger.evidence.events import PRIVATE_KINDS
from services.lightnode import metrics
from services.lightnode.settings import ModbusSource, WatchedRegister
from services.lightnode.sources.telling import SourceAway, Tell, kept_up, told

_NEAR: Final = 16
"""Registers that lie so near to one another are read together, with those between."""
_MAX_TOGETHER: Final = 100
_SIGN: Final = 0x8000

# It logs each failed request; ours are raised, and told by whoever reads.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class ModbusWatcher:
    """One device's registers."""

    def __init__(self, device: str, source: ModbusSource, tell: Tell, random: Random) -> None:
        self._device = device
        self._source = source
        self._tell = tell
        self._random = random
        self._reads = grouped(source.registers)

    async def run(self) -> None:
        """Watch until this is cancelled."""
        await kept_up(self._device, "modbus", self._watch, self._tell, self._random)

    async def _watch(self) -> None:
        async with self._connected() as client:
            known = await self._values(client)
            metrics.SOURCE_UP.labels(self._device).set(1)
            await self._tell_all(known)
            while True:
                await asyncio.sleep(self._source.every_s)
                values = await self._values(client)
                for register in self._source.registers:
                    value, before = values[register.name], known[register.name]
                    if not has_changed(register, before, value):
                        continue
                    known[register.name] = value
                    body = {"name": register.name, "value": value, "before": before}
                    if await told(self._tell, {"kind": register.event, "body": body}):
                        metrics.SOURCE_EVENTS.labels("modbus").inc()

    async def _tell_all(self, values: dict[str, float | bool]) -> None:
        private = [register for register in self._source.registers if register.event in PRIVATE_KINDS]
        names = {register.name for register in private}
        public = {name: value for name, value in values.items() if name not in names}
        await told(self._tell, {"kind": "health", "body": {"source": "modbus", "values": public}})
        for register in private:
            body = {"name": register.name, "value": values[register.name], "before": None}
            await told(self._tell, {"kind": register.event, "body": body})

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncModbusTcpClient]:
        source = self._source
        client = AsyncModbusTcpClient(
            source.host, port=source.port, timeout=source.answer_s, retries=0, reconnect_delay=0
        )
        try:
            if not await client.connect():
                raise SourceAway(f"{source.host}:{source.port} cannot be reached")
            yield client
        except (ModbusException, OSError, TimeoutError) as error:
            raise SourceAway(f"{source.host}:{source.port}: {error!s:.200}") from None
        finally:
            client.close()

    async def _values(self, client: AsyncModbusTcpClient) -> dict[str, float | bool]:
        found: dict[str, float | bool] = {}
        for table, start, count, registers in self._reads:
            read = {
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
            }[table]
            answer = await read(start, count=count, device_id=self._source.unit)
            words = answer.bits if table in ("coil", "discrete") else answer.registers
            if answer.isError() or len(words) < count:
                raise SourceAway(f"{self._source.host} refuses {count} of {table} from {start} on: {answer!s:.100}")
            for register in registers:
                found[register.name] = value_of(register, words[register.address - start])
        return {register.name: found[register.name] for register in self._source.registers}


def value_of(register: WatchedRegister, word: int | bool) -> float | bool:
    """What a register or coil says."""
    if register.table in ("coil", "discrete"):
        return bool(word)
    number = word - 2 * _SIGN if register.signed and word & _SIGN else word
    return number * register.scale


def has_changed(register: WatchedRegister, before: float | bool, value: float | bool) -> bool:
    """Whether a value is another one than was told last."""
    if isinstance(value, bool):
        return value != before
    return value != before and abs(value - before) >= register.deadband


def grouped(registers: Sequence[WatchedRegister]) -> list[tuple[str, int, int, list[WatchedRegister]]]:
    """Few requests for all registers: table, first address, count, and the registers in it."""
    groups: list[list[WatchedRegister]] = []
    for register in sorted(registers, key=lambda one: (one.table, one.address)):
        last = groups[-1] if groups else None
        if (
            last is not None
            and last[0].table == register.table
            and register.address - last[-1].address <= _NEAR
            and register.address - last[0].address < _MAX_TOGETHER
        ):
            last.append(register)
        else:
            groups.append([register])
    return [(group[0].table, group[0].address, group[-1].address - group[0].address + 1, group) for group in groups]
