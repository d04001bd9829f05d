"""How often the best place of a short recording is a wrong one, by 40 synthesised recordings for each figure.

They were looked for in the day in which they were made (``python -m benchmarks.enf places``). Behind a measured 0 of 40
may be a true share of 7 % (95 % confidence). They are what a place's own distance is not: they say what to expect
before it is known.
"""

from __future__ import annotations

from typing import Final

LENGTHS_S: Final = (60, 120, 300, 600)
LINES_DB: Final = (43.0, 29.0, 24.0, 19.0, 14.0)
"""The best harmonic's line to the noise in a bin of the window, as :class:`services.case.enf.extract.Tone` has it."""
WRONG_SHARES: Final[tuple[tuple[float, ...], ...]] = (
    (0.0, 0.325, 0.825, 0.95, 0.975),
    (0.0, 0.0, 0.0, 0.15, 0.525),
    (0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.0),
)
"""A row for each length, a column for each line."""


def wrong_place_share(heard_s: float, line_db: float) -> float:
    """The share, from 0 to 1, at the next shorter length and the next weaker line that were measured."""
    row = max((n for n, length in enumerate(LENGTHS_S) if length <= heard_s), default=0)
    column = min((n for n, line in enumerate(LINES_DB) if line <= line_db), default=len(LINES_DB) - 1)
    return WRONG_SHARES[row][column]
