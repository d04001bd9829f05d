"""The fake gateway for users' tests: runs chaincode, validates, gives events, and fails as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gridledger.client import CommitError, EndorseError, Retry, SubmitError, blocking
from gridledger.client.testing import FakeGateway
from gridledger.contract import Context, Contract, ContractError, transaction
from gridledger.errors import BusyError, NotFoundError, SettingsError, TimeoutExceeded, UnavailableError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.search import TransactionFilter
from tests.support.processes import REPOSITORY

KV = REPOSITORY / "chaincode" / "kv"


def add(ctx: Context, key: str, amount: int) -> int:
    """A plain function."""
    total = int(ctx.stub.get_state(key) or 0) + amount
    ctx.stub.put_state(key, total)
    ctx.stub.set_event("Added", {"key": key, "total": total})
    return total


def scan(ctx: Context, start: str, end: str) -> int:
    count = len(list(ctx.stub.get_state_by_range(start, end)))
    ctx.stub.put_state("counted", count)
    return count


def refuse(ctx: Context) -> None:
    raise ContractError(f"not for {ctx.client_identity.get_mspid()}")


class Greeter(Contract):
    @transaction
    def greet(self, ctx: Context, name: str) -> str:
        return f"{name} by {ctx.client_identity.get_attribute_value('title')}"


@pytest.fixture
async def gateway() -> FakeGateway:
    table: dict[str, Callable[..., Any]] = {"add": add, "scan": scan, "refuse": refuse}
    return FakeGateway({"kv": KV, "table": table, "greeter": Greeter}, attributes={"title": "Dr"})


def contract(gateway: FakeGateway, name: str = "table") -> Any:
    return gateway.get_network("channel").get_contract(name)


async def test_chaincode_runs_from_a_folder_a_class_and_a_table(gateway: FakeGateway) -> None:
    assert await contract(gateway, "kv").submit_transaction("add", "k", 2) == 2
    assert await contract(gateway, "table").submit_transaction("add", "k", 3) == 3
    assert await contract(gateway, "greeter").evaluate_transaction("greet", "Ada") == "Ada by Dr"
    assert (gateway.state("kv"), gateway.state("table"), gateway.state("greeter")) == ({"k": 2}, {"k": 3}, {})
    assert await contract(gateway).evaluate_transaction("add", "k", 100) == 103
    assert gateway.state("table") == {"k": 3}
    assert await gateway.channels() == ["channel"]


async def test_a_refusal_looks_as_a_networks(gateway: FakeGateway) -> None:
    for name, function in (("table", "refuse"), ("table", "no_such"), ("kv", "no_such")):
        with pytest.raises(EndorseError) as caught:
            await contract(gateway, name).submit_transaction(function)
        assert (caught.value.code, caught.value.status, len(caught.value.tx_id)) == ("CHAINCODE_REFUSED", 400, 64)
    with pytest.raises(EndorseError, match="not for Org1MSP"):
        await contract(gateway).evaluate_transaction("refuse")


async def test_reads_that_are_not_true_any_more_conflict(gateway: FakeGateway) -> None:
    table = contract(gateway)
    early = await (await table.new_proposal("add", "k", 1)).endorse()
    await table.submit_transaction("add", "k", 5)
    assert (await early.submit_and_wait()).code == Code.MVCC_READ_CONFLICT
    counted = await (await table.new_proposal("scan", "a", "z")).endorse()
    await table.submit_transaction("add", "m", 1)
    assert (await counted.submit_and_wait()).code == Code.PHANTOM_READ_CONFLICT
    again = await (await table.new_proposal("scan", "a", "z")).endorse()
    assert (await again.submit_and_wait()).successful
    assert gateway.state("table") == {"counted": 2, "k": 5, "m": 1}


async def test_conflicts_are_provoked(gateway: FakeGateway) -> None:
    gateway.conflict()
    with pytest.raises(CommitError) as caught:
        await contract(gateway).submit_transaction("add", "k", 1)
    assert caught.value.validation_code == Code.MVCC_READ_CONFLICT
    gateway.conflict(2, Code.PHANTOM_READ_CONFLICT)
    assert await contract(gateway).submit_transaction("add", "k", 1, retry=Retry(first_pause_s=0)) == 1
    info = await gateway.get_network("channel").get_chain_info()
    assert (info.height, info.transactions) == (5, 4)


async def test_errors_are_provoked_step_by_step(gateway: FakeGateway) -> None:
    gateway.fail("evaluate", UnavailableError("down"))
    with pytest.raises(EndorseError, match="down"):
        await contract(gateway).evaluate_transaction("add", "k", 1)
    gateway.fail("submit", UnavailableError("down", code="ORDERERS_UNAVAILABLE"))
    with pytest.raises(SubmitError) as caught:
        await contract(gateway).submit_transaction("add", "k", 1)
    assert caught.value.code == "ORDERERS_UNAVAILABLE"
    gateway.fail("endorse", BusyError("full", retry_after_s=0.0), times=2)
    assert await contract(gateway).submit_transaction("add", "k", 1, retry=Retry(first_pause_s=0)) == 1


async def test_the_chain_can_be_read(gateway: FakeGateway) -> None:
    network, table = gateway.get_network("channel"), contract(gateway)
    _, first = await table.submit_with_status("add", "k", 1)
    gateway.conflict()
    with pytest.raises(CommitError):
        await table.submit_transaction("add", "k", 9)
    _, second = await table.submit_with_status("add", "k", 2)
    assert await network.get_status(second.tx_id) == second
    assert [(item.value, item.tx_id, item.block) for item in await network.get_history("table", "k")] == [
        (3, second.tx_id, second.block),
        (1, first.tx_id, first.block),
    ]
    proved = await network.get_transaction(first.tx_id)
    assert (await network.get_block(first.block)).envelopes == (proved.envelope,)
    page = await network.get_headers(first.block, limit=1)
    assert [(item.header, item.commit_hash) for item in page.items] == [(proved.header, first.commit_hash)]
    with pytest.raises(NotFoundError):
        await network.get_status("0" * 64)
    with pytest.raises(TimeoutExceeded):
        await network.get_status("0" * 64, wait_s=1)
    with pytest.raises(NotFoundError, match="the fake gateway has no"):
        await network.get_config()


async def test_steps_and_repetitions_are_a_gateways(gateway: FakeGateway) -> None:
    transaction = await (await contract(gateway).new_proposal("add", "k", 1)).endorse()
    submitted = await transaction.submit()
    status = await submitted.get_status()
    assert await transaction.submit_and_wait() == status
    assert gateway.state("table") == {"k": 1}


async def test_events_come_as_they_happen(gateway: FakeGateway) -> None:
    network, table = gateway.get_network("channel"), contract(gateway)
    await table.submit_transaction("add", "k", 1)
    events = network.chaincode_events("table", start_block=0, name="Added")
    blocks, full = network.block_events(start_block=0), network.full_block_events(start_block=0)
    async with asyncio.timeout(10):
        assert (await anext(events)).payload == {"key": "k", "total": 1}
        assert [(await anext(blocks)).number for _ in range(2)] == [0, 1]
        following = asyncio.ensure_future(anext(events))
        for _ in range(10):  # until it waits
            await asyncio.sleep(0)
        gateway.conflict()
        with pytest.raises(CommitError):
            await table.submit_transaction("add", "k", 1)
        await table.submit_transaction("add", "k", 4)
        event = await following
        assert (event.payload, event.block) == ({"key": "k", "total": 5}, 3)
        assert [item.code for item in (await anext(blocks)).transactions] == [Code.MVCC_READ_CONFLICT]
        assert [(await anext(full)).block.header.number for _ in range(4)] == [0, 1, 2, 3]


async def test_what_is_not_there_is_told(gateway: FakeGateway) -> None:
    with pytest.raises(NotFoundError, match="no chaincode 'none'"):
        await contract(gateway, "none").evaluate_transaction("get", "k")
    with pytest.raises(NotFoundError, match="not on the channel 'other'"):
        await gateway.get_network("other").get_contract("kv").evaluate_transaction("get", "k")
    with pytest.raises(SettingsError, match="is no chaincode"):
        FakeGateway({"kv": object()})  # type: ignore[dict-item]


def test_its_blocking_form() -> None:
    fake = FakeGateway({"table": {"add": add}}, channel="grid")
    with blocking.Gateway(fake) as gateway:
        network = gateway.get_network("grid")
        assert network.get_contract("table").submit_transaction("add", "k", 1) == 1
        events = network.chaincode_events("table", start_block=0)
        assert next(events).payload == {"key": "k", "total": 1}
    assert fake.state("table") == {"k": 1}


async def test_transactions_are_searched_page_by_page(gateway: FakeGateway) -> None:
    network = gateway.get_network("channel")
    for number in range(5):
        await contract(gateway).submit_transaction("add", "k", number)
    gateway.conflict()
    with pytest.raises(CommitError):
        await contract(gateway).submit_transaction("add", "k", 9)
    await contract(gateway, "kv").submit_transaction("add", "k", 1)
    wanted = TransactionFilter(chaincode="table", creator="alice", mspid="Org1MSP")
    first = await network.search_transactions(wanted, limit=4)
    second = await network.search_transactions(wanted, limit=4, bookmark=first.bookmark)
    assert [item.block for item in (*first.items, *second.items)] == [6, 5, 4, 3, 2, 1]
    assert second.bookmark is None
    (lost,) = (await network.search_transactions(TransactionFilter(code="invalid"))).items
    assert (lost.block, lost.code, lost.function) == (6, Code.MVCC_READ_CONFLICT, "add")
    block = await network.get_block(3)
    assert await network.get_block_by_hash(block.header.hash) == block
    assert (await network.find_transactions(lost.tx_id[:12])).items == (lost,)
    middle = block.header.timestamp_us
    between = await network.search_transactions(TransactionFilter(from_us=middle, to_us=middle + 1))
    assert 3 in [item.block for item in between.items]
    with pytest.raises(NotFoundError):
        await network.get_block_by_hash("0" * 64)


async def test_a_history_is_read_page_by_page(gateway: FakeGateway) -> None:
    network = gateway.get_network("channel")
    for _ in range(5):
        await contract(gateway).submit_transaction("add", "k", 1)
    assert [item.value for item in await network.get_history("table", "k", limit=3)] == [5, 4, 3]
    first = await network.get_history_page("table", "k", limit=4)
    second = await network.get_history_page("table", "k", limit=4, bookmark=first.bookmark)
    assert [item.value for item in (*first.items, *second.items)] == [5, 4, 3, 2, 1]
    assert second.bookmark is None
