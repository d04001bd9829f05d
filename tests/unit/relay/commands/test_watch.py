"""``watch``: events in one line each, on a channel in memory."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gridledger.client import ChaincodeEvent
from gridledger.client.testing import FakeGateway
from services.relay.__main__ import main
from services.relay.commands import watch
from services.relay.ledger import RelayLedger

MINUTE = 29_933_424


def event(name: str, payload: Any) -> ChaincodeEvent:
    return ChaincodeEvent(
        channel="substation",
        chaincode="relay",
        name=name,
        payload=payload,
        tx_id="ab" * 32,
        block=7,
        index=0,
        timestamp_us=1_796_005_500_000_000,
    )


@pytest.mark.parametrize(
    ("name", "payload", "told"),
    [
        (
            "CaptureRecorded",
            {"relay": "R", "minute": MINUTE, "server": "5004", "sha256": "cd" * 32, "breaches": [{}, {}]},
            "CaptureRecorded  R  2026-11-30T02:24Z  server 5004  breaches 2  sha256 cdcdcdcdcdcd",
        ),
        (
            "CaptureDisputed",
            {"relay": "R", "minute": MINUTE, "sha256": None, "by": None, "for": ["5004"], "against": ["5005", "5006"]},
            "CaptureDisputed  R  2026-11-30T02:24Z  for 5004  against 5005,5006",
        ),
        (
            "RelaySilent",
            {"relay": "R", "minute": MINUTE, "reason": "no\nanswer"},
            "RelaySilent      R  2026-11-30T02:24Z  reason no answer",
        ),
        ("Odd", ["no", "object"], "Odd"),
    ],
)
def test_an_event_is_told_in_one_line(name: str, payload: Any, told: str):
    line = watch.line_of(event(name, payload))
    assert line.startswith("2026-11-30 ")
    assert " ".join(line.split()[2:]) == " ".join(told.split())


def test_watch_ends_after_so_many_events(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def tell(ctx: Any, relay: str, name: str) -> None:
        ctx.stub.put_state("x", relay)
        ctx.stub.set_event(name, {"relay": relay, "minute": MINUTE})

    @asynccontextmanager
    async def opened(_: argparse.Namespace) -> AsyncIterator[RelayLedger]:
        network = FakeGateway({"relay": {"tell": tell}}).get_network("channel")
        contract = network.get_contract("relay")
        for relay, name in (("A", "One"), ("B", "One"), ("A", "Two"), ("A", "One"), ("A", "One")):
            await contract.submit_transaction("tell", relay, name)
        yield RelayLedger(contract, network)

    monkeypatch.setattr(watch, "opened", opened)
    assert main(["watch", "--from", "0", "--relay", "A", "--event", "One", "--count", "2", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["name"], item["payload"]["relay"]) for item in events] == [("One", "A"), ("One", "A")]
