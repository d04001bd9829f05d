"""The points that ``make figures`` measures."""

from __future__ import annotations

from benchmarks.commands.figures import parse, selected


def test_every_point_is_a_valid_load():
    _, points = selected(parse([]))
    assert len(points) == 3 * (13 + 13 + 15 + 10)
    assert len(set(points)) == len(points)
    for point in points:
        assert point.spec().transactions == point.transactions
