"""The simulated relay over Modbus TCP, by the map of :mod:`services.relay.modbus_map`.

A real relay's registers are in memory: after a start the slots are empty. A Modbus client has no name, so a two-faced
relay tells all of them the same. Garbage is numbers that are none (NaN).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gridledger.errors import PortTaken
from services.relay import modbus_map
from services.relay.modbus_map import MAX_READINGS, SLOTS, SlotHead, Table
from services.relay.simulator.folder import Complete
from services.relay.simulator.recorder import OpenCapture
from services.relay.simulator.relay import LONGEST_HOLD_S, SimulatedRelay, Step

SLOW_ANSWER_S = 5.0
"""A slow relay lets each request wait so long."""
_NOT_A_NUMBER = (math.nan,) * 10


class Registers:
    """The registers of a relay, as they are now."""

    def __init__(self) -> None:
        self.image = [0] * modbus_map.REGISTERS
        self._heads: dict[int, SlotHead] = {}
        self._number = 0

    def take(self, step: Step) -> None:
        """Write a reading, and the capture that was completed before it."""
        if step.completed is not None:
            self._complete(*step.completed)
        values = _NOT_A_NUMBER if step.broken else step.measured.reading.values
        self._put(modbus_map.RUNNING, modbus_map.running_registers(values))

    def _complete(self, finished: OpenCapture, complete: Complete) -> None:
        measured = finished.measured[:MAX_READINGS]
        slot, self._number = self._number % SLOTS, self._number + 1
        head = SlotHead(finished.minute, finished.faults, len(measured), complete.completed_us, self._number)
        broken = finished.kind == "garbage"
        readings = [(one.second, _NOT_A_NUMBER if broken else one.reading.values) for one in measured]
        self._heads[slot] = head
        self._put(modbus_map.slot_at(slot), modbus_map.slot_registers(head, readings))
        known = [self._heads.get(each) for each in range(SLOTS)]
        table = Table(
            faults=int(head.faults),
            minute=head.minute,
            readings=head.readings,
            slot=slot,
            held=len(self._heads),
            number=head.number,
            minutes=tuple(one.minute if one else 0 for one in known),
            numbers=tuple(one.number if one else 0 for one in known),
        )
        self._put(modbus_map.TABLE, modbus_map.table_registers(table))

    def _put(self, address: int, registers: list[int]) -> None:
        self.image[address : address + len(registers)] = registers


@asynccontextmanager
async def serving(relay: SimulatedRelay, host: str, port: int) -> AsyncIterator[int]:
    """Serve a relay over Modbus TCP; gives the port, which is chosen where ``port`` is 0.

    Raises :class:`PortTaken` where another process listens there.
    """
    registers = Registers()
    relay.listeners.append(registers.take)

    async def answer(  # noqa: PLR0917 - pymodbus calls it so
        function: int, start: int, address: int, count: int, stored: list[int], written: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Called by the server for each request, before it reads ``stored``, whose first register is ``start``."""
        del function
        match relay.kind:
            case "silent":
                await relay.hold("silent", LONGEST_HOLD_S)
                _drop_all(server)
            case "slow":
                await relay.hold("slow", SLOW_ANSWER_S)
            case "reset":
                _drop_all(server)
        if written is not None:
            return ExcCodes.ILLEGAL_ADDRESS
        stored[address - start : address - start + count] = registers.image[address : address + count]
        return None

    data = SimData(0, values=0, count=modbus_map.REGISTERS, datatype=DataType.REGISTERS)
    device = SimDevice(modbus_map.DEVICE, simdata=[data], action=answer)
    server = ModbusTcpServer(device, address=(host, port), ignore_missing_devices=True)
    try:
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise PortTaken(f"cannot listen on {host}:{port} for Modbus") from None
        listening: Any = server.transport
        yield listening.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


def _drop_all(server: ModbusTcpServer) -> None:
    """End every connection: the server does not tell which one a request came by."""
    for connection in list(server.active_connections.values()):
        transport: Any = connection.transport
        if transport is not None:
            transport.abort()
