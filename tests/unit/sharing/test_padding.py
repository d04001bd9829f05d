"""Padding to whole groups: there is one padded form of any data, and no other is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.sharing.errors import ShareBroken
from gridledger.sharing.padding import group_count, pad, unpad


@given(st.binary(max_size=300), st.sampled_from([64, 128, 256]))
def test_padded_data_are_whole_groups_and_come_back(data: bytes, group: int) -> None:
    padded = pad(data, group)
    assert len(padded) == group * group_count(len(data), group)
    assert unpad(padded, group) == data


@pytest.mark.parametrize("padded", [b"", bytes(64), b"x" * 64, pad(b"x", 64) + bytes(64), pad(b"x", 64)[:-1]])
def test_no_other_form_is_taken(padded: bytes) -> None:
    with pytest.raises(ShareBroken, match="padding"):
        unpad(padded, 64)
