"""Where the buses of a case are drawn: where the case says, or where a layout of its graph puts them."""

from __future__ import annotations

import numpy as np

from gridledger.grid.case import Case, FloatArray

_MOST_BY_STRESS = 150
_MOST_BY_SPRINGS = 2000
_SEED = 1


def bus_positions(case: Case) -> FloatArray:
    """x, y of every bus, case order. The same for the same case, up to what the processor rounds.

    A layout is made where a bus has no position: by stress up to 150 buses, by springs up to 2,000 (about 10 s),
    by the graph's spectrum above.
    """
    if np.isfinite(case.coordinates).all():
        return case.coordinates
    import networkx  # noqa: PLC0415 -- takes a while, and most cases have positions

    size = len(case.numbers)
    if size > _MOST_BY_SPRINGS:
        return _by_spectrum(case)
    graph = networkx.Graph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from(zip(case.branches.f.tolist(), case.branches.t.tolist(), strict=True))
    if size <= _MOST_BY_STRESS:
        found = networkx.kamada_kawai_layout(graph)
    else:
        start = dict(enumerate(_by_spectrum(case)))
        found = networkx.spring_layout(graph, pos=start, seed=_SEED, method="force")
    return np.asarray([found[index] for index in range(size)], dtype=np.float64)


def _by_spectrum(case: Case) -> FloatArray:
    """The two slowest modes of the graph; networkx finds the same in a minute where this takes a second."""
    from scipy.sparse import coo_array, eye_array  # noqa: PLC0415
    from scipy.sparse.csgraph import laplacian  # noqa: PLC0415
    from scipy.sparse.linalg import eigsh  # noqa: PLC0415

    size, ends = len(case.numbers), (case.branches.f, case.branches.t)
    joined = coo_array((np.ones(len(case.branches)), ends), shape=(size, size)).tocsr()
    matrix = laplacian(joined + joined.T) + 1e-9 * eye_array(size)
    _, modes = eigsh(matrix.tocsc(), k=3, sigma=0.0, v0=np.linspace(1.0, 2.0, size))
    positions: FloatArray = modes[:, 1:] * np.sqrt(size)
    return positions
