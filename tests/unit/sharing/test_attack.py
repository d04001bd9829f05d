"""The article's formula of section 5.1: as printed, as it must read, and the exact value."""

from __future__ import annotations

from math import comb

import pytest

from gridledger.sharing.attack import MAX_BLOCKS, corrected, exact, printed
from gridledger.sharing.errors import SharingError


def test_the_figures_for_a_tenth_and_ten_blocks() -> None:
    assert printed(0.1, 10) == pytest.approx(1.2e-6, abs=0.05e-6)
    assert corrected(0.1, 10) == pytest.approx(0.0000012414, rel=1e-4)  # Nakamoto's paper: 0.0000012
    assert exact(0.1, 10) == pytest.approx(7.9e-6, abs=0.05e-6)


@pytest.mark.parametrize(
    ("blocks", "probability"),
    [(1, 0.2045873), (2, 0.0509779), (3, 0.0131722), (5, 0.0009137), (9, 0.0000046)],
)
def test_nakamotos_own_table(blocks: int, probability: float) -> None:
    assert corrected(0.1, blocks) == pytest.approx(probability, abs=5e-8)


@pytest.mark.parametrize(
    ("attacker", "blocks", "percent"), [(0.1, 1, 20.0), (0.1, 6, 0.059), (0.2, 4, 6.669), (0.3, 10, 6.511)]
)
def test_the_exact_value_is_rosenfelds(attacker: float, blocks: int, percent: float) -> None:
    """Against the sum that leaves nothing out: the attacker's m blocks, and catching up from there."""
    b = 1 - attacker
    summed = sum(
        comb(m + blocks - 1, m) * b**blocks * attacker**m * min(1.0, (attacker / b) ** (blocks - m)) for m in range(300)
    )
    assert exact(attacker, blocks) == pytest.approx(summed, rel=1e-9)
    assert 100 * exact(attacker, blocks) == pytest.approx(percent, abs=0.0005)


@pytest.mark.parametrize("blocks", [1, 5, 10])
def test_as_printed_it_is_no_probability_where_the_attacker_leads(blocks: int) -> None:
    assert 1.10 < printed(0.6, blocks) < 1.15
    assert corrected(0.6, blocks) == exact(0.6, blocks) == 1.0


def test_how_far_beyond_one_the_print_goes() -> None:
    assert [round(printed(0.6, blocks), 2) for blocks in (1, 2, 5, 10)] == [1.11, 1.14, 1.14, 1.11]


def test_the_printed_formula_understates() -> None:
    for attacker in (0.05, 0.1, 0.2, 0.3):
        assert corrected(attacker, 10) < exact(attacker, 10)


@pytest.mark.parametrize(
    ("attacker", "blocks", "named"), [(0, 1, "attacker"), (1, 1, "attacker"), (0.1, 0, "blocks"), (0.1, 701, "blocks")]
)
def test_what_is_no_share_is_refused(attacker: float, blocks: int, named: str) -> None:
    for formula in (printed, corrected, exact):
        with pytest.raises(SharingError) as refused:
            formula(attacker, blocks)
        assert refused.value.field == named


@pytest.mark.parametrize("attacker", [0.05, 0.3, 0.49])
def test_at_the_most_blocks_no_term_is_lost(attacker: float) -> None:
    """Both formulas are near to the exact value there, or all three below what binary64 tells apart from 0."""
    true = exact(attacker, MAX_BLOCKS)
    assert corrected(attacker, MAX_BLOCKS) == pytest.approx(true, rel=0.1, abs=1e-30)
    assert printed(attacker, MAX_BLOCKS) == pytest.approx(true, rel=0.1, abs=1e-9)


@pytest.mark.parametrize(("attacker", "blocks"), [(0.9999, 700), (0.999, 200), (0.6, 700)])
def test_what_is_beyond_binary64_is_refused_and_not_told_as_1(attacker: float, blocks: int) -> None:
    with pytest.raises(SharingError, match="beyond binary64") as refused:
        printed(attacker, blocks)
    assert refused.value.field == "attacker"
    assert corrected(attacker, blocks) == exact(attacker, blocks) == 1.0
