"""The filter of names: its bits are the pinned ones, its false yeses as many as they should be."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.evidence.bloom import MAX_BITS, Bloom, best_size
from gridledger.evidence.errors import EvidenceError


def pinned_bits(names: list[str], m: int, k: int) -> bytes:
    """The filter's bits by the definition, as one text of ones and zeros."""
    ones = set()
    for name in names:
        digest = sha256(b"gridledger-bloom-1" + b"\0" + name.encode()).hexdigest()
        h1, h2 = int(digest[:16], 16), int(digest[16:32], 16)
        if h2 % 2 == 0:
            h2 += 1
        ones |= {(h1 + i * h2) % m for i in range(k)}
    text = "".join("1" if j in ones else "0" for j in range(m))
    text += "0" * (-m % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20)


@given(NAMES, st.integers(1, 300), st.integers(1, 64))
def test_the_bits_are_the_pinned_ones(names: list[str], m: int, k: int) -> None:
    bloom = Bloom(m, k)
    for name in names:
        bloom.add(name)
    assert bloom.bits == pinned_bits(names, m, k)
    assert all(name in Bloom(m, k, bloom.bits) for name in names)


def test_one_filter_worked_out_by_the_shell() -> None:
    # printf 'gridledger-bloom-1\0pmu-7' | sha256sum begins with 403a83cdaf796f52: h1 mod 16 is 2
    bloom = Bloom(16, 1)
    bloom.add("pmu-7")
    assert bloom.bits == bytes.fromhex("2000")


def test_a_stranger_passes_as_seldom_as_asked() -> None:
    m, k = best_size(2000, 0.01)
    bloom = Bloom(m, k)
    for number in range(2000):
        bloom.add(f"device-{number}")
    assert all(f"device-{number}" in bloom for number in range(2000))
    passed = sum(f"stranger-{number}" in bloom for number in range(20_000))
    assert 140 <= passed <= 260  # 1 % of 20,000 is 200; four standard deviations are 57


@pytest.mark.parametrize(("m", "k"), [(0, 1), (-1, 1), (MAX_BITS + 1, 1), (8, 0), (8, 65)])
def test_a_size_that_no_filter_has_is_refused(m: int, k: int) -> None:
    with pytest.raises(EvidenceError) as caught:
        Bloom(m, k)
    assert caught.value.code == "EVIDENCE_REFUSED"
    assert caught.value.details["field"] == caught.value.field == ("k" if m == 8 else "m")


def test_bits_of_another_size_and_sizes_for_nothing_are_refused() -> None:
    with pytest.raises(EvidenceError, match="a filter of 9 bits has 2 bytes, not 1"):
        Bloom(9, 1, b"\0")
    for n, rate in ((0, 0.1), (1, 0.0), (1, 1.0)):
        with pytest.raises(EvidenceError):
            best_size(n, rate)
