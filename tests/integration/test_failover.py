"""A client of three gateways, of which one is killed and then one hangs: nobody who calls notices but by a short wait.

The network is no-shard: six peers of six organisations on one channel. The chaincode's policy is that of dvs there,
three of six, so that with two of the gateways' peers gone the other four still satisfy it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from gridledger.client import EndorseError, Gateway, OfflineSigner, SubmitError
from gridledger.client.gateway import Contract
from gridledger.client.transactions import ClientTransaction
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import no_shard

pytestmark = pytest.mark.integration
CHANNEL = "grid"
GATEWAYS = ("peer1", "peer2", "peer3")
RATE, SECONDS = 50, 16
KILLED_AT_S, HUNG_AT_S = 4, 9
LONGEST_GAP_S = 2.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    with local_network(
        no_shard("OutOf(3, all)", forwarders=("Org2/bridge",)), tmp_path_factory.mktemp("failover")
    ) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction came to, and when its caller knew. ``error`` is None where it was told to be committed."""

    key: str
    told_at_s: float
    error: GridLedgerError | None


class Counters:
    """One client that adds 1 to a counter, a new one each time, 50 times a second."""

    def __init__(self, contract: Contract) -> None:
        self.outcomes: list[Outcome] = []
        self._contract = contract
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def now_s(self) -> float:
        return self._loop.time() - self._began

    async def at(self, second: float) -> None:
        """When the load has run this long."""
        await asyncio.sleep(max(0.0, self._began + second - self._loop.time()))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(RATE * SECONDS):
                await self.at(number / RATE)
                tasks.create_task(self._one(f"counter-{number}"))

    async def _one(self, key: str) -> None:
        error: GridLedgerError | None = None
        try:
            await self._contract.submit_transaction("add", key, 1)
        except GridLedgerError as raised:
            error = raised
        self.outcomes.append(Outcome(key, self.now_s, error))

    def longest_gap_s(self) -> float:
        """The longest time in which no transaction came to its end."""
        told = [0.0, *sorted(item.told_at_s for item in self.outcomes if item.error is None)]
        return max(later - earlier for earlier, later in pairwise(told))


async def test_a_forwarder_brings_what_others_have_signed(network: LocalNetwork) -> None:
    """Whoever is no forwarder may neither have it endorsed nor submit it, at any of the gateway's routes."""
    alice, bridge = await network.client("Org1", "alice"), await network.client("Org2", "bridge")
    url, signer = network.entry("peer1").url, OfflineSigner(alice.certificate, alice.mspid)

    def gateway(tls_identity: SigningIdentity) -> Gateway:
        return Gateway.connect(url, signer, roots=network.roots, tls_identity=tls_identity)

    async with gateway(bridge) as forwarding, gateway(await network.client("Org2", "mallory")) as stranger:
        contract, strange = (item.get_network(CHANNEL).get_contract("kv") for item in (forwarding, stranger))
        proposal = await contract.new_proposal("put", "forwarded", 1)
        signature = alice.sign(proposal.bytes)
        transaction = await proposal.with_signature(signature).endorse()
        envelope = transaction.with_signature(alice.sign(transaction.bytes))
        other = await strange.new_proposal("put", "forwarded", 2)
        for step in ("endorse", "evaluate"):
            with pytest.raises(EndorseError) as refused:
                await getattr(other.with_signature(alice.sign(other.bytes)), step)()
            assert refused.value.code == "PERMISSION_DENIED"
        stolen = ClientTransaction(stranger._session, envelope.transaction)
        for step in ("submit", "submit_and_wait"):
            with pytest.raises(SubmitError) as refused_too:
                await getattr(stolen, step)()
            assert refused_too.value.code == "PERMISSION_DENIED"
        status = await envelope.submit_and_wait()
        assert status.successful
        assert (await forwarding.get_network(CHANNEL).get_status(status.tx_id)) == status


@pytest.mark.deep
async def test_a_killed_and_a_hung_gateway_cost_no_error(network: LocalNetwork) -> None:
    identity = await network.client("Org1")
    urls = [network.entry(name).url for name in GATEWAYS]
    async with Gateway.connect(urls, identity, roots=network.roots) as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        await contract.submit_transaction("put", "before", 1)
        counters = Counters(contract)
        running = asyncio.create_task(counters.run())
        await counters.at(KILLED_AT_S)
        await network.kill("peer1")
        await counters.at(HUNG_AT_S)
        network.pause("peer2")
        try:
            await running
        finally:
            network.resume("peer2")
    gap_s = counters.longest_gap_s()
    print(f"{len(counters.outcomes)} transactions, the longest gap {gap_s:.2f} s")
    await network.start("peer1")
    await network.agree(CHANNEL)
    assert Counter(str(item.error) for item in counters.outcomes) == {"None": RATE * SECONDS}
    await _each_success_is_counted_once(network, counters)
    assert gap_s < LONGEST_GAP_S


async def _each_success_is_counted_once(network: LocalNetwork, counters: Counters) -> None:
    """On a peer that was never gone; what was not told to be committed is not there."""
    async with network.gateway("peer6") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        counted: dict[str, Any] = {
            item.key: await contract.evaluate_transaction("get", item.key) for item in counters.outcomes
        }
    assert counted == {item.key: 1 if item.error is None else None for item in counters.outcomes}
