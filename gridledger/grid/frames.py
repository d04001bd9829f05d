"""The PMU frame of a group (spec section 11.3), measured from a solved state."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridledger.grid.area import Area
from gridledger.grid.power_flow import GridState

Frame = dict[str, Any]


class FrameMaker:
    """Makes one group's frames. A state is laid out once; only the time changes while the grid stands still."""

    def __init__(self, area: Area, *, with_reference: bool = False) -> None:
        """``with_reference``: a member that is the reference bus has a row as well; records with ``check`` use it."""
        self.area = area
        self._buses, self._positions = area.dim, area.positions
        if with_reference and area.case.reference in area.members:
            self._buses = (*area.dim, area.case.reference)
            self._positions = np.append(area.positions, area.case.position[area.case.reference])
        self._ends = [area.case.ends(branch) for branch in area.branches]
        self._state: GridState | None = None
        self._body: Frame = {}

    def frame(self, state: GridState, time_us: int, *, applied: int | None = None) -> Frame:
        """The frame at ``time_us``. ``applied``: how many of the group's actions the measurement already shows.

        The lists inside are shared between frames of the same state and must not be changed.
        """
        if state is not self._state:
            self._state, self._body = state, self._measure(state)
        frame = {"group": self.area.group, "time": time_us, **self._body}
        if applied is not None:
            frame["applied"] = applied
        return frame

    def _measure(self, state: GridState) -> Frame:
        positions = self._positions
        # + 0.0 turns -0 into 0, which is how numbers stand on the wire.
        columns = [(values[positions] + 0.0).tolist() for values in (state.pd, state.qd, state.vm, state.va)]
        flows = (state.flows[list(self.area.branches)] + 0.0).tolist()
        return {
            "base": self.area.case.base_mva,
            "buses": [
                {"bus": bus, "Pd": pd, "Qd": qd, "Vm": vm, "Va": va}
                for bus, pd, qd, vm, va in zip(self._buses, *columns, strict=True)
            ],
            "branches": [
                {"f": f, "t": t, "Pf": pf, "Qf": qf, "Pt": pt, "Qt": qt}
                for (f, t), (pf, qf, pt, qt) in zip(self._ends, flows, strict=True)
            ],
        }
