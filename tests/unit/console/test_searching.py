"""What a text in the search field may mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.searching import MAX_QUERY, Reading, readings

HASH = "ab" * 32


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("", []),
        ("  ", []),
        ("12", [Reading("block", "12"), Reading("key", "12")]),
        ("1,204", [Reading("block", "1204"), Reading("key", "1,204")]),
        ("1204", [Reading("block", "1204"), Reading("transaction", "1204"), Reading("key", "1204")]),
        ("944603BC", [Reading("transaction", "944603bc"), Reading("identity", "944603BC"), Reading("key", "944603BC")]),
        (HASH, [Reading("transaction", HASH), Reading("hash", HASH)]),
        ("bus 3", [Reading("bus", "3"), Reading("key", "bus 3")]),
        ("Bus14", [Reading("bus", "14"), Reading("key", "Bus14")]),
        ("alice@Org1MSP", [Reading("identity", "alice", "Org1MSP"), Reading("key", "alice@Org1MSP")]),
        ("alice", [Reading("identity", "alice"), Reading("key", "alice")]),
        (
            "dvs/vvc/1",
            [Reading("identity", "dvs/vvc/1"), Reading("key", "vvc/1", "dvs"), Reading("key", "dvs/vvc/1")],
        ),
    ],
)
def test_meanings(query: str, meant: list[Reading]) -> None:
    assert readings(query) == meant


@given(st.text(max_size=300))
def test_any_text_has_few_meanings_and_none_is_longer(query: str) -> None:
    found = readings(query)
    assert len(found) <= 4
    assert all(0 < len(one.text) <= MAX_QUERY for one in found)
    assert bool(found) == bool(query.strip()[:MAX_QUERY])
