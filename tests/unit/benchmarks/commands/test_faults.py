"""The table of faults: what is taken for a gap, and which bars are kept."""

from __future__ import annotations

import pytest

from benchmarks.commands.faults import BARS, Row, rows_of
from benchmarks.measure.faults import KINDS, Answers, network_config


def test_a_gap_reaches_from_the_fault_to_the_end_where_nothing_commits() -> None:
    answers = Answers(committed_at=[9.0, 10.1, 10.2, 11.0, 11.1])
    assert answers.longest_gap_s(10.0, 11.2) == pytest.approx(0.8)
    assert answers.longest_gap_s(10.0, 14.0) == pytest.approx(2.9)
    assert Answers().longest_gap_s(10.0, 14.0) == 4.0
    assert answers.first_commit_after(10.9) == pytest.approx(0.1)
    assert Answers().first_commit_after(1.0) == float("inf")


@pytest.mark.parametrize(
    ("values", "keeps"),
    [
        ([0.9] * 28 + [2.9] * 2, True),
        ([0.9] * 27 + [2.9] * 3, False),
        ([0.9] * 29 + [3.1], False),
        ([1.1] * 30, False),
    ],
)
def test_28_of_30_keep_the_second_bar(values: list[float], keeps: bool) -> None:
    (row,) = rows_of([{"killed leader": value} for value in values])
    assert row.keeps is keeps
    assert str(row).endswith("kept |" if keeps else "MISSED |")


def test_a_few_repetitions_have_a_row_for_each_thing_measured() -> None:
    rows = rows_of([{"hung leader": 1.0, "hung leader of another channel": 0.2}, {"hung follower": 0.3}])
    assert [row.name for row in rows] == ["hung leader", "hung leader of another channel", "hung follower"]
    assert rows[0] == Row("hung leader", (1.0,))
    assert all(any(name.startswith(kind.replace("-", " ")) for name in BARS) for kind in KINDS)


def test_the_network_is_a_valid_one() -> None:
    assert set(network_config(100).channels) == {"one", "two"}
