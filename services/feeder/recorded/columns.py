"""Which column of a table holds which part of which phasor: a YAML file.

    time: {column: t, unit: us}
    stat: {column: status}
    phasors:
      - {of: {voltage: 4}, magnitude: V4, angle: A4, unit: kV, angle_unit: deg}
      - {of: {current: [4, 12]}, real: I4_12_re, imaginary: I4_12_im, unit: A}
      - {of: {load: 4}, magnitude: L4, angle: L4a, unit: pu}

Voltages are phase to neutral in V or kV, or per unit; currents in A or kA, or per unit of base power and base voltage.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gridledger.errors import InputError
from gridledger.field.c37118 import Stat
from gridledger.grid.case import Case
from services.feeder.pmu.mapping import Measured, first_fault, load_yaml
from services.feeder.pmu.phasors import VOLTAGE, Quantity, base_kv

_US = {"us": 1, "ms": 1_000, "s": 1_000_000}
_SI = {"V": 1.0, "kV": 1000.0, "A": 1.0, "kA": 1000.0}
_MOST_US = 1 << 53
_LAST_STAT = 0xFFFF

Column = Annotated[str, Field(min_length=1, max_length=1024)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeColumn(_Form):
    """Where the time stands: numbers since 1970 in a unit, or ISO 8601 with its offset."""

    column: Column
    unit: Literal["us", "ms", "s", "iso"] = "us"


class StatColumn(_Form):
    """Where STAT stands, as a number; a row that is not good is counted and not used."""

    column: Column


class PhasorColumns(_Form):
    """The two columns of a phasor, and their units."""

    of: Measured
    real: Column | None = None
    imaginary: Column | None = None
    magnitude: Column | None = None
    angle: Column | None = None
    unit: Literal["V", "kV", "A", "kA", "pu"]
    angle_unit: Literal["deg", "rad"] = "deg"

    @model_validator(mode="after")
    def _pair(self) -> Self:
        given = [name for name in ("real", "imaginary", "magnitude", "angle") if getattr(self, name) is not None]
        if given not in (["real", "imaginary"], ["magnitude", "angle"]):
            raise ValueError("give real and imaginary, or magnitude and angle")
        is_voltage = self.of.voltage is not None
        if self.unit in (("A", "kA") if is_voltage else ("V", "kV")):
            raise ValueError(f"{self.unit} is no unit of a {'voltage' if is_voltage else 'current'}")
        return self


class Columns(_Form):
    """The whole file."""

    time: TimeColumn
    stat: StatColumn | None = None
    phasors: Annotated[list[PhasorColumns], Field(min_length=1, max_length=200_000)]


@dataclass(frozen=True, slots=True)
class _Phasor:
    quantity: Quantity
    first: str
    second: str
    is_polar: bool
    factor: float
    radians: float


class RowReader:
    """Reads rows of a table for a case. Raises InputError for columns that mean nothing in it."""

    def __init__(self, columns: Columns, case: Case) -> None:
        self._time, self._stat = columns.time, columns.stat
        self._phasors = [_phasor(one, case) for one in columns.phasors]
        if len({one.quantity for one in self._phasors}) != len(self._phasors):
            raise InputError("phasors: two of them are of the same quantity")

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        names = [self._time.column, *([self._stat.column] if self._stat else [])]
        names += [name for one in self._phasors for name in (one.first, one.second)]
        return list(dict.fromkeys(names))

    def time_us(self, row: Mapping[str, Any]) -> int:
        """Microseconds since 1970; ValueError where the cell holds no time."""
        cell = row[self._time.column]
        if self._time.unit == "iso" or isinstance(cell, datetime):
            moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell).strip())
            if moment.tzinfo is None:
                raise ValueError(f"the time {cell} has no offset from UTC")
            found = round(moment.timestamp() * 1e6)
        elif self._time.unit == "us":
            found = int(cell)
        else:
            found = round(float(cell) * _US[self._time.unit])
        if not 0 <= found < _MOST_US:
            raise ValueError(f"the time {cell} is out of range")
        return found

    def is_good(self, row: Mapping[str, Any]) -> bool:
        """Whether STAT says that the values may be used."""
        if self._stat is None:
            return True
        word = int(row[self._stat.column])
        if not 0 <= word <= _LAST_STAT:
            raise ValueError(f"STAT {word} has no 16 bits")
        stat = Stat(word)
        return stat.is_good and not stat.unsynchronised and not stat.sorted_by_arrival

    def phasors(self, row: Mapping[str, Any]) -> dict[Quantity, complex]:
        """The phasors that are there: V and A. An empty cell, or NaN, leaves its phasor out; ValueError for text."""
        found: dict[Quantity, complex] = {}
        for one in self._phasors:
            first, second = _number(row[one.first]), _number(row[one.second])
            value = cmath.rect(first, second * one.radians) if one.is_polar and math.isfinite(second) else None
            value = complex(first, second) if not one.is_polar else value
            if value is not None and cmath.isfinite(value * one.factor):
                found[one.quantity] = value * one.factor
        return found


def read_columns(path: Path) -> Columns:
    """The file's columns. Raises InputError that names the member."""
    try:
        return Columns.model_validate(load_yaml(path))
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error)}") from None


def _phasor(one: PhasorColumns, case: Case) -> _Phasor:
    quantity = one.of.quantity(case)
    radians = math.radians(1.0) if one.angle_unit == "deg" else 1.0
    factor = _SI[one.unit] if one.unit != "pu" else _per_unit(quantity, case, one.of)
    if one.magnitude is not None and one.angle is not None:
        return _Phasor(quantity, one.magnitude, one.angle, True, factor, radians)
    return _Phasor(quantity, str(one.real), str(one.imaginary), False, factor, radians)


def _per_unit(quantity: Quantity, case: Case, of: Measured) -> float:
    """V or A of one per unit at the bus."""
    bus = quantity.at if of.current is None else of.current[0]
    volts = float(base_kv(case)[case.position[bus]]) * 1000.0 / math.sqrt(3.0)
    return volts if quantity.kind == VOLTAGE else case.base_mva * 1e6 / (3.0 * volts)


def _number(cell: Any) -> float:
    if cell is None or cell == "":
        return math.nan
    return float(cell)
