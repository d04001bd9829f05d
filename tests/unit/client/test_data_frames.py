"""What was read from a chain as pandas data frames: a key's history, the items of paged queries, both SDKs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from gridledger.client import blocking
from gridledger.client.pages import all_items
from gridledger.client.testing import FakeGateway
from gridledger.contract import Context
from gridledger.errors import InputError
from gridledger.extras import MissingExtra
from gridledger.grid.frames import FrameMaker
from gridledger.grid.power_flow import Grid
from tests.support.dvs_channel import DvsChannel, full_list
from tests.support.solved_grid import planner, power_flow

PAGES = [{"items": [{"n": 1}, {"n": 2}], "bookmark": "2"}, {"items": [{"n": 3}], "bookmark": None}]


def put(ctx: Context, key: str, value: Any) -> None:
    ctx.stub.put_state(key, value)


def remove(ctx: Context, key: str) -> None:
    ctx.stub.del_state(key)


def pages(ctx: Context, argument: dict[str, Any]) -> Any:
    return PAGES[int("bookmark" in argument)]


def same_page(ctx: Context, argument: dict[str, Any]) -> Any:
    return PAGES[0]


def no_page(ctx: Context, argument: dict[str, Any]) -> Any:
    return [1, 2]


@pytest.fixture
async def gateway() -> FakeGateway:
    table: dict[str, Callable[..., Any]] = {
        "put": put,
        "remove": remove,
        "pages": pages,
        "same_page": same_page,
        "no_page": no_page,
    }
    return FakeGateway({"table": table})


async def test_a_key_s_history_is_a_data_frame(gateway: FakeGateway) -> None:
    network = gateway.get_network("channel")
    contract = network.get_contract("table")
    await contract.submit_transaction("put", "k", {"v": 1.5, "inner": {"w": [1]}})
    await contract.submit_transaction("put", "k", 7)
    await contract.submit_transaction("remove", "k")
    history = await network.history("table", "k")
    assert history == await network.get_history("table", "k")
    frame = history.to_frame()
    assert list(frame["tx_id"]) == [entry.tx_id for entry in history]
    assert list(frame["deleted"]) == [True, False, False]
    assert frame["value"][1] == 7
    assert (frame["value.v"][2], frame["value.inner.w"][2]) == (1.5, [1])
    assert str(frame["timestamp"].dtype).endswith("UTC]")
    assert frame["timestamp"][0].value // 1000 == history[0].timestamp_us
    empty = (await network.history("table", "never")).to_frame()
    assert (len(empty), "timestamp" in empty) == (0, True)


async def test_all_pages_of_a_query_are_one_data_frame(gateway: FakeGateway) -> None:
    contract = gateway.get_network("channel").get_contract("table")
    items = await contract.collect("pages", {"group": "1"})
    assert items == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert list(items.to_frame()["n"]) == [1, 2, 3]
    with pytest.raises(InputError, match="more than 2 items"):
        await contract.collect("pages", max_items=2)
    with pytest.raises(InputError, match="the same page again"):
        await contract.collect("same_page")
    with pytest.raises(InputError, match="answers no pages"):
        await contract.collect("no_page")


async def test_vsi_and_actions_of_a_group_are_data_frames() -> None:
    """What the contract dvs answers: a row for each bus and frame, and one for each action."""
    channel, area, grid = DvsChannel(), planner("corrected").area("1"), Grid(power_flow())
    channel.call("InitialGrouping", planner("corrected").record("1", grid.state()))
    channel.call("UpdateResources", {"group": "1", "vvc": full_list(area.load_buses, 1.5)})
    maker = FrameMaker(area)
    for time_us, load in ((1, (2.4, 1.2)), (2, (52.8, 26.4))):
        grid.set_loads({3: load})
        channel.call("ComputeVSI", maker.frame(grid.state(), time_us))

    def asking(function: str) -> Callable[[dict[str, Any]], Any]:
        async def ask(argument: dict[str, Any]) -> Any:
            return channel.call(function, argument)

        return ask

    vsi = await all_items(asking("GetVSI"), "GetVSI", {"group": "1", "from": 0, "to": 10, "limit": 1}, 10)
    frame = vsi.to_frame(rows="vsi")
    assert list(frame["time"]) == [1, 1, 1, 2, 2, 2]
    assert set(frame["bus"]) == set(area.load_buses)
    assert frame["vsi"].max() <= 1.0
    assert list(vsi.to_frame()["outcome"]) == ["normal", "injected"]
    actions = (await all_items(asking("GetActions"), "GetActions", {"group": "1"}, 10)).to_frame()
    assert list(actions["control.source_bus"]) == [3]
    with pytest.raises(InputError, match="no list of objects 'buses'; its lists: vsi"):
        vsi.to_frame(rows="buses")


def test_the_blocking_sdk_has_the_same() -> None:
    gateway = blocking.Gateway(FakeGateway({"table": {"put": put, "pages": pages}}))
    network = gateway.get_network("channel")
    network.get_contract("table").submit_transaction("put", "k", {"v": 1})
    assert list(network.history("table", "k").to_frame()["value.v"]) == [1]
    assert list(network.get_contract("table").collect("pages").to_frame()["n"]) == [1, 2, 3]
    gateway.close()


async def test_without_pandas_the_error_says_what_to_install(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    history = await gateway.get_network("channel").history("table", "k")
    with pytest.raises(MissingExtra, match=r"to_frame\(\) needs pandas, .*gridledger\[feeder\]"):
        history.to_frame()
