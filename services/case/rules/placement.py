"""Where PMUs stand in a grid case, and their rows put together as phasors of that case.

Rows have the columns of a light node's Parquet files: ``time_us``, and for each phasor NAME ``NAME_mag`` (V or A) and
``NAME_ang`` (radians).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.settings import SettingsPart
from services.case.rules.gps import Measured
from services.case.rules.phasors import ComplexArray, Phasors, lines_between

TIME: Final = "time_us"
MAX_PMUS: Final = 10_000

Columns = Mapping[str, Sequence[Any] | npt.NDArray[Any]]
"""A PMU's rows, by column, in the order of time."""


class PlacedPmu(SettingsPart):
    """A PMU: its bus, its voltage phasor, and the branch into which each of its current phasors flows: the bus numbers
    of the branch's ends, its own first, and which of the parallel ones it is (1 where it is left out)."""

    bus: int
    voltage: str = "V"
    currents: dict[str, tuple[int, int] | tuple[int, int, int]] = Field(min_length=1)


class Placement(SettingsPart):
    """The grid case, its nominal frequency, what 1 p.u. is, V and A, and the PMUs by device."""

    case: str
    nominal_hz: Annotated[float, Field(gt=0)] = 50.0
    volts: Annotated[float, Field(gt=0)]
    amperes: Annotated[float, Field(gt=0)]
    pmus: dict[str, PlacedPmu] = Field(min_length=2, max_length=MAX_PMUS)


def placement_of(value: Any) -> Placement:
    """Read a placement; :class:`InputError` names the member that is wrong."""
    try:
        return Placement.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"placement.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def measured(placement: Placement, rows: Mapping[str, Columns]) -> Measured:
    """The phasors of all PMUs that have rows, at all moments that one of them has. :class:`InputError` where a branch
    or a column is not there."""
    case = load_case(placement.case)
    lines = lines_between(case, {name: pmu.bus for name, pmu in placement.pmus.items()})
    line_of = {branch: place for place, branch in enumerate(lines.branches.tolist())}
    times = [np.asarray(columns[TIME], dtype=np.int64) for columns in rows.values()]
    time_us = np.unique(np.concatenate(times)) if times else np.zeros(0, dtype=np.int64)
    v = np.full((len(time_us), len(lines.pmus)), np.nan, dtype=np.complex128)
    i_f, i_t = (np.full((len(time_us), len(lines.names)), np.nan, dtype=np.complex128) for _ in range(2))
    for place, name in enumerate(lines.pmus):
        if name not in rows:
            continue
        pmu, columns = placement.pmus[name], rows[name]
        at = np.searchsorted(time_us, np.asarray(columns[TIME], dtype=np.int64))
        v[at, place] = _phasor(columns, pmu.voltage, name) / placement.volts
        for channel, branch in pmu.currents.items():
            row = case.branch(*branch)
            line = line_of.get(row)
            if line is not None:  # else there is no PMU at its other end
                current = i_f if case.ends(row)[0] == pmu.bus else i_t
                current[at, line] = _phasor(columns, channel, name) / placement.amperes
    return Measured(lines, Phasors(time_us, v, i_f, i_t), placement.nominal_hz)


def _phasor(columns: Columns, channel: str, pmu: str) -> ComplexArray:
    try:
        magnitude, angle = (np.asarray(columns[f"{channel}_{part}"], dtype=np.float64) for part in ("mag", "ang"))
    except KeyError as error:
        raise InputError(f"the rows of {pmu} have no column {error.args[0]}") from None
    return np.asarray(magnitude * np.exp(1j * angle), dtype=np.complex128)
