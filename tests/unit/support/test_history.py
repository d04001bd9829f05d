"""The check of histories: it passes what is right, and names each thing that is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.history import Entry, History, Kind, Operation, Outcome

A, B, C = (letter * 64 for letter in "abc")
CHAIN = [Entry(A, "VALID"), Entry(B, "MVCC_READ_CONFLICT"), Entry(A, "DUPLICATE_TXID"), Entry(C, "VALID")]


def operation(kind: Kind, began_s: float, ended_s: float, tx_id: str = "", **more: Any) -> Operation:
    members = {"peer": "p1", "channel": "ch", "outcome": Outcome.DONE, "code": "VALID", **more}
    return Operation(kind, began_s=began_s, ended_s=ended_s, tx_id=tx_id, **members)


def wrote(tx_id: str, value: Any, began_s: float, ended_s: float, **more: Any) -> Operation:
    return operation(Kind.COMMIT, began_s, ended_s, tx_id, key="k", value=value, **more)


def read(value: Any, began_s: float, ended_s: float, **more: Any) -> Operation:
    return operation(Kind.READ, began_s, ended_s, key="k", value=value, **more)


def faults(*operations: Operation, **chains: list[Entry]) -> list[str]:
    return History(list(operations)).check("ch", chains or {"p1": CHAIN, "p2": CHAIN})


def test_a_run_in_which_all_is_right_has_no_faults() -> None:
    assert not faults(
        wrote(A, 1, 0, 1),
        operation(Kind.COMMIT, 1.5, 2, B, code="MVCC_READ_CONFLICT"),
        operation(Kind.ORDER, 2.5, 3, C, key="k", value=2),
        operation(Kind.COMMIT, 0, 9, "d" * 64, outcome=Outcome.REFUSED),
        operation(Kind.COMMIT, 0, 9, "e" * 64, outcome=Outcome.UNKNOWN),
        read(None, 0, 0.5),
        read(1, 2, 2.4),
        read(2, 3, 4),
    )


def test_chains_that_differ_are_seen() -> None:
    assert faults(p1=CHAIN, p2=CHAIN[:-1]) == ["p1 and p2 have different chains"]


def test_a_transaction_that_counts_twice_is_seen() -> None:
    twice = [*CHAIN, Entry(A, "MVCC_READ_CONFLICT")]
    assert faults(p1=twice, p2=twice) == ["aaaaaaaaaaaa counts twice"]


@pytest.mark.parametrize("kind", [Kind.ORDER, Kind.COMMIT])
def test_what_was_acknowledged_and_is_lost_is_seen(kind: Kind) -> None:
    found = faults(operation(kind, 0, 1, "d" * 64))
    assert found == [f"dddddddddddd, acknowledged ({kind.value}), is not on {peer}'s chain" for peer in ("p1", "p2")]


def test_another_code_than_was_told_is_seen() -> None:
    assert (
        faults(operation(Kind.COMMIT, 0, 1, B))[0] == "bbbbbbbbbbbb was told as VALID, and is MVCC_READ_CONFLICT on p1"
    )


def test_a_transaction_told_to_be_not_ordered_and_on_the_chain_is_seen() -> None:
    found = faults(operation(Kind.COMMIT, 0, 1, A, outcome=Outcome.REFUSED))
    assert found[0] == "aaaaaaaaaaaa, told to be not ordered, is on p1's chain"


def test_an_order_that_time_contradicts_is_seen() -> None:
    found = faults(operation(Kind.ORDER, 0, 1, C), operation(Kind.ORDER, 2, 3, A))
    assert found == ["aaaaaaaaaaaa stands before a transaction that was acknowledged before it began"]


def test_side_by_side_any_order_is_right() -> None:
    assert not faults(operation(Kind.ORDER, 0, 2, C), operation(Kind.ORDER, 1, 3, A))


def test_a_read_that_misses_what_its_peer_had_committed_is_seen() -> None:
    assert faults(wrote(A, 1, 0, 1), read(None, 2, 3)) == [
        "a read of 'k' at p1 gave None, which it had shown overwritten"
    ]


def test_a_read_at_another_peer_may_be_behind() -> None:
    assert not faults(wrote(A, 1, 0, 1), read(None, 2, 3, peer="p2"))


def test_a_read_that_goes_back_behind_another_is_seen() -> None:
    order = operation(Kind.ORDER, 0, 1, C, key="k", value=2)
    first = operation(Kind.ORDER, 0, 1, A, key="k", value=1)
    assert not faults(first, order, read(1, 2, 3), read(2, 4, 5))
    assert faults(first, order, read(2, 2, 3), read(1, 4, 5)) == [
        "a read of 'k' at p1 gave 1, which it had shown overwritten"
    ]


def test_reads_side_by_side_may_see_either_state() -> None:
    first, second = wrote(A, 1, 0, 1), operation(Kind.ORDER, 0, 9, C, key="k", value=2)
    assert not faults(first, second, read(2, 2, 4), read(1, 3, 5))


@pytest.mark.parametrize("value", [7, 2])
def test_a_value_that_nobody_had_written_is_seen(value: int) -> None:
    later = wrote(C, 2, 8, 9)
    assert faults(later, read(value, 2, 3)) == [f"a read of 'k' at p1 gave {value}, which nobody had written"]


def test_a_transaction_without_effect_gives_no_value() -> None:
    conflict = wrote(B, 5, 0, 1, code="MVCC_READ_CONFLICT")
    assert faults(conflict, read(5, 2, 3)) == ["a read of 'k' at p1 gave 5, which nobody had written"]
