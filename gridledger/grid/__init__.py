"""The grid without I/O: cases, admittances, power flow, groups, impedances, records, frames, planning and the plant.

Sections that docstrings here and in services/feeder name are those of docs/dvs-specification.md ("spec").

Needs the extra ``feeder``: without numpy importing this package raises :class:`~gridledger.extras.MissingExtra`,
without pandapower making a :class:`~gridledger.grid.power_flow.PowerFlow` does.
"""

from __future__ import annotations

from gridledger.extras import MissingExtra

try:
    import numpy as _numpy  # noqa: F401 -- only to say what is missing before a module of this package fails
except ImportError as _error:
    raise MissingExtra("gridledger.grid", "numpy", "feeder") from _error
