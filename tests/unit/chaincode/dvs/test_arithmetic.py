"""Arithmetic that must give the same bits everywhere, against exact arithmetic."""

# The names are the specification's.
# ruff: noqa: N803

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import inf, isfinite, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.dvs.arithmetic import DEGREE, Elimination, sin_cos, term

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
ERROR_BOUND = Decimal("3.3e-16")

Matrix = list[list[float]]


def exact_sin_cos(degrees: float) -> tuple[Decimal, Decimal]:
    """Sine and cosine to 40 digits, by their series."""
    with localcontext() as context:
        context.prec = 50
        x = Decimal(degrees) % 360 * PI / 180
        sine, cosine, power = Decimal(0), Decimal(0), Decimal(1)
        for n in range(60):
            sign = -1 if n // 2 % 2 else 1
            if n % 2:
                sine += sign * power
            else:
                cosine += sign * power
            power = power * x / (n + 1)
        return sine, cosine


@given(st.floats(-720.0, 720.0))
def test_sine_and_cosine_are_within_the_stated_error(degrees: float) -> None:
    for computed, exact in zip(sin_cos(degrees), exact_sin_cos(degrees), strict=True):
        assert abs(Decimal(computed) - exact) <= ERROR_BOUND


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(0.0, (0, 1)), (90.0, (1, 0)), (180.0, (0, -1)), (270.0, (-1, 0)), (-90.0, (-1, 0)), (720.0, (0, 1))],
)
def test_quarter_turns_are_exact(degrees: float, expected: tuple[int, int]) -> None:
    assert sin_cos(degrees) == expected


def test_half_quarters_turn_up() -> None:
    """k = floor(d/90 + 0.5): 45 degrees are reduced to -45 of the next quarter."""
    x = -45.0 * DEGREE
    sine, cosine = sin_cos(45.0)
    assert sine == sin_cos(-45.0)[1]
    assert cosine == -sin_cos(-45.0)[0]
    assert abs(sine - sqrt(0.5)) < 2e-16 > abs(x + 0.7853981633974483)


@given(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.01, 10), st.floats(-720, 720))
def test_term_is_evaluated_as_it_is_written(G: float, B: float, v: float, degrees: float) -> None:
    sine, cosine = sin_cos(degrees)
    assert term(G, B, v, degrees) == (G * v) * sine - (B * v) * cosine


def literal_solution(matrix: Matrix, right: list[float]) -> list[float] | None:
    """The elimination of the specification, word for word; None where no source counts."""
    a, b = [list(row) for row in matrix], list(right)
    n = len(a)
    for c in range(n):
        pivot = max(range(c, n), key=lambda r: (abs(a[r][c]), -r))
        if a[pivot][c] == 0 or not isfinite(a[pivot][c]):
            return None
        a[c], a[pivot], b[c], b[pivot] = a[pivot], a[c], b[pivot], b[c]
        for r in range(c + 1, n):
            f = a[r][c] / a[c][c]
            for k in range(c + 1, n):
                a[r][k] = a[r][k] - f * a[c][k]
            b[r] = b[r] - f * b[c]
    x = [0.0] * n
    for r in reversed(range(n)):
        s = b[r]
        for k in range(r + 1, n):
            s = s - a[r][k] * x[k]
        x[r] = s / a[r][r]
    return x


def exact_solution(matrix: Matrix, right: list[float]) -> list[Fraction]:
    """By fractions; the matrix must be regular."""
    a = [[*map(Fraction, row), Fraction(value)] for row, value in zip(matrix, right, strict=True)]
    for c in range(len(a)):
        pivot = next(r for r in range(c, len(a)) if a[r][c] != 0)
        a[c], a[pivot] = a[pivot], a[c]
        a[c] = [value / a[c][c] for value in a[c]]
        for r in range(len(a)):
            if r != c and a[r][c] != 0:
                a[r] = [one - a[r][c] * two for one, two in zip(a[r], a[c], strict=True)]
    return [row[-1] for row in a]


@st.composite
def systems(draw: st.DrawFn, *, dominant: bool) -> tuple[Matrix, list[float]]:
    """A sparse square matrix and a right-hand side; ``dominant``: diagonally, as a grid's Jacobian is."""
    n = draw(st.integers(1, 7))
    entry = st.one_of(st.just(0.0), st.floats(-30, 30, allow_subnormal=False), st.integers(-2, 2).map(float))
    matrix = [[draw(entry) for _ in range(n)] for _ in range(n)]
    if dominant:
        for i in range(n):
            matrix[i][i] = sum(map(abs, matrix[i])) + 1.0
    return matrix, [draw(entry) for _ in range(n)]


@given(systems(dominant=False))
def test_elimination_has_the_bits_of_the_specification(system: tuple[Matrix, list[float]]) -> None:
    matrix, right = system
    expected = literal_solution(matrix, right)
    solver = Elimination(matrix)
    assert solver.regular == (expected is not None)
    if expected is not None:
        assert [value.hex() for value in map(plus_zero, solver.solve(right))] == [
            value.hex() for value in map(plus_zero, expected)
        ]


def plus_zero(value: float) -> float:
    """Zeros of either sign are one number on the ledger."""
    return value + 0.0


@given(systems(dominant=True))
def test_elimination_agrees_with_exact_fractions(system: tuple[Matrix, list[float]]) -> None:
    matrix, right = system
    solver = Elimination(matrix)
    assert solver.regular
    scale = max(map(abs, right)) + 1.0
    for computed, exact in zip(solver.solve(right), exact_solution(matrix, right), strict=True):
        assert abs(Fraction(computed) - exact) <= Fraction(scale) * Fraction(1, 10**12)


@given(systems(dominant=True))
def test_a_row_of_the_inverse_is_what_each_unit_vector_gives_there(system: tuple[Matrix, list[float]]) -> None:
    matrix, _ = system
    size = len(matrix)
    inverse = [exact_solution(matrix, [float(r == column) for r in range(size)]) for column in range(size)]
    for number in range(size):
        row = Elimination(matrix).row_of_inverse(number)
        for computed, column in zip(row, inverse, strict=True):
            assert abs(Fraction(computed) - column[number]) <= Fraction(1, 10**12)


def test_a_row_of_the_inverse_knows_swapped_rows() -> None:
    """The inverse of a matrix whose pivots all lie off the diagonal, by hand."""
    solver = Elimination([[0.0, 2.0, 0.0], [0.0, 0.0, 4.0], [8.0, 0.0, 0.0]])
    assert [solver.row_of_inverse(n) for n in range(3)] == [[0.0, 0.0, 0.125], [0.5, 0.0, 0.0], [0.0, 0.25, 0.0]]


@pytest.mark.parametrize("matrix", [[[0.0]], [[1.0, 2.0], [2.0, 4.0]], [[inf, 1.0], [1.0, 1.0]]])
def test_a_matrix_without_a_finite_pivot_is_not_regular(matrix: Matrix) -> None:
    assert not Elimination(matrix).regular


def test_equal_pivots_take_the_lowest_row_and_the_matrix_is_left_alone() -> None:
    matrix = [[1.0, 3.0, 0.0], [-2.0, 1.0, 5.0], [2.0, 7.0, 1.0]]
    copy = [list(row) for row in matrix]
    assert Elimination(matrix).solve([1.0, 0.0, 0.0]) == literal_solution(copy, [1.0, 0.0, 0.0])
    assert matrix == copy


def test_infinity_on_the_way_is_not_lost_where_rows_are_skipped() -> None:
    """0 times infinity is no number: a row with a multiplier of 0 is not skipped next to infinity."""
    matrix = [[1e-300, 1e300, 0.0], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0]]
    for right in ([1.0, 0.0, 0.0], [1e308, 1e308, 1.0]):
        expected = literal_solution(matrix, right)
        assert expected is not None
        assert list(map(isfinite, Elimination(matrix).solve(right))) == list(map(isfinite, expected))
