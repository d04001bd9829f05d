"""What changed between two JSON values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.differences import ABSENT, MAX_DEPTH, Difference, differences, in_words

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab.", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"q_mvar": 0}, {"q_mvar": 42.63}, "q_mvar 0 → 42.63"),
        ({"vvc_left": [1, 2, 0.51]}, {"vvc_left": [1, 2, 0.08]}, "vvc_left[2] 0.51 → 0.08"),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": "x"}}, 'a.c added: "x"'),
        ({"a": [1, 2]}, {"a": [1]}, "a[1] removed, it was 2"),
        (1, "1", '1 → "1"'),
        ({"a": 1}, {"a": True}, "a 1 → true"),
        ({"a": 1}, {"a": 1.0}, "nothing changed"),
        (ABSENT, {"a": 1}, 'added: {"a":1}'),
        ({"a": 1}, ABSENT, 'removed, it was {"a":1}'),
    ],
)
def test_words(before: Any, after: Any, words: str) -> None:
    assert in_words(before, after) == words


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert differences(value, value) == ([], False)


@given(VALUES, VALUES)
def test_back_is_the_mirror_of_there(before: Any, after: Any) -> None:
    there, back = differences(before, after)[0], differences(after, before)[0]
    assert [Difference(item.path, item.after, item.before) for item in there] == back


def test_the_count_is_bounded() -> None:
    found, more = differences(dict.fromkeys(map(str, range(100)), 0), dict.fromkeys(map(str, range(100)), 1), most=10)
    assert (len(found), more) == (10, True)
    assert in_words(list(range(60)), []).endswith("; and more")


def test_what_is_nested_too_deep_is_one_difference() -> None:
    before: Any = 0
    after: Any = 1
    for _ in range(MAX_DEPTH + 10):
        before, after = [before], [after]
    [found] = differences(before, after)[0]
    assert found.path == "[0]" * MAX_DEPTH
