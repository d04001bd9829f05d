"""The REST bridge as a process of its own beside a network, called with urllib alone."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gridledger.network.users import enroll_user
from tests.support.local_network import LocalNetwork
from tests.support.matpower_rows import branch_rows, bus_rows
from tests.support.rest_bridge import Bridge, running_bridge
from tests.support.solved_grid import base_state, planner

pytestmark = pytest.mark.integration
PLANNERS = ("Org1", "Org3", "Org5")
AGGREGATORS = {"1": "Org1", "2": "Org3", "3": "Org5"}
SUBMIT, EVALUATE = "/channels/shard1/chaincodes/kv/submit", "/channels/shard1/chaincodes/kv/evaluate"
NOW_US = 1_700_000_000_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridge(network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bridge]:
    folder = tmp_path_factory.mktemp("rest")
    identities = {"app": network.profile.user("Org1", "rest-app")}
    await enroll_user(network.profile, "Org1", "rest-app", "client", {})
    for organisation in PLANNERS:
        name = f"rest-planner-{organisation}"
        await enroll_user(network.profile, organisation, name, "client", {"grid.role": "planner"})
        identities[name] = network.profile.user(organisation, name)
    for group, organisation in AGGREGATORS.items():
        name = f"rest-aggregator-{group}"
        attributes = {"grid.role": "aggregator", "grid.group": group}
        await enroll_user(network.profile, organisation, name, "client", attributes)
        identities[name] = network.profile.user(organisation, name)
    with running_bridge(folder, network.folder.connection, identities, {"reader": []}) as running:
        (folder / "tokens" / "reader").write_text("r" * 40)
        yield running


@pytest.mark.asyncio(loop_scope="module")
async def test_submit_evaluate_and_look_it_up(bridge: Bridge) -> None:
    status, done = await bridge.call(SUBMIT, {"function": "put", "args": ["rest", {"v": 1.5}]})
    assert (status, done["code_name"], done["identity"]) == (200, "VALID", "app")
    assert await bridge.call(EVALUATE, {"function": "get", "args": ["rest"]}) == (200, {"payload": {"v": 1.5}})
    status, proved = await bridge.call(f"/channels/shard1/transactions/{done['tx_id']}")
    assert (status, proved["block"], proved["code"]) == (200, done["block"], 0)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_says_as_whom_it_acts(bridge: Bridge) -> None:
    call = {"function": "put", "args": ["who", 1], "identity": "rest-aggregator-1"}
    status, done = await bridge.call(SUBMIT, call)
    assert (status, done["identity"]) == (200, "rest-aggregator-1")
    status, error = await bridge.call(SUBMIT, {**call, "identity": "admin"})
    assert (status, error["code"]) == (404, "IDENTITY_UNKNOWN")
    reader = Bridge(bridge.url, "r" * 40)
    status, error = await reader.call(SUBMIT, call)
    assert (status, error["code"]) == (404, "IDENTITY_UNKNOWN")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_says_who_is_to_endorse(bridge: Bridge) -> None:
    call = {"function": "put", "args": ["endorsed", 1], "endorsing_organisations": ["Org1MSP", "Org2MSP"]}
    assert (await bridge.call(SUBMIT, call))[0] == 200
    status, error = await bridge.call(SUBMIT, {**call, "endorsing_organisations": ["Org9MSP"]})
    assert status == 400
    assert "Org9MSP" in error["message"]


REFUSED = [
    ({"function": "put", "args": ["x"]}, 400, "CHAINCODE_REFUSED"),
    ({"function": "put", "arguments": []}, 400, "BAD_REQUEST"),
    ({"args": []}, 400, "BAD_REQUEST"),
    ({"function": "put", "args": [], "timeout_s": 3000}, 400, "BAD_REQUEST"),
    (b"{", 400, "MALFORMED_JSON"),
    (b'{"function": "get", "function": "put"}', 400, "MALFORMED_JSON"),
    (b"[1]", 400, "BAD_REQUEST"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("body", "status", "code"), REFUSED)
async def test_bad_calls_get_one_clear_error(bridge: Bridge, body: Any, status: int, code: str) -> None:
    told, error = await bridge.call(SUBMIT, body)
    assert (told, error["code"]) == (status, code)
    assert "\n" not in error["message"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_in_a_browser_cannot_call(bridge: Bridge) -> None:
    call = {"function": "put", "args": ["browser", 1]}
    status, error = await bridge.call(SUBMIT, call, Host="evil.example")
    assert (status, error["code"]) == (403, "WRONG_HOST")
    status, error = await bridge.call(SUBMIT, call, Authorization="Bearer wrong")
    assert (status, error["code"]) == (401, "TOKEN_REQUIRED")


@pytest.mark.asyncio(loop_scope="module")
async def test_events_come_as_they_are_committed(network: LocalNetwork, bridge: Bridge) -> None:
    _, done = await bridge.call(SUBMIT, {"function": "announce", "args": ["told", 1]})
    path = f"/channels/shard1/chaincodes/kv/events?from={done['block']}"
    found = await asyncio.to_thread(lambda: next(_lines(bridge, path, "data: ")))
    told = json.loads(found)
    assert told["tx_id"] == done["tx_id"]


def _lines(bridge: Bridge, path: str, prefix: str) -> Iterator[str]:
    with urllib.request.urlopen(bridge.request(path), timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer:
            if line.decode().startswith(prefix):
                yield line.decode()[len(prefix) :]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_description_is_a_page_and_a_document(bridge: Bridge) -> None:
    stored = json.loads((Path(__file__).parents[2] / "docs/openapi/rest.json").read_text())
    anybody = Bridge(bridge.url, "")
    assert await anybody.call("/openapi.json") == (200, stored)
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(bridge.url + "/", timeout=30).read().decode())
    assert "POST /VSI" in text
    assert "<script" not in text


@pytest.mark.asyncio(loop_scope="module")
async def test_the_thesiss_two_calls(network: LocalNetwork, bridge: Bridge) -> None:
    """A program with MATPOWER's rows puts its groups on the ledger and has a measurement judged."""
    ours, state = planner("corrected"), base_state()
    rows: dict[str, Any] = {
        "baseMVA": 100.0,
        "bus": bus_rows(ours.case, state),
        "branch": branch_rows(ours.case, state),
    }
    groups = {name: list(members) for name, members in ours.grouping.items()}
    thresholds = dict(ours.thresholds)
    status, planned = await bridge.call("/initial", {**rows, "groups": groups, "thresholds": thresholds})
    assert status == 200, planned
    assert planned["groups"] == groups
    assert {item["code_name"] for item in planned["transactions"]} == {"VALID"}
    status, judged = await bridge.call("/VSI", {**rows, "time": NOW_US})
    assert status == 200, judged
    assert [name for name in judged["groups"] if "error" in judged["groups"][name]] == []
    assert (judged["alarms"], judged["injections"], judged["time"]) == ([], [], NOW_US)
    async with network.gateway("peer1") as gateway:
        contract = gateway.get_network("shard1").get_contract("dvs")
        stored = await contract.evaluate_transaction("GetVSI", {"group": "1", "from": 0, "to": NOW_US})
    assert stored["items"][-1]["vsi"] == judged["groups"]["1"]["result"]["vsi"]
    # The same frame a second time is refused by the contract, for each group by itself.
    status, again = await bridge.call("/VSI", {**rows, "time": NOW_US, "groups": ["1"]})
    assert (status, again["groups"]["1"]["error"]["code"]) == (200, "CHAINCODE_REFUSED")
    status, error = await bridge.call("/VSI", {**rows, "bus": [row[:12] for row in rows["bus"]]})
    assert (status, error["code"]) == (400, "BAD_REQUEST")
    assert "12 columns" in error["message"]


@pytest.mark.asyncio(loop_scope="module")
async def test_other_machines_reach_it_by_tls_with_a_token(network: LocalNetwork, tmp_path: Path) -> None:
    await enroll_user(network.profile, "Org1", "rest-app", "client", {})
    identities = {"app": network.profile.user("Org1", "rest-app")}
    own = network.folder.node("peer1") / "msp"
    tls = {"cert": str(own / "cert.pem"), "key": str(own / "key.pem")}
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "default").write_text("t" * 40)
    trusted = ssl.create_default_context(cafile=str(network.folder.roots))
    options: dict[str, Any] = {"host": "0.0.0.0", "tls": tls}
    with running_bridge(tmp_path, network.folder.connection, identities, trusted=trusted, **options) as bridge:
        status, done = await bridge.call(SUBMIT, {"function": "put", "args": ["by-tls", 1]})
        assert (status, done["code_name"]) == (200, "VALID")
        status, error = await Bridge(bridge.url, "x" * 40, trusted).call(SUBMIT, {"function": "put", "args": []})
        assert (status, error["code"]) == (401, "TOKEN_REQUIRED")
