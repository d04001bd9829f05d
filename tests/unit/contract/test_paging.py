"""Pages: each item once, in order, within their bounds, whatever the limit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.contract import Context, ContractError, paging
from gridledger.contract.simulator.state import MemoryState
from tests.unit.contract.in_memory import put, run

NAMES = st.sets(st.text("abz/0", min_size=1, max_size=3), max_size=12)


def listing(state: MemoryState, argument: dict[str, Any]) -> dict[str, Any]:
    """What a query for all below "x/" answers."""

    def body(ctx: Context) -> dict[str, Any]:
        limit = paging.limit_of(argument)
        start = paging.bookmark_of(argument, lambda bookmark: len(bookmark) < 4, "")
        return paging.page(paging.entries_of(ctx.stub, "x/", start, limit), limit)

    answer = run(state, body, "ask")
    assert answer.successful, answer.message
    return dict(answer.payload)


@given(NAMES, st.integers(1, 5))
@settings(max_examples=50)
def test_pages_have_each_entry_once_and_in_order(names: set[str], limit: int) -> None:
    state = MemoryState()
    put(state, **{"x": 0, "w/": 0, "x0": 0, "y/a": 0}, **{f"x/{name}": {"name": name} for name in names})
    found: list[str] = []
    argument: dict[str, Any] = {"limit": limit}
    while True:
        page = listing(state, argument)
        assert len(page["items"]) <= limit
        found += [item["name"] for item in page["items"]]
        if page["bookmark"] is None:
            break
        assert len(page["items"]) == limit, "a page before the last is full"
        argument = {"limit": limit, "bookmark": page["bookmark"]}
    assert found == sorted(names)


def test_a_page_ends_before_it_grows_too_large_and_has_one_item_at_least() -> None:
    entries = [(str(number), {"text": "x" * (paging.PAGE_BYTES // 3)}) for number in range(5)]
    page = paging.page(entries, 100)
    assert (len(page["items"]), page["bookmark"]) == (2, "2")
    large = {"text": "x" * (paging.PAGE_BYTES + 1)}
    assert paging.page([("0", large), ("1", large)], 100) == {"items": [large], "bookmark": "1"}


@pytest.mark.parametrize("character", ['"', "\\", "é", "\u0001", "🔋"])
def test_a_character_counts_as_it_is_written(character: str) -> None:
    """Whoever fills texts with what JSON writes longer makes no page that is beyond the bound of an answer."""
    entries = [(str(number), {"text": character * 50_000}) for number in range(20)]
    page = paging.page(entries, 100)
    assert 0 < len(page["items"]) < 20
    assert paging.PAGE_BYTES // 2 < len(jsontext.dumps(page)) < paging.PAGE_BYTES + 1000


@pytest.mark.parametrize(("given", "limit"), [(None, 100), (1, 1), (500, 500), (501, 500), (2**53, 500)])
def test_a_limit_beyond_the_largest_gets_the_largest(given: Any, limit: int) -> None:
    assert paging.limit_of({"limit": given}) == limit
    assert paging.limit_of({}) == paging.DEFAULT_LIMIT


@pytest.mark.parametrize("wrong", [0, -1, 2**53 + 1, 1.0, "5", True])
def test_a_limit_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ContractError, match=r"^limit: must "):
        paging.limit_of({"limit": wrong})


def test_a_bookmark_is_that_of_the_page_before() -> None:
    assert paging.bookmark_of({}, str.isdigit, "0") == paging.bookmark_of({"bookmark": None}, str.isdigit, "0") == "0"
    assert paging.bookmark_of({"bookmark": "17"}, str.isdigit, "0") == "17"
    wrong: Any
    for wrong in ("x", 17, []):
        with pytest.raises(ContractError, match=r"^bookmark: must be the bookmark of the page before, not "):
            paging.bookmark_of({"bookmark": wrong}, str.isdigit, "0")
