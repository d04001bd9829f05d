"""Which buses hang together: the connected parts of a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Positions = npt.NDArray[np.int64]


def islands(size: int, f: Positions, t: Positions) -> list[Positions]:
    """The positions of the buses of each connected part, ascending; parts by their first bus.

    ``f`` and ``t`` are the ends of the branches, as positions below ``size``.
    """
    joined = coo_array((np.ones(len(f), dtype=np.int8), (f, t)), shape=(size, size))
    count, labels = connected_components(joined, directed=False)
    parts = [np.flatnonzero(labels == label).astype(np.int64) for label in range(count)]
    return sorted(parts, key=lambda part: int(part[0]))
