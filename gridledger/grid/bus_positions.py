"""Where the buses of a case are drawn: where the case says, or where a layout of its graph puts them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gridledger.grid.case import Case, FloatArray, IntArray

_MOST_BY_STRESS = 150
_MOST_BY_SPRINGS = 2000
_SEED = 1
# Two buses of case30 lie on lines of others.
_MOVED: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "case30": {9: (1.30, -3.68), 11: (2.20, -3.52), 21: (1.82, -4.98)}
}


def drawn_positions(case: Case) -> FloatArray:
    """:func:`bus_positions` for a drawing: no bus lies on a line of others."""
    positions = bus_positions(case).copy()
    for bus, place in _MOVED.get(case.name, {}).items():
        positions[case.position[bus]] = place
    return positions


def bus_positions(case: Case) -> FloatArray:
    """x, y of every bus, case order. The same for the same case, up to what the processor rounds.

    A layout is made where a bus has no position: by stress up to 150 buses, by springs up to 2,000 (about 10 s),
    by the graph's spectrum above.
    """
    if np.isfinite(case.coordinates).all():
        return case.coordinates
    return laid_out(len(case.numbers), case.branches.f, case.branches.t)


def laid_out(size: int, f: IntArray, t: IntArray) -> FloatArray:
    """x, y of each of ``size`` buses of a connected grid by its branches' ends (0 to size - 1), as above."""
    import networkx  # noqa: PLC0415 -- takes a while, and most cases have positions

    if size > _MOST_BY_SPRINGS:
        return _by_spectrum(size, f, t)
    graph = networkx.Graph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from(zip(f.tolist(), t.tolist(), strict=True))
    if size <= _MOST_BY_STRESS:
        found = networkx.kamada_kawai_layout(graph)
    else:
        start = dict(enumerate(_by_spectrum(size, f, t)))
        found = networkx.spring_layout(graph, pos=start, seed=_SEED, method="force")
    return np.asarray([found[index] for index in range(size)], dtype=np.float64)


def _by_spectrum(size: int, f: IntArray, t: IntArray) -> FloatArray:
    """The two slowest modes of the graph; networkx finds the same in a minute where this takes a second."""
    from scipy.sparse import coo_array, eye_array  # noqa: PLC0415
    from scipy.sparse.csgraph import laplacian  # noqa: PLC0415
    from scipy.sparse.linalg import eigsh  # noqa: PLC0415

    joined = coo_array((np.ones(len(f)), (f, t)), shape=(size, size)).tocsr()
    matrix = laplacian(joined + joined.T) + 1e-9 * eye_array(size)
    _, modes = eigsh(matrix.tocsc(), k=3, sigma=0.0, v0=np.linspace(1.0, 2.0, size))
    positions: FloatArray = modes[:, 1:] * np.sqrt(size)
    return positions
