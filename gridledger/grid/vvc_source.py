"""How the device at a bus gives the reactive power that is ordered of it.

What is ordered is kept apart from what is switched. The ledger counts what is ordered, and what is ordered and not
taken back stands: list + standing stays the same, whatever the device makes of it. A bank of steps does not add up its
errors, as it follows the sum that stands, not the single order. Frames show what the device gives now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gridledger.errors import InputError

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class VvcSource:
    """A device that gives reactive power.

    ``step_mvar``: it switches whole steps of this size, the fewest that give at least what stands; None: it gives
    exactly that. ``as_shunt``: it is a capacitor, which gives its MVAr at 1 p.u. and in proportion to V^2 otherwise;
    else it gives the same at every voltage.
    """

    step_mvar: float | None = None
    as_shunt: bool = False

    def __post_init__(self) -> None:
        if self.step_mvar is not None and not 0.0 < self.step_mvar < math.inf:
            raise InputError(f"step_mvar is {self.step_mvar}: give a size above 0, or none for a source without steps")

    def switched(self, standing_mvar: float) -> float:
        """The MVAr (at 1 p.u.) that are switched on while ``standing_mvar`` stand."""
        if self.step_mvar is None:
            return standing_mvar
        return math.ceil(standing_mvar / self.step_mvar - _ROUNDING) * self.step_mvar


EXACT = VvcSource()
"""A source of which nothing else is said."""
