"""Three orderers as real processes: order, agree, survive kill -9 and a hanging leader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError
from gridledger.protocol import Block, ChannelConfig, ConfigUpdate
from tests.support.forgery import Forger, now_us
from tests.support.hostile_config import with_roots_times_lists
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Three orderers and a peer. Snapshots come soon, and leave few entries behind them."""
    config = few_nodes(orderers=3, orderer_settings={"raft": {"snapshot_entries": 50, "trailing_entries": 5}})
    with local_network(config, tmp_path_factory.mktemp("orderers")) as running:
        yield running


class Orderers:
    """The orderers as a client of Org1 sees them."""

    def __init__(self, network: LocalNetwork, forger: Forger) -> None:
        self.network = network
        self.names = set(network.profile.orderers)
        self._forger = forger
        self.nodes = {name: network.node(name, forger.client) for name in self.names}

    def envelopes(self, count: int) -> list[bytes]:
        """Transactions as peer1 would have endorsed them, all different."""
        signer = self._forger.peer("peer1")
        return [self._forger.made_up(self._forger.proposal(), signer) for _ in range(count)]

    async def height(self, name: str) -> int:
        return int((await self.nodes[name].get_json(f"/channels/{CHANNEL}", timeout_s=2))["height"])

    async def leader(self, *, among: set[str] | None = None) -> str:
        names = among or self.names

        async def agreed() -> str | None:
            found = [await self.nodes[name].get_json(f"/channels/{CHANNEL}", timeout_s=2) for name in names]
            leaders = {item["leader"] for item in found}
            leader = leaders.pop() if len(leaders) == 1 else None
            return str(leader) if leader in names else None

        found = await eventually(agreed, within_s=30, what="one leader", ignore=(GridLedgerError,))
        assert found is not None
        return found

    async def config(self) -> ChannelConfig:
        return await self._forger.gateway.get_network(CHANNEL).get_config()

    async def follower(self) -> str:
        return min(self.names - {await self.leader()})

    async def broadcast(self, name: str, envelopes: list[bytes]) -> list[int]:
        # One that hangs is left soon: who asks in turn may ask it first.
        body = framing.pack(envelopes)
        answer = await self.nodes[name].post(f"/channels/{CHANNEL}/broadcast", body, timeout_s=5)
        return [item["status"] for item in jsontext.loads(answer)["results"]]

    async def order_at_leader(self, envelopes: list[bytes], *, among: set[str] | None = None) -> str:
        """Have the leader take all of them in one request; who that was. On a crowded machine the lead may move."""

        async def taken() -> str:
            leader = await self.leader(among=among)
            return leader if await self.broadcast(leader, envelopes) == [200] * len(envelopes) else ""

        return await eventually(taken, within_s=30, what="all taken by the leader", ignore=(GridLedgerError,))

    async def order(self, envelopes: list[bytes]) -> None:
        """Order all of them at whoever leads, as a gateway does: again, elsewhere, until acknowledged."""

        async def acknowledged() -> bool:
            nonlocal envelopes
            for name in self.names:
                try:
                    statuses = await self.broadcast(name, envelopes)
                except GridLedgerError:
                    continue
                envelopes = [item for item, status in zip(envelopes, statuses, strict=True) if status != 200]
                if not envelopes:
                    return True
            return False

        await eventually(acknowledged, within_s=30, what="all acknowledged")

    async def blocks(self, name: str) -> list[Block]:
        params = {"from": "0", "count": str(await self.height(name))}
        frames = self.nodes[name].frames(f"/channels/{CHANNEL}/deliver", params=params)
        return [Block.from_bytes(framing.unpack(frame, max_frames=2)[0]) async for frame in frames]

    async def agree(self) -> list[Block]:
        async def equal() -> list[Block] | None:
            first, *others = [await self.blocks(name) for name in self.names]
            return first if all(chain == first for chain in others) else None

        found = await eventually(equal, within_s=40, what="equal chains", ignore=(GridLedgerError,))
        assert found is not None
        return found


@pytest_asyncio.fixture
async def orderers(network: LocalNetwork) -> AsyncIterator[Orderers]:
    async with network.gateway("peer1") as gateway, AsyncExitStack() as stack:
        made = Orderers(network, await Forger.at(network, gateway))
        for node in made.nodes.values():
            await stack.enter_async_context(node)
        yield made


async def test_a_leader_orders_on_while_unsigned_updates_arrive(orderers: Orderers) -> None:
    """Each of 0.27 and of 1 MB, with some 300 and 1,100 roots and as many lists: to parse one took 8 and 285 s."""
    current = await orderers.config()

    def unsigned(count: int) -> bytes:
        return ConfigUpdate.build(with_roots_times_lists(current, count), time_us=now_us()).to_bytes()

    small, large = [await asyncio.to_thread(unsigned, count) for count in (290, 1100)]
    assert (len(small), len(large)) > (260_000, 950_000)
    leader = await orderers.order_at_leader(orderers.envelopes(1))
    before = await orderers.nodes[leader].get_json(f"/channels/{CHANNEL}")

    async def refused(update: bytes) -> list[int]:
        return await orderers.broadcast(leader, [update])

    loop = asyncio.get_running_loop()
    gaps = []
    for update in (small, large, small, large):
        refusing = asyncio.create_task(refused(update))
        while not refusing.done():
            started = loop.time()
            assert await orderers.broadcast(leader, orderers.envelopes(1)) == [200]
            gaps.append(loop.time() - started)
        assert await refusing == [403]
    after = await orderers.nodes[leader].get_json(f"/channels/{CHANNEL}")
    assert (after["leader"], after["term"]) == (leader, before["term"])
    assert max(gaps) < 2


async def test_three_orderers_agree_on_one_chain_and_survive_losses(orderers: Orderers) -> None:
    network = orderers.network
    first = orderers.envelopes(60)
    leader = await orderers.order_at_leader(first)

    async def referred() -> bool:
        """A follower says who leads."""
        nonlocal leader
        leader = await orderers.leader()
        try:
            await orderers.broadcast(await orderers.follower(), first[:1])
        except GridLedgerError as error:
            return (error.status, error.code, error.details.get("leader")) == (421, "NOT_LEADER", leader)
        return False

    await eventually(referred, within_s=20, what="a follower that refers to the leader")

    # kill -9 of the leader: the others go on, nothing acknowledged is lost.
    await network.kill(leader)
    others = orderers.names - {leader}
    assert await orderers.leader(among=others) in others
    second = orderers.envelopes(80)
    for envelope in second:
        await orderers.order([envelope])
    await network.start(leader)
    chain = await orderers.agree()
    ordered = {envelope for block in chain[1:] for envelope in block.envelopes}
    assert set(first + second) <= ordered

    # A leader that hangs is replaced, and follows when it wakes up.
    leader = await orderers.leader()
    network.pause(leader)
    await orderers.leader(among=orderers.names - {leader})
    third = orderers.envelopes(20)
    await orderers.order(third)
    network.resume(leader)
    chain = await orderers.agree()
    assert set(third) <= {envelope for block in chain for envelope in block.envelopes}
    assert all(block.header.previous_hash == chain[n].header.hash for n, block in enumerate(chain[1:]))


async def test_a_leader_that_is_told_to_stop_hands_over(orderers: Orderers) -> None:
    network = orderers.network
    leader = await orderers.order_at_leader(orderers.envelopes(3))
    assert await network.stop(leader) == 0
    others = orderers.names - {leader}
    heir = await orderers.leader(among=others)
    # It says so only when it has heard the new leader.
    assert f"handed over to {heir}" in network.log(leader)
    assert await orderers.order_at_leader(orderers.envelopes(3), among=others) in others
    await network.start(leader)


async def test_an_orderer_far_behind_joins_again_by_a_snapshot(orderers: Orderers) -> None:
    follower = await orderers.follower()
    before = await orderers.height(follower)
    await orderers.network.kill(follower)
    for envelope in orderers.envelopes(120):
        await orderers.order([envelope])
    await orderers.network.start(follower)
    assert len(await orderers.agree()) > before + 60


async def test_a_stream_follows_the_head(orderers: Orderers) -> None:
    follower = await orderers.follower()
    start = len(await orderers.agree())
    frames = orderers.nodes[follower].frames(f"/channels/{CHANNEL}/deliver", params={"from": str(start)})
    for envelope in orderers.envelopes(3):
        await orderers.order_at_leader([envelope])
        async with asyncio.timeout(10):
            block = Block.from_bytes(framing.unpack(await anext(frames), max_frames=2)[0])
        assert block.envelopes == (envelope,)
    await frames.aclose()  # type: ignore[attr-defined]
