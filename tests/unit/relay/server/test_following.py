"""Which relays a server follows: those of operators that it trusts, a bounded number, none dropped for another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from services.relay.server import following as following_module
from services.relay.server.following import MAX_RELAYS, Following
from tests.simulation.virtual_loop import run
from tests.support.relay_world import OPERATOR, World

DECOYS = 3 * MAX_RELAYS


def record(relay: str, operator: str = OPERATOR, server: str = "5004", mspid: str = "Server5004MSP") -> dict[str, Any]:
    return {"relay": relay, "operator_msp": operator, "revision": 1, "servers": [{"id": server, "mspid": mspid}]}


def following(known: Iterable[str] = ()) -> Following:
    return Following("5004", "Server5004MSP", [OPERATOR, "OtherMSP"], set(known).__contains__)


def decoys(count: int, operator: str = OPERATOR) -> list[dict[str, Any]]:
    return [record(f"0{n:04d}", operator) for n in range(count)]


def test_records_that_name_this_server_with_its_msp_are_followed() -> None:
    found = following()
    found.take([record("A"), record("B", mspid="XMSP"), record("C", server="5005")], is_last=False)
    assert found.records == {}, "the list may name relays of before"
    found.take([record("D", "OtherMSP")], is_last=True)
    assert sorted(found.records) == ["A", "D"]
    found.take([record("A", server="5005"), record("D", "OtherMSP") | {"revision": 2}], is_last=True)
    assert list(found.records) == ["D"]
    assert found.records["D"]["revision"] == 2


def test_another_operators_relays_are_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    found = following()
    for _ in range(3):
        found.take([*decoys(DECOYS, "EvilMSP"), record("Rele_1")], is_last=True)
    assert list(found.records) == ["Rele_1"]
    why = "not among this server's operators"
    assert found.passed_over == [{"operator": "EvilMSP", "relays": DECOYS, "why": why}]
    (told,) = caplog.records
    assert "to follow its relays, add it to the setting operators" in told.message
    assert vars(told)["operator"] == "EvilMSP"


def test_a_followed_relay_is_not_dropped_for_a_newer_one() -> None:
    found = following()
    found.take([record("Rele_1")], is_last=True)
    found.take([*decoys(DECOYS), record("Rele_1")], is_last=True)
    assert "Rele_1" in found.records
    assert len(found.records) == MAX_RELAYS
    found.take([*decoys(DECOYS), record("Rele_1"), record("Z", "OtherMSP")], is_last=True)
    assert "Z" in found.records, "the bound is each operator's"
    why = f"more than {MAX_RELAYS} relays of this operator"
    assert found.passed_over == [{"operator": OPERATOR, "relays": DECOYS + 1 - MAX_RELAYS, "why": why}]


def test_after_a_restart_the_relays_of_before_come_first() -> None:
    found = following(known=["Rele_1"])
    found.take(decoys(DECOYS), is_last=False)
    found.take([record("Rele_1")], is_last=True)
    assert "Rele_1" in found.records
    assert len(found.records) == MAX_RELAYS


@pytest.mark.parametrize("operator", [OPERATOR, "EvilMSP"])
def test_decoys_of_an_operator_stop_no_server(operator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 12  # each relay that is followed is read by each server, a minute for a minute
    monkeypatch.setattr(following_module, "MAX_RELAYS", bound)

    async def main() -> None:
        world = World(1, 4)
        evil = world.ledger_as("evil", {"relay.role": "operator"}, operator)
        try:
            await world.begin()
            await world.until(lambda: len(world.captures()) == 2, within_s=200)
            for decoy in decoys(bound + 10):
                await evil.register_relay(world.record() | {"relay": decoy["relay"]})
            await asyncio.sleep(60)
            await world.kill("5004")
            world.start("5004")
            await asyncio.sleep(180)
            for server in world.servers:
                assert world.collectors[server].get("Rele_1") is not None
                passed_over = world.collectors[server].passed_over
                assert [item["operator"] for item in passed_over] == [operator]
            assert len(world.captures()) >= 5
        finally:
            await world.end()

    run(main)
