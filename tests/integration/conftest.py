"""The network that tests share which leave it as they found it: whole, and with every peer at the same height."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.forgery import Forger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import three_shards

POLICIES = {
    "mainchain": "OutOf(4, all)",
    "shard1": "OutOf(2, all)",
    "shard2": "OutOf(2, all)",
    "shard3": "OutOf(2, all)",
}
"""Where kv is, and who endorses it: as dvs."""


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Three shards with kv and dvs. Chaincode gets 2 s and 160 MiB a call, so that tests of its limits are quick."""
    hosts = {"call_timeout_s": 2.0, "start_timeout_s": 5.0, "memory_bytes": 160 * 1024 * 1024}
    with local_network(three_shards(POLICIES, hosts=hosts), tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest_asyncio.fixture
async def forger(network: LocalNetwork) -> AsyncIterator[Forger]:
    """A client of Org1 at peer1's gateway, up to no good on shard1."""
    async with network.gateway("peer1") as gateway:
        yield await Forger.at(network, gateway)
