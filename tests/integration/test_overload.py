"""More than a network carries, and more clients than a gateway has streams for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from gridledger.client import Status
from gridledger.client.gateway import Gateway
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode as Code
from services.peer.gateway.admission import ALWAYS
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
OFFERED = 6 * ALWAYS


@contextmanager
def two_peers(folder: Path, **edge: float) -> Iterator[LocalNetwork]:
    """A network of one orderer and two peers with these bounds at their edges."""
    with local_network(few_nodes(peers=2, edge=edge), folder) as network:
        yield network


async def _keys_on_the_chain(network: LocalNetwork, gateway: Gateway) -> int:
    height, _ = await network.agree(CHANNEL)
    blocks = [await gateway.get_network(CHANNEL).get_block(number) for number in range(1, height)]
    return sum(len(block.envelopes) for block in blocks)


async def test_what_would_wait_too_long_is_refused_without_effect(tmp_path: Path) -> None:
    with two_peers(tmp_path, max_wait_s=0.01) as network:
        async with network.gateway("peer1") as gateway:
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


async def _count(network: LocalNetwork, peer: str, metric: str) -> float:
    """A counter among a peer's metrics; 0 where it has not counted yet."""
    async with network.node(peer) as node:
        lines = (await node.get("/metrics")).decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{metric} "))


async def test_clients_beyond_the_streams_use_the_plain_routes(tmp_path: Path) -> None:
    """And peers endorse for one another meanwhile: their streams count by themselves."""
    with two_peers(tmp_path, max_call_streams=2, max_node_streams=1) as network:
        async with AsyncExitStack() as stack:
            clients = [await network.client("Org1", f"client{number}") for number in range(5)]
            gateways = [await stack.enter_async_context(network.gateway("peer1", client)) for client in clients]

            async def put(gateway: Gateway, key: str) -> Code:
                kv = gateway.get_network(CHANNEL).get_contract("kv")
                return (await kv.submit_with_status("put", key, 1))[1].code

            work = [put(gateway, f"{number}-{n}") for number, gateway in enumerate(gateways) for n in range(8)]
            assert await asyncio.gather(*work) == [Code.VALID] * 40
            for route in ("endorse", "submit"):
                by_itself = f'gridledger_http_requests_total{{method="POST",route="/gateway/{route}",status="200"}}'
                in_a_stream = f'gridledger_http_calls_total{{call="{route}",status="200"}}'
                assert await _count(network, "peer1", by_itself) == 3 * 8
                assert await _count(network, "peer1", in_a_stream) == 2 * 8
            # Both places for clients at peer1 are taken; what comes in at peer2 must be endorsed by peer1 too.
            endorsed_here = 'gridledger_http_calls_total{call="endorse_here",status="200"}'
            assert await _count(network, "peer1", endorsed_here) == 0
            async with network.gateway("peer2") as other:
                assert await put(other, "from-peer2") is Code.VALID
            assert await _count(network, "peer1", endorsed_here) == 1


async def test_a_batch_that_an_orderer_refuses_goes_through_in_parts(tmp_path: Path) -> None:
    """The orderer takes no more than 3 envelopes of one request, which the gateway does not know."""
    limits = {"limits": {"max_envelopes": 3}}
    config = few_nodes(orderer_settings=limits, ordering={"max_in_flight": 1, "timeout_s": 8.0})
    with local_network(config, tmp_path) as network:
        async with network.gateway("peer1") as gateway:
            kv = gateway.get_network(CHANNEL).get_contract("kv")
            await kv.submit_transaction("put", "first", 0)
            done = await asyncio.gather(*(kv.submit_with_status("put", f"key-{n}", n) for n in range(40)))
        assert {status.code for _, status in done} == {Code.VALID}
        assert await _count(network, "peer1", 'gridledger_gateway_ordering_retries_total{channel="shard1"}') > 3
