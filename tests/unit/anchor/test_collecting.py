"""Rounds that come at once share a transaction, and each who waits hears of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import BusyError, CorruptionError, GridLedgerError, MalformedMessage
from services.anchor.collecting import MAX_ROUNDS, Collector, read_round, signers_of


def one(channel: str, *mspids: str) -> dict[str, Any]:
    return {"channel": channel, "heads": [{"signatures": [{"mspid": mspid} for mspid in mspids or ("Org1MSP",)]}]}


class Contract:
    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.error: GridLedgerError | None = None

    async def cosign(self, rounds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        self.calls.append([told["channel"] for told in rounds])
        if self.error is not None:
            raise self.error
        return [{"channel": told["channel"], "anchored": told["channel"] != "b"} for told in rounds if told != one("z")]


async def test_rounds_that_come_within_the_window_are_one_transaction() -> None:
    contract = Contract()
    collector = Collector(contract.cosign, 0.02)
    answers = await asyncio.gather(*(collector.add(one(channel)) for channel in "abc"))
    assert [(answer["channel"], answer["anchored"]) for answer in answers] == [("a", True), ("b", False), ("c", True)]
    assert (await collector.add(one("a")))["anchored"]
    assert contract.calls == [["a", "b", "c"], ["a"]]


async def test_what_the_contract_refuses_is_told_to_all_who_wait() -> None:
    contract = Contract()
    contract.error = GridLedgerError("base: too old", code="CHAINCODE_REFUSED", status=400)
    collector = Collector(contract.cosign, 0.0)
    errors = await asyncio.gather(*(collector.add(one(channel)) for channel in "ab"), return_exceptions=True)
    told = [(error.code, error.message) for error in errors if isinstance(error, GridLedgerError)]
    assert told == [("CHAINCODE_REFUSED", "base: too old")] * 2
    assert errors[0] is not errors[1]
    contract.error = None
    with pytest.raises(CorruptionError, match="says nothing of the round of z"):
        await collector.add(one("z"))


async def test_who_leaves_does_not_disturb_the_others() -> None:
    contract = Contract()
    collector = Collector(contract.cosign, 0.02)
    left, stays = (asyncio.create_task(collector.add(one(channel))) for channel in "ab")
    await asyncio.sleep(0)
    left.cancel()
    assert (await stays)["channel"] == "b"
    assert contract.calls == [["a", "b"]]


async def test_what_waits_is_bounded() -> None:
    collector = Collector(Contract().cosign, 60.0)
    tasks = [asyncio.create_task(collector.add(one("a")))]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="another round of a waits"):
        await collector.add(one("a"))
    with pytest.raises(BusyError, match="as many rounds wait"):
        await collector.add(one("b", *("Org1MSP",) * 256))
    tasks += [asyncio.create_task(collector.add(one(f"c{number}"))) for number in range(MAX_ROUNDS - 1)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="as many rounds wait"):
        await collector.add(one("d"))
    await collector.close()
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize(
    "value", [[], {}, {"channel": 1, "heads": []}, {"channel": "a", "heads": [{}]}, {"channel": "a", "heads": [[]]}]
)
def test_what_is_no_round_is_refused(value: Any) -> None:
    with pytest.raises(MalformedMessage):
        read_round(jsontext.dumps(value))


def test_the_signers_of_a_round() -> None:
    assert signers_of(read_round(jsontext.dumps(one("a", "Org1MSP", "Org2MSP")))) == {"Org1MSP", "Org2MSP"}
