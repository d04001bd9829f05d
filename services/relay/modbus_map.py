"""The register map of a relay over Modbus TCP: holding registers of device 1, numbers big-endian.

    0   Vab Vbc Vca Ia Ib Ic F FP P Q of the last reading, FLOAT32 each
    100 faults in the minute of the last complete capture, UINT16
    102 its UTC epoch minute, UINT32
    104 its readings, UINT16
    105 its slot, UINT16
    106 captures in slots, UINT16: at most 10
    108 its number, UINT32: 0 is none, each complete capture has the next
    110 UTC epoch minute of slots 0 to 9, UINT32 each
    130 number of slots 0 to 9, UINT32 each; 0 is an empty slot

Slot S holds one complete capture from register 1000 + 2000 S on:

    +0  UTC epoch minute, UINT32
    +2  faults, FLOAT32
    +4  readings, UINT16: at most 90
    +6  when it was complete, microseconds since 1970, UINT64
    +10 number, UINT32
    +16 the readings, 22 registers each: UTC second since 1970, UINT32, then the ten values, FLOAT32

A slot keeps its capture until ten more are complete. Whoever reads it in several requests reads its head before and
after: the same number means that the readings belong together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DEVICE: Final = 1
RUNNING: Final = 0
TABLE: Final = 100
TABLE_REGISTERS: Final = 50
SLOTS: Final = 10
FIRST_SLOT: Final = 1000
SLOT_REGISTERS: Final = 2000
HEAD_REGISTERS: Final = 16
READING_REGISTERS: Final = 22
MAX_READINGS: Final = 90
REGISTERS: Final = FIRST_SLOT + SLOTS * SLOT_REGISTERS
MAX_REQUEST: Final = 125
"""Registers that one request may ask for."""

_RUNNING = struct.Struct(">10f")
_TABLE = struct.Struct(">HxxIHHHxxI10I10I")
_HEAD = struct.Struct(">IfHxxQI8x")
_READING = struct.Struct(">I10f")


@dataclass(frozen=True, slots=True)
class SlotHead:
    """What stands before a slot's readings."""

    minute: int
    faults: float
    readings: int
    completed_us: int
    number: int


@dataclass(frozen=True, slots=True)
class Table:
    """Which captures there are: minute and number of each slot, and of the last complete capture its slot."""

    faults: int
    minute: int
    readings: int
    slot: int
    held: int
    number: int
    minutes: tuple[int, ...]
    numbers: tuple[int, ...]


def slot_at(slot: int) -> int:
    """The register with which a slot begins."""
    return FIRST_SLOT + slot * SLOT_REGISTERS


def running_registers(values: Sequence[float]) -> list[int]:
    """The registers of the last reading."""
    return _registers(_RUNNING.pack(*values))


def table_registers(table: Table) -> list[int]:
    """The registers of the table."""
    numbers = (*table.minutes, *table.numbers)
    first = (table.faults, table.minute, table.readings, table.slot, table.held, table.number)
    return _registers(_TABLE.pack(*first, *numbers))


def slot_registers(head: SlotHead, readings: Sequence[tuple[int, Sequence[float]]]) -> list[int]:
    """The registers of a slot: its head, and for each reading its second and values."""
    data = _HEAD.pack(head.minute, head.faults, head.readings, head.completed_us, head.number)
    return _registers(data + b"".join(_READING.pack(second, *values) for second, values in readings))


def read_table(registers: Sequence[int]) -> Table:
    """The table that registers hold."""
    faults, minute, readings, slot, held, number, *rest = _TABLE.unpack(data_of(registers))
    return Table(faults, minute, readings, slot, held, number, tuple(rest[:SLOTS]), tuple(rest[SLOTS:]))


def read_head(registers: Sequence[int]) -> SlotHead:
    """The head that registers hold."""
    return SlotHead(*_HEAD.unpack(data_of(registers)))


def read_readings(registers: Sequence[int]) -> list[tuple[int, tuple[float, ...]]]:
    """The readings that registers hold: second and values of each."""
    return [(second, tuple(values)) for second, *values in _READING.iter_unpack(data_of(registers))]


def data_of(registers: Sequence[int]) -> bytes:
    """Registers as they are sent."""
    return struct.pack(f">{len(registers)}H", *registers)


def _registers(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))
