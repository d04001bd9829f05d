"""Baskets: bounded, one for each session, and what they ask a case desk for."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError, LimitError
from services.console.cases.basket import MAX_BASKETS, MAX_ITEMS, Baskets, Item, item_of, items_of, question_of


def item(number: int, channel: str = "plant") -> Item:
    return Item(channel, f"{number:064x}")


def test_a_basket_belongs_to_its_session() -> None:
    baskets = Baskets()
    baskets.add(b"a", [item(2), item(1), item(2)])
    assert baskets.of(b"a") == (item(2), item(1))
    assert baskets.of(b"b") == ()
    baskets.remove(b"a", [item(2), item(9)])
    assert baskets.of(b"a") == (item(1),)
    baskets.empty(b"a")
    assert baskets.of(b"a") == ()


def test_what_does_not_fit_changes_nothing() -> None:
    baskets = Baskets()
    baskets.add(b"a", [item(number) for number in range(MAX_ITEMS)])
    baskets.add(b"a", [item(0)])
    with pytest.raises(LimitError):
        baskets.add(b"a", [item(0), item(MAX_ITEMS)])
    assert len(baskets.of(b"a")) == MAX_ITEMS


def test_the_oldest_basket_makes_room() -> None:
    baskets = Baskets()
    for number in range(MAX_BASKETS + 1):
        baskets.add(number.to_bytes(2), [item(1)])
    held = [bool(baskets.of(number.to_bytes(2))) for number in range(MAX_BASKETS + 1)]
    assert held == [False, *[True] * MAX_BASKETS]


def test_a_form_names_transactions() -> None:
    fields = {"item1": item(1).text, "title": "no/item", "item9": item(2, "home").text}
    assert items_of(fields) == [item(1), item(2, "home")]


@pytest.mark.parametrize("text", ["", "plant", "plant/", "plant/abc", f"/{1:064x}", f"pl ant/{1:064x}", f"p/{1:065x}"])
def test_what_names_no_transaction_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        item_of(text)


def test_the_question_names_each_transaction_once_and_sorted() -> None:
    asked = question_of([item(2, "home"), item(1), item(2, "plant"), item(1)])
    assert asked == {"channels": ["home", "plant"], "transactions": [item(1).tx_id, item(2).tx_id]}
    with pytest.raises(InputError):
        question_of([])
