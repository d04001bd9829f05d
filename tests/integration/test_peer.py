"""Peers as real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_network import CHANNEL, running

pytestmark = pytest.mark.integration


async def test_transaction_goes_all_the_way(tmp_path: Path) -> None:
    async with running(tmp_path) as network, network.gateway() as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        assert await contract.submit_transaction("add", "k", 2) == 2
        assert await contract.submit_transaction("add", "k", 3) == 5
        assert await contract.evaluate_transaction("get", "k") == 5
        await network.agree()
