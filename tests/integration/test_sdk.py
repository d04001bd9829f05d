"""The SDK against a whole network: every call that its page promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from gridledger.client import BlockEvent, ChaincodeEvent, FullBlockEvent, Gateway, Retry, blocking, connect
from gridledger.client.checkpoints import FileCheckpointer
from gridledger.client.errors import CommitError, EndorseError
from gridledger.client.gateway import Contract
from gridledger.client.transactions import check_committed
from gridledger.errors import AuthenticationError, NotFoundError
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.local_network import LocalNetwork
from tests.support.waiting import until

pytestmark = pytest.mark.integration
CHANNEL = "shard3"


@pytest_asyncio.fixture
async def gateway(network: LocalNetwork) -> AsyncIterator[Gateway]:
    async with network.gateway("peer5") as gateway:
        yield gateway


@pytest.fixture
def kv(gateway: Gateway) -> Contract:
    return gateway.get_network(CHANNEL).get_contract("kv")


async def test_submit_and_evaluate(network: LocalNetwork, gateway: Gateway, kv: Contract) -> None:
    assert await kv.submit_transaction("add", "sdk-sum", 2) == 2
    payload, status = await kv.submit_with_status("add", "sdk-sum", 3)
    assert (payload, status.code, status.successful) == (5, Code.VALID, True)
    assert await kv.evaluate_transaction("get", "sdk-sum") == 5
    # Evaluating orders nothing, whatever the function would write.
    height, commit_hash = await network.agree(CHANNEL)
    assert await kv.evaluate_transaction("add", "sdk-sum", 100) == 105
    assert await network.agree(CHANNEL) == (height, commit_hash)
    assert status.commit_hash == commit_hash
    assert set(await gateway.channels()) == {"mainchain", CHANNEL}


async def test_step_by_step(gateway: Gateway, kv: Contract) -> None:
    proposal = await kv.new_proposal("put", "sdk-step", {"v": [1.5, None, "ü"]}, transient={"secret": 1})
    transaction = await proposal.endorse()
    assert transaction.tx_id == proposal.tx_id
    assert {len(item.endorser) for item in transaction.transaction.endorsements} == {64}
    with pytest.raises(NotFoundError):
        await gateway.get_network(CHANNEL).get_status(proposal.tx_id)
    submitted = await transaction.submit()
    status = await submitted.get_status()
    assert (status.tx_id, status.code) == (proposal.tx_id, Code.VALID)
    # The outcome does not change by submitting again, nor by asking again.
    assert await transaction.submit_and_wait() == status
    assert await gateway.get_network(CHANNEL).get_status(proposal.tx_id) == status
    assert await kv.evaluate_transaction("get", "sdk-step") == {"v": [1.5, None, "ü"]}
    # Transient data reaches the chaincode and never the chain.
    block = await gateway.get_network(CHANNEL).get_block(status.block)
    assert b"secret" not in b"".join(block.envelopes)


async def test_refusal_carries_every_endorsers_message(kv: Contract) -> None:
    with pytest.raises(EndorseError) as caught:
        await kv.submit_transaction("add", "sdk-bad", "one")
    error = caught.value
    assert (error.status, error.code, len(error.tx_id)) == (400, "CHAINCODE_REFUSED", 64)
    refusal = 'amount: must be an integer (int), not "one"'
    assert error.details["endorsers"] == dict.fromkeys(("peer5", "peer6"), refusal)
    with pytest.raises(EndorseError) as caught:
        await kv.submit_transaction("no_such_function")
    assert caught.value.code == "CHAINCODE_REFUSED"


async def test_conflicts(kv: Contract) -> None:
    """Ten at once on one key: without the retry, one wins; with it, the SDK makes a loser anew once."""
    await kv.submit_transaction("put", "sdk-hot", 0)
    endorsed = [await (await kv.new_proposal("add", "sdk-hot", 1)).endorse() for _ in range(10)]
    statuses = await asyncio.gather(*(item.submit_and_wait() for item in endorsed))
    assert sorted(status.code for status in statuses) == [Code.VALID] + [Code.MVCC_READ_CONFLICT] * 9
    assert await kv.evaluate_transaction("get", "sdk-hot") == 1

    # Two side by side with a retry each: whoever loses the first round has nobody to lose the second one to.
    again = (kv.submit_transaction("add", "sdk-hot", 1, retry=Retry(attempts=2)) for _ in range(2))
    assert sorted(await asyncio.gather(*again)) == [2, 3]
    loser = await kv.new_proposal("add", "sdk-hot", 1)
    endorsed_late = await loser.endorse()
    await kv.submit_transaction("add", "sdk-hot", -1)
    with pytest.raises(CommitError) as caught:
        check_committed(await endorsed_late.submit_and_wait())
    assert (caught.value.validation_code, caught.value.status) == (Code.MVCC_READ_CONFLICT, 409)
    assert caught.value.tx_id == loser.tx_id
    assert await kv.evaluate_transaction("get", "sdk-hot") == 2


async def test_reading_the_chain(network: LocalNetwork, gateway: Gateway, kv: Contract) -> None:
    channel = gateway.get_network(CHANNEL)
    tx_ids = [(await kv.submit_with_status("put", "sdk-history", value))[1].tx_id for value in (1, {"two": 2})]
    tx_ids.append((await kv.submit_with_status("delete", "sdk-history"))[1].tx_id)
    history = await channel.get_history("kv", "sdk-history")
    assert [(item.value, item.tx_id) for item in history] == [
        (None, tx_ids[2]),
        ({"two": 2}, tx_ids[1]),
        (1, tx_ids[0]),
    ]
    proved = await channel.get_transaction(tx_ids[1])
    assert (proved.tx_id, proved.code) == (tx_ids[1], Code.VALID)
    block = await channel.get_block(proved.block)
    assert (block.header.hash, block.envelopes[proved.index]) == (proved.header.hash, proved.envelope)
    # The other peer proves the same under the same header.
    async with network.gateway("peer6") as other:
        assert await other.get_network(CHANNEL).get_transaction(tx_ids[1]) == proved
        assert await other.get_network(CHANNEL).get_history("kv", "sdk-history") == history
    info = await channel.get_chain_info()
    assert (info.height, info.commit_hash) == await network.agree(CHANNEL)
    assert info.last_hash == (await channel.get_block(info.height - 1)).header.hash
    assert set((await channel.get_config()).chaincodes) >= {"kv", "dvs"}


async def test_events_over_a_restart_of_the_peer(network: LocalNetwork, tmp_path: Path) -> None:
    """Each event once and in order, though the peer went away, and the program did, in the midst of them."""
    checkpoint = tmp_path / "checkpoint.json"
    values: list[int] = []

    async with network.gateway("peer5") as writer, network.gateway("peer6") as reader:
        kv = writer.get_network(CHANNEL).get_contract("kv")
        height = (await writer.get_network(CHANNEL).get_chain_info()).height

        async def follow(wanted: int) -> None:
            """As a program does that was started anew: all it knows is in the checkpoint's file."""
            checkpointer = FileCheckpointer(checkpoint)
            stream = reader.get_network(CHANNEL).chaincode_events(
                "kv", start_block=height, name="Put", checkpointer=checkpointer
            )
            async with aclosing(cast("AsyncGenerator[ChaincodeEvent, None]", stream)) as events:
                async for event in events:
                    values.append(event.payload["value"])
                    checkpointer.checkpoint_transaction(event.block, event.tx_id)
                    if len(values) == wanted:
                        return

        async def announce(first: int, last: int) -> None:
            await asyncio.gather(*(kv.submit_transaction("announce", f"sdk-{n}", n) for n in range(first, last)))

        async with asyncio.timeout(60):
            following = asyncio.create_task(follow(7))
            await announce(0, 10)
            await following
            assert len(values) == 7
            following = asyncio.create_task(follow(20))
            await until(lambda: len(values) >= 10)
            assert await network.stop("peer6") == 0
            await network.start("peer6")
            await announce(10, 20)
            await following
    assert sorted(values) == list(range(20))
    assert sorted(values[:10]) == list(range(10))


async def test_block_events_follow_the_head(gateway: Gateway, kv: Contract) -> None:
    channel = gateway.get_network(CHANNEL)
    start = (await channel.get_chain_info()).height
    stream = cast("AsyncGenerator[BlockEvent, None]", channel.block_events(start_block=start - 1))
    async with asyncio.timeout(20), aclosing(stream) as blocks:
        assert (await anext(blocks)).number == start - 1
        following = asyncio.create_task(anext(blocks))
        _, status = await kv.submit_with_status("put", "sdk-block", 1)
        block = await following
        assert (block.number, block.commit_hash) == (status.block, status.commit_hash)
        assert [(item.tx_id, item.code) for item in block.transactions] == [(status.tx_id, Code.VALID)]


async def test_full_blocks_and_endorsing_organisations(gateway: Gateway, kv: Contract) -> None:
    channel = gateway.get_network(CHANNEL)
    both = ["Org5MSP", "Org6MSP"]
    _, status = await kv.submit_with_status("put", "sdk-full", 1, endorsing_organisations=both)
    with pytest.raises(EndorseError) as caught:
        await kv.submit_transaction("put", "sdk-full", 2, endorsing_organisations=["Org5MSP"])
    assert caught.value.code == "ENDORSING_ORGANISATIONS"
    stream = cast("AsyncGenerator[FullBlockEvent, None]", channel.full_block_events(start_block=status.block))
    async with asyncio.timeout(20), aclosing(stream) as blocks:
        found = await anext(blocks)
    assert found.block == await channel.get_block(status.block)
    assert status.tx_id in found.event.tx_ids


async def test_a_channel_elsewhere_is_found_at_another_gateway(network: LocalNetwork) -> None:
    urls, roots = [network.entry(name).url for name in ("peer1", "peer3")], network.roots
    async with Gateway.connect(urls, network.admin("Org3"), roots=roots) as gateway:
        contract = gateway.get_network("shard2").get_contract("kv")
        assert await contract.submit_transaction("put", "sdk-elsewhere", 1) is None
        assert await contract.evaluate_transaction("get", "sdk-elsewhere") == 1


async def test_a_network_is_known_by_its_folder(network: LocalNetwork) -> None:
    async with await connect(network.folder.root, user="Org1/admin") as gateway:
        assert gateway.urls[0] == network.entry("peer1").url
        assert set(await gateway.channels()) == {"mainchain", "shard1"}  # those that Org1 may read
        assert (await gateway.get_network("shard1").get_chain_info()).height > 0
        # Who is no member of a channel is told so, whatever other gateways say.
        with pytest.raises(AuthenticationError):
            await gateway.get_network("shard2").get_chain_info()
        with pytest.raises(NotFoundError):
            await gateway.get_network("nowhere").get_chain_info()


async def test_blocking_twin(network: LocalNetwork) -> None:
    client = await network.client("Org5")

    def program() -> None:
        with blocking.Gateway.connect(network.entry("peer5").url, client, roots=network.profile.roots) as gateway:
            channel = gateway.get_network(CHANNEL)
            kv = channel.get_contract("kv")
            assert kv.submit_transaction("add", "sdk-blocking", 4) == 4
            _, status = kv.submit_with_status("announce", "sdk-blocked", 1)
            assert kv.evaluate_transaction("get", "sdk-blocking") == 4
            assert channel.get_transaction(status.tx_id).block == status.block
            assert channel.get_chain_info().height > status.block
            assert channel.get_status(status.tx_id) == status
            assert [item.value for item in channel.get_history("kv", "sdk-blocking")] == [4]
            events = channel.chaincode_events("kv", start_block=status.block)
            assert next(events).payload == {"key": "sdk-blocked", "value": 1}
            events.close()  # type: ignore[attr-defined]
            with pytest.raises(EndorseError):
                kv.submit_transaction("add", "sdk-blocking", None)

    await asyncio.to_thread(program)


async def test_gateway_that_is_not_there(network: LocalNetwork) -> None:
    identity = await network.client("Org5")
    async with Gateway.connect("https://127.0.0.1:1", identity, roots=network.roots) as gateway:
        with pytest.raises(Exception, match="Cannot connect") as caught:
            await gateway.get_network(CHANNEL).get_contract("kv").submit_transaction("put", "k", 1)
    assert getattr(caught.value, "code", "") == "CONNECTION_FAILED"
