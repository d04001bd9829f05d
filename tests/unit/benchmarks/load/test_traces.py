"""Traces in Caliper's formats."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.traces import decode, encode
from gridledger.errors import SettingsError


@settings(max_examples=25, deadline=None)
@given(
    times=st.lists(st.integers(0, 2**32 - 1).map(lambda ms: ms / 1000), max_size=50),
    form=st.sampled_from(("TEXT", "BIN_BE", "BIN_LE")),
)
def test_a_trace_is_read_as_it_was_written(times: list[float], form: Any) -> None:
    assert decode(encode(times, form), form) == times


def test_a_broken_trace_is_refused() -> None:
    with pytest.raises(SettingsError, match="BIN_BE"):
        decode(b"\0\0\0\5\0\0\0\1", "BIN_BE")
