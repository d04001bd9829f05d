"""Where two ledgers part, and the past events of a chain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gridledger.cli.reading import first_difference


async def part(height: int, at: int | None) -> tuple[int | None, int]:
    """What is found of two ledgers whose commit hashes differ from block ``at`` on, and how often was asked."""
    asked = 0

    async def one(number: int) -> str:
        nonlocal asked
        asked += 1
        return f"{number}"

    async def other(number: int) -> str:
        assert 0 <= number < height
        return f"{number}" if at is None or number < at else f"other {number}"

    return await first_difference(height, one, other), asked


@given(st.data(), st.integers(1, 100_000))
async def test_the_first_difference_is_found_by_bisection(data: st.DataObject, height: int) -> None:
    at = data.draw(st.integers(0, height - 1))
    found, asked = await part(height, at)
    assert found == at
    assert asked <= height.bit_length() + 1


async def test_equal_ledgers_have_no_difference() -> None:
    assert await part(1000, None) == (None, 1)
    assert await part(0, None) == (None, 0)
