"""More than the network can carry: some is carried, the rest is refused at once, and nothing is left in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridledger.client import Status
from gridledger.client.gateway import Gateway
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode as Code
from services.peer.gateway.admission import ALWAYS
from tests.support.small_network import CHANNEL, SmallNetwork, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
OFFERED = 6 * ALWAYS


async def _keys_on_the_chain(network: SmallNetwork, gateway: Gateway) -> int:
    height, _ = await network.agree()
    blocks = [await gateway.get_network(CHANNEL).get_block(number) for number in range(1, height)]
    return sum(len(block.envelopes) for block in blocks)


async def test_what_would_wait_too_long_is_refused_and_nothing_is_done_for_it(tmp_path: Path) -> None:
    async with running(tmp_path, edge={"max_wait_s": 0.01}) as network, network.gateway() as gateway:
        kv = gateway.get_network(CHANNEL).get_contract("kv")

        async def put(number: int) -> Status | GridLedgerError:
            try:
                return (await kv.submit_with_status("put", f"key-{number}", number))[1]
            except GridLedgerError as error:
                return error

        # The SDK knows the chaincode from here on: all proposals of the burst leave in one turn of the loop.
        assert isinstance(await put(OFFERED), Status)
        outcomes = await asyncio.gather(*(put(number) for number in range(OFFERED)))
        done = [outcome for outcome in outcomes if isinstance(outcome, Status)]
        refused = {number: error for number, error in enumerate(outcomes) if isinstance(error, GridLedgerError)}
        assert len(done) >= ALWAYS
        assert {status.code for status in done} == {Code.VALID}
        assert len(refused) >= ALWAYS
        assert {(error.status, error.code) for error in refused.values()} == {(429, "BUSY")}
        assert all(0.1 <= error.details["retry_after_s"] <= 5 for error in refused.values())
        assert await _keys_on_the_chain(network, gateway) == len(done) + 1

        async def comes_again() -> bool:
            return isinstance(await put(next(iter(refused))), Status)

        await eventually(comes_again, within_s=10, what="a refused transaction that comes again is carried")
