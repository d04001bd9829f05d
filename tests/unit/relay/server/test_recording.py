"""Bringing one capture to the ledger: whose word counts when an answer was lost, and which captures are a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gridledger.errors import GridLedgerError
from services.relay.server.recording import CaptureRefused, Recorder, Result
from services.relay.server.records import Records
from services.relay.server.taken import Taken


class Refused(GridLedgerError):
    code = "CHAINCODE_REFUSED"


class Ledger:
    """Another server has recorded every minute; attestations are refused, and may have been heard before."""

    def __init__(self, *, refuses: bool = False, was_heard: bool = False) -> None:
        self.refuses = refuses
        self.was_heard = was_heard
        self.attested: list[int] = []

    async def record_capture(
        self,
        relay: str,
        text: str,
        source: Mapping[str, str],
        minute: int | None = None,
        revision: int | None = None,
    ) -> dict[str, Any]:
        raise Refused("ALREADY_RECORDED by 5009")

    async def attest_capture(self, relay: str, minute: int, sha256: str, text: str | None = None) -> dict[str, Any]:
        self.attested.append(minute)
        if self.refuses:
            raise Refused("ALREADY_ATTESTED by 5004")
        return {}

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        heard = self.attested and self.was_heard
        said = [{"server": "5004", "sha256": "ab"}] if heard else []
        return {"server": "5009", "sha256": "ab", "revision": 1, "attestations": said}

    async def get_relay(self, relay: str, revision: int | None = None) -> dict[str, Any]:
        raise NotImplementedError


def recorder(ledger: Ledger, server: str = "5004", relay: str = "R", *, sample: bool = False) -> Recorder:
    record = {"relay": relay, "revision": 1, "servers": [{"id": server, "mspid": "M"}]}
    records = Records(server, record, ledger)
    return Recorder(relay, server, ledger, records, attest="sample" if sample else "all", clock=lambda: 0.0)


def capture(minute: int) -> Taken:
    return Taken(minute, "text", "ab", "text", "ab", 1)


async def test_an_attestation_that_was_heard_though_refused_counts() -> None:
    assert await recorder(Ledger(refuses=True, was_heard=True)).record(capture(7)) is Result.ATTESTED


async def test_an_attestation_that_will_not_do_is_refused() -> None:
    with pytest.raises(CaptureRefused):
        await recorder(Ledger(refuses=True)).record(capture(7))


async def test_samples_of_servers_and_relays_differ() -> None:
    samples = []
    for server, relay in (("5004", "R"), ("5005", "R"), ("5004", "S")):
        ledger = Ledger()
        for minute in range(500):
            await recorder(ledger, server, relay, sample=True).record(capture(minute))
        assert 25 < len(ledger.attested) < 90
        samples.append(ledger.attested)
    assert samples[0] != samples[1] != samples[2] != samples[0]
