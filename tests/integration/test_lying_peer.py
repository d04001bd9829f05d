"""A peer of three that signs something else than it sends, against the other two's gateways and real clients."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gridledger.client import CommitError, Contract, EndorseError
from tests.support.local_network import local_network
from tests.support.network_configs import CHANNEL, few_nodes

pytestmark = pytest.mark.integration

TRANSACTIONS = 60


async def submit(contract: Contract, number: int) -> str:
    """The code that a transaction ends with."""
    try:
        return (await contract.submit_with_status("put", f"key-{number}", number))[1].code.name
    except CommitError as error:
        return error.validation_code.name


async def test_a_lying_peer_makes_no_transaction_invalid(tmp_path: Path) -> None:
    with local_network(few_nodes(peers=3, endorsers=2), tmp_path) as network:
        await network.stop("peer3")
        await network.start("peer3", "tests.support.lying_peer")
        async with network.gateway("peer1") as gateway:
            contract = gateway.get_network(CHANNEL).get_contract("kv")
            found = await asyncio.gather(*(submit(contract, number) for number in range(TRANSACTIONS)))
            assert Counter(found) == {"VALID": TRANSACTIONS}
            with pytest.raises(EndorseError, match="peer3: BAD_ENDORSEMENT: the signature") as caught:
                await contract.submit_transaction("put", "k", 1, endorsing_organisations=["Org1MSP", "Org3MSP"])
            assert caught.value.details["peers"]["peer1"] == "endorsed"
        async with network.node("peer1") as node:
            status = await node.get_json("/status")
            metrics = (await node.get("/metrics")).decode()
        assert status["peers_left_out"]["peer3"].startswith("BAD_ENDORSEMENT: the signature")
        lies = next(
            line for line in metrics.splitlines() if line.startswith("gridledger_gateway_bad_endorsements_total")
        )
        assert float(lies.split()[1]) >= 1
        await network.agree(CHANNEL)
