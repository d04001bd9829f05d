"""The values that a simulated relay measures: drawn as in the article's Algorithm 1, or so that they fit together."""

from __future__ import annotations

from math import sqrt
from random import Random

MOST_FAULTS = 28
_DECIMALS = 3
_VOLTAGE_KV = (109.0, 118.0)
_CURRENT_A = (0.0, 50.0)
_FREQUENCY_HZ = (59.0, 61.0)
_POWER_FACTOR = (0.0, 1.0)
_POWER = (0.0, 700.0)


def draw_faults(random: Random) -> float:
    """Openings caused by faults in a minute: 0 to 28."""
    return float(random.randint(0, MOST_FAULTS))


def draw_values(random: Random, *, physical: bool) -> tuple[float, ...]:
    """One reading: Vab Vbc Vca (kV) Ia Ib Ic (A) F (Hz) FP P (MW) Q (MVAr), each with three decimals.

    The article draws each by itself. ``physical``: P = sqrt(3) V I FP / 1000 with the mean voltage and current, and Q
    the rest of the apparent power.
    """
    voltages = [_drawn(random, _VOLTAGE_KV) for _ in range(3)]
    currents = [_drawn(random, _CURRENT_A) for _ in range(3)]
    frequency, factor = _drawn(random, _FREQUENCY_HZ), _drawn(random, _POWER_FACTOR)
    if physical:
        apparent = sqrt(3) * (sum(voltages) / 3) * (sum(currents) / 3) / 1000
        active = round(apparent * factor, _DECIMALS)
        reactive = round(apparent * sqrt(1 - factor * factor), _DECIMALS)
    else:
        active, reactive = _drawn(random, _POWER), _drawn(random, _POWER)
    return (*voltages, *currents, frequency, factor, active, reactive)


def _drawn(random: Random, limits: tuple[float, float]) -> float:
    return round(random.uniform(*limits), _DECIMALS)
