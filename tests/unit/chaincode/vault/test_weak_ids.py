"""Weak ids: the contract's arithmetic is the library's, and that of a field where every id can be tried."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract.determinism import check_package
from gridledger.sharing.leak import leak
from tests.support.vault_channel import VAULT, module

P = 2**521 - 1


def weak_ids() -> ModuleType:
    return module("weak_ids")


@pytest.mark.parametrize("p", [13, 101, 251])
@pytest.mark.parametrize("t", range(2, 8))
def test_in_small_fields_every_id_is_judged_as_the_library_judges_it(t: int, p: int) -> None:
    told = [x for x in range(p) if weak_ids().is_weak(x, t, p)]
    assert told == list(leak(t, range(p), p).weak)
    assert 1 <= len(told) <= t - 1  # 0, and at most t - 2 others


def test_the_known_root_for_t_3() -> None:
    assert weak_ids().is_weak((P - 1) // 2, 3)
    assert not weak_ids().is_weak((P - 1) // 2, 4)
    assert weak_ids().is_weak(0, 2)
    assert weak_ids().is_weak(P, 5)


@given(st.integers(2, 12), st.integers(0, 2**64 - 1))
def test_in_the_field_of_521_bits_too(t: int, x: int) -> None:
    assert weak_ids().is_weak(x, t) == bool(leak(t, [x]).weak)


def test_the_greatest_t_is_judged_and_one_more_is_not() -> None:
    assert not weak_ids().is_weak(2**64 - 1, 63)
    for t in (1, 64):
        with pytest.raises(ValueError, match="t lies within 2 and 63"):
            weak_ids().is_weak(7, t)


def test_nothing_in_the_contract_differs_from_peer_to_peer() -> None:
    assert check_package(Path(VAULT)) == []
