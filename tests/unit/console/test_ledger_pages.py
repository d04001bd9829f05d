"""What the pages of the ledger show, by their pure parts."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from gridledger.cli.metadata import functions_of
from gridledger.errors import InputError, MalformedMessage
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.search import FoundTransaction, TransactionFilter, TransactionsPage
from gridledger.protocol.world_state import HistoryEntry
from services.console.live.followers import ChannelFlow, SeenBlock
from services.console.pages.chaincode import MAX_ARGUMENTS_BYTES, read_arguments, skeleton
from services.console.pages.channel import SPAN_S, spans
from services.console.pages.configurations import Configuration, changes_in_words, configuration_rows
from services.console.pages.found import found_row, read_filter, read_time, told_empty
from services.console.pages.keys import history_rows, present_value

VALID, CONFLICT = TxValidationCode.VALID, TxValidationCode.MVCC_READ_CONFLICT
S = 1_000_000


def seen(at_s: float, transactions: int, invalid: int = 0) -> SeenBlock:
    at_us = round(at_s * S)
    return SeenBlock(0, transactions, invalid, at_us, at_us, "")


def test_blocks_are_counted_in_whole_spans() -> None:
    blocks = [seen(0, 99), seen(990.0, 5), seen(994.999999, 10, 2), seen(995.0, 1), seen(1000.0, 7), seen(1003.0, 8)]
    found = spans(blocks, 1003 * S, count=2)
    assert [(one.since_us, one.transactions, one.blocks, one.invalid, one.largest) for one in found] == [
        (990 * S, 15, 2, 2, 10),
        (995 * S, 1, 1, 0, 1),
    ]
    assert (found[0].rate, found[0].mean) == (15 / SPAN_S, 7.5)
    assert spans([], 0, count=1)[0].mean == 0.0


def test_a_block_that_is_read_from_the_past_counts_as_of_then() -> None:
    old = SeenBlock(0, 300, 0, 100 * S, 997 * S, "")
    ahead = SeenBlock(1, 7, 0, 2000 * S, 996 * S, "")
    assert [one.transactions for one in spans([old, ahead], 1003 * S, count=2)] == [0, 7]
    flow = ChannelFlow("c", "alice", deque([old, ahead]))
    assert flow.rate(1003 * S) == 0.7


def config(number: int, code: TxValidationCode = VALID, **members: Any) -> Configuration:
    return Configuration(number, 0, code, number, {"sequence": number, **members})


def test_each_configuration_is_compared_with_the_valid_one_before() -> None:
    items = [
        config(3, limits={"a": 3}),
        config(2, CONFLICT, limits={"a": 9}),
        config(1, limits={"a": 2}, chaincodes={"kv": {"version": "1"}}),
        config(0, limits={"a": 1}),
    ]
    rows = configuration_rows("c", items, 4, None)
    told = [row.cells["changes"].text for row in rows]
    assert told[0] == "chaincodes/kv is removed; limits/a changes from 2 to 3"
    assert told[2].startswith("chaincodes/kv is added")
    assert told[3] == "it is the first one"
    assert [row.state for row in rows] == ["", "bad", "", ""]
    assert len(configuration_rows("c", items, 2, None)) == 2


def test_a_configuration_without_the_one_before_says_so() -> None:
    assert changes_in_words(config(4), None) == ["the one before is not known here"]
    assert changes_in_words(Configuration(4, 0, VALID, fault="cut short"), None) == ["it cannot be read: cut short"]


def test_a_filter_reads_a_client_and_times() -> None:
    wanted = read_filter(
        {"creator": "a@b@Org1MSP", "from": "2026-12-01 00:00", "to": "1796094781457992", "code": "valid"}
    )
    assert wanted == TransactionFilter(
        creator="a@b", mspid="Org1MSP", code="VALID", from_us=1796083200 * S, to_us=1796094781457992
    )
    assert read_filter({"creator": "alice"}) == TransactionFilter(creator="alice")
    assert read_time("2026-12-01T01:00+01:00") == read_time("2026-12-01")
    with pytest.raises(InputError, match="is no time"):
        read_time("yesterday")
    with pytest.raises(InputError, match="is no time"):
        read_time("9" * 5000)
    with pytest.raises(MalformedMessage):
        read_filter({"code": "NO_SUCH"})


def test_what_was_found_says_who_and_what() -> None:
    item = FoundTransaction("ab" * 32, 1204, 3, CONFLICT, 5, "transaction", "Org1MSP", "alice", "f", "kv", "put", 4)
    row = found_row("c", item)
    assert (row.state, row.cells["who"].text, row.cells["what"].text) == ("bad", "alice@Org1MSP", "kv.put")
    assert row.cells["tx_id"].href == f"/channels/c/transactions/{'ab' * 32}"
    assert "no id" in found_row("c", FoundTransaction("", 1, 0, VALID, 5, "unreadable")).cells["tx_id"].text
    assert told_empty(TransactionsPage((), None, 0, 9, 9)) == "No transaction fits."
    assert "looks on" in told_empty(TransactionsPage((), "x", 4, 9, 9))


def test_each_write_tells_what_it_changed() -> None:
    items = [
        HistoryEntry("t3", None, 9, 0, 30),
        HistoryEntry("t2", {"q_mvar": 42.63}, 8, 0, 20),
        HistoryEntry("t1", {"q_mvar": 0}, 7, 0, 10),
    ]
    rows = history_rows("c", items, ["gone", "gone"], None)  # type: ignore[arg-type]
    assert [row.cells["change"].text for row in rows] == ["deleted", "q_mvar 0 → 42.63"]
    assert history_rows("c", items[2:], ["gone"], None)[0].cells["change"].text == 'added: {"q_mvar":0}'  # type: ignore[arg-type]
    assert present_value(items[0]) is None
    assert present_value(items[1]) == '{\n "q_mvar": 42.63\n}'


@pytest.mark.parametrize("text", ["{", "{}", "3", '"a"', "[1, NaN]", '[{"a":1,"a":2}]'])
def test_arguments_are_a_list_of_json(text: str) -> None:
    with pytest.raises(InputError, match="the arguments"):
        read_arguments("put", text)


def test_arguments_are_bounded_and_may_be_none() -> None:
    assert read_arguments("put", " ") == []
    assert read_arguments("put", '["k", 1]') == ["k", 1]
    with pytest.raises(InputError, match="at most"):
        read_arguments("put", "[" + " " * MAX_ARGUMENTS_BYTES + "]")
    with pytest.raises(InputError, match="choose"):
        read_arguments("", "[]")


def test_the_form_begins_with_empty_values_of_the_types() -> None:
    parameters = [
        {"name": "key", "schema": {"type": "string"}},
        {"name": "count", "schema": {"type": "integer"}},
        {"name": "any", "schema": {}},
        {"name": "limit", "schema": {"type": "integer"}, "required": False},
    ]
    metadata = {"contracts": {"c": {"transactions": [{"name": "put", "parameters": parameters}]}}}
    assert skeleton(functions_of(metadata)["put"]) == '["",0,{}]'
    assert skeleton(None) == "[]"
