"""Which words of a command line are options, and which are a function's arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.cli.words import options_first

OPTIONS = {"--json": False, "--user": True, "--dir": True}
ARGUMENT = st.text().filter(lambda word: not word.startswith("--"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["c", "cc", "f", "-5"], ["--", "c", "cc", "f", "-5"]),
        (["c", "cc", "f", "-1e-3", "-", "--json"], ["--json", "--", "c", "cc", "f", "-1e-3", "-"]),
        (["--user", "-5", "c"], ["--user", "-5", "--", "c"]),
        (["--user=Org1/a", "c"], ["--user=Org1/a", "--", "c"]),
        (["c", "--", "--json", "--", "x"], ["--", "c", "--json", "--", "x"]),
        (["c", "--nonsense", "x"], ["--nonsense", "--", "c", "x"]),
        (["c", "--user"], ["--user", "--", "c"]),
        ([], ["--"]),
    ],
)
def test_words_with_two_dashes_are_options(words: list[str], expected: list[str]) -> None:
    assert options_first(words, OPTIONS) == expected


@given(st.lists(ARGUMENT), st.lists(ARGUMENT), ARGUMENT, st.lists(st.text()))
def test_arguments_keep_their_order_wherever_options_stand(
    before: list[str], after: list[str], user: str, last: list[str]
) -> None:
    words = [*before, "--user", user, *after, "--json", "--", *last]
    assert options_first(words, OPTIONS) == ["--user", user, "--json", "--", *before, *after, *last]
