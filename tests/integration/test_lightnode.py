"""A light node as a process on a real network: what it records is on the section's ledger, whatever befalls it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.evidence.anchor import leaf_hash
from gridledger.evidence.events import text_hash
from gridledger.evidence.rows import row_holds
from gridledger.field.c37118 import DataCodec, DataFrame, FrameTime, PmuData, decode_configuration
from gridledger.field.c37118.data import Stat
from gridledger.protocol.proof import ProvedTransaction
from services.lightnode.errors import DeviceUnknown, EventRefused, NotOnChain, RecorderFull, RowsChanged
from services.lightnode.keys import Keys, ProofKey
from services.lightnode.recorder.records import Entry, Record
from services.lightnode.sending import Place, events_of
from tests.support.lightnode_network import (
    DEVICES,
    NODE,
    SECTION,
    LightNodeNetwork,
    lightnode_description,
    lightnode_network,
    now_us,
)
from tests.support.pmu_frames import STANDARD_CONFIGURATION
from tests.support.processes import free_ports
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
(PMU_PORT,) = free_ports(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lightnode") / "network"


@pytest.fixture(scope="module")
def disk(folder: Path) -> Iterator[SmallDisk]:
    """The light node's disk: 16 MiB."""
    home = folder / "companions" / NODE
    home.parent.mkdir(parents=True)
    with small_disk(home, mib=16) as small:
        yield small


@pytest.fixture(scope="module")
def lightnode(folder: Path, disk: SmallDisk) -> Iterator[LightNodeNetwork]:
    assert disk.root.is_dir()
    devices = {**DEVICES, "rtu-2": "rtu", "pmu-2": "pmu"}
    pmu = {"kind": "pmu", "host": "127.0.0.1", "port": PMU_PORT, "idcode": 7734, "nominal_hz": 60, "batches": True}
    config = lightnode_description(devices, {"pmu-2": [{**pmu, "batch_s": 1}]})
    with lightnode_network(config, folder) as network:
        asyncio.run(network.admit())
        yield network


async def test_events_told_over_http_are_on_the_ledger_proved_and_in_order(lightnode: LightNodeNetwork) -> None:
    async with lightnode.node() as node, lightnode.events() as events:
        for number in range(10):
            assert await lightnode.tell(node, "relay-1", "alarm", n=number) == number + 1
        found = await lightnode.until_on_ledger(events, "relay-1", 10)
        assert [jsontext.loads(item["body"])["n"] for item in found] == list(range(10))

        listed = (await node.get_json("/events?device=relay-1&from=3"))["items"]
        assert [item["seq"] for item in listed] == list(range(3, 11))
        await eventually(lambda: _proof(node, "relay-1", 3), within_s=20, what="a proof", ignore=(NotOnChain,))
        proof = await _proof(node, "relay-1", 3)
        transaction = ProvedTransaction.from_dict(proof["transaction"])
        assert transaction.holds()
        async with lightnode.network.gateway("peer-kyiv") as gateway:
            page = await gateway.get_network(SECTION).get_headers(transaction.block, limit=1)
            assert page.items[0].header == transaction.header
            assert page.items[0].commit_hash == proof["commit_hash"]
            assert leaf_hash(transaction.header.text, proof["commit_hash"])


async def _proof(node, device: str, seq: int) -> dict:
    return await node.get_json(f"/events/{seq}/proof?device={device}")


async def test_who_may_tell_events_and_read_them(lightnode: LightNodeNetwork) -> None:
    async with lightnode.node() as node:
        await lightnode.tell(node, "relay-2", "health", ok=True)
        with pytest.raises(DeviceUnknown):
            await lightnode.tell(node, "stranger", "alarm")
        with pytest.raises(EventRefused, match="kind"):
            await lightnode.tell(node, "relay-2", "payment")
        with pytest.raises(EventRefused, match="body"):
            await lightnode.tell(node, "relay-2", "alarm", text="x" * 5000)
    own = await lightnode.user("relay-2-itself", role="device", device="relay-2")
    async with lightnode.node(own) as node:
        await lightnode.tell(node, "relay-2", "alarm")
        with pytest.raises(PermissionDeniedError):
            await lightnode.tell(node, "relay-1", "alarm")
    for user in (await lightnode.user("nobody"), await lightnode.user("station", "Kyiv", role="operator")):
        async with lightnode.node(user) as node:
            with pytest.raises(PermissionDeniedError):
                await lightnode.tell(node, "relay-2", "alarm")
            assert (await node.get_json("/events?device=relay-2"))["items"]
            with pytest.raises(PermissionDeniedError):
                await node.delete("/events/1/body?device=relay-2")


async def test_a_meter_s_body_stays_off_the_ledger_and_can_be_deleted(lightnode: LightNodeNetwork) -> None:
    async with lightnode.node() as node, lightnode.events() as events:
        seq = await lightnode.tell(node, "meter-1", "reading", kwh=17.3)
        (found,) = await lightnode.until_on_ledger(events, "meter-1", 1)
        assert "17.3" not in jsontext.dumps(found).decode()
        body = await node.get_json(f"/events/{seq}/body?device=meter-1")
        assert (body["body"], body["body_hash"]) == ('{"kwh":17.3}', found["body_hash"])
    async with lightnode.node(await lightnode.registrar()) as node:
        await node.delete(f"/events/{seq}/body?device=meter-1")
        with pytest.raises(GridLedgerError, match="deleted"):
            await node.get_json(f"/events/{seq}/body?device=meter-1")


async def test_killed_in_the_middle_it_loses_nothing_that_it_answered_for(lightnode: LightNodeNetwork) -> None:
    told: list[int] = []

    async def tell_on() -> None:
        async with lightnode.node() as node:
            for number in range(100_000):
                seq = await lightnode.tell(node, "pmu-1", "alarm" if number % 5 else "frequency", n=number)
                told.append(number)
                assert seq

    work = asyncio.create_task(tell_on())
    await eventually(lambda: _length(told, 150), within_s=30, what="events are told")
    await lightnode.network.kill(NODE)
    with pytest.raises(GridLedgerError):
        await work
    await lightnode.network.start(NODE)
    async with lightnode.events() as events, lightnode.node() as node:
        await lightnode.tell(node, "pmu-1", "alarm", n=-1)
        await eventually(lambda: _forwarded(lightnode, "pmu-1"), within_s=30, what="all are forwarded")
        found = [jsontext.loads(item["body"])["n"] for item in await lightnode.on_ledger(events, "pmu-1")]
    assert found[-1] == -1
    assert found[:-1] == list(range(len(found) - 1))
    assert len(told) <= len(found) - 1 <= len(told) + 1


async def _length(items: list[int], least: int) -> bool:
    return len(items) >= least


async def _forwarded(lightnode: LightNodeNetwork, device: str) -> bool:
    return (await lightnode.devices())[device]["waiting"] == 0


async def test_a_full_node_that_is_dead_is_replaced_by_another_one(lightnode: LightNodeNetwork) -> None:
    async with lightnode.node() as node, lightnode.events() as events:
        await lightnode.network.kill("peer-severodonetsk")
        try:
            seq = await lightnode.tell(node, "rtu-1", "command", value=1)
            await lightnode.until_on_ledger(events, "rtu-1", seq)
        finally:
            await lightnode.network.start("peer-severodonetsk")


async def test_a_full_disk_refuses_loudly_and_loses_nothing(lightnode: LightNodeNetwork, disk: SmallDisk) -> None:
    async with lightnode.node() as node, lightnode.events() as events:
        count = 0
        disk.fill()
        try:
            with pytest.raises(RecorderFull) as told:  # noqa: PT012
                while count < 1000:
                    await lightnode.tell(node, "charger-1", "alarm", n=count, text="x" * 2000)
                    count += 1
            assert told.value.status == 507
        finally:
            disk.make_room()
        await lightnode.tell(node, "charger-1", "alarm", n=count)
        found = await lightnode.until_on_ledger(events, "charger-1", count + 1)
        assert [jsontext.loads(item["body"])["n"] for item in found] == list(range(count + 1))


async def test_events_by_a_stolen_key_stand_until_it_is_suspended_and_are_told(lightnode: LightNodeNetwork) -> None:
    key = Keys(lightnode.data / "keys").key("rtu-2")
    thief = await lightnode.user("thief", role="lightnode")
    async with (
        lightnode.node() as node,
        lightnode.events() as events,
        lightnode.contract(SECTION, "events", thief) as stolen,
    ):
        await lightnode.tell(node, "rtu-2", "command", n=1)
        (first,) = await lightnode.until_on_ledger(events, "rtu-2", 1)
        forged = _forged(key, Place(1, text_hash(first["text"])))
        await stolen.submit_transaction("LogEvent", forged)
        await lightnode.tell(node, "rtu-2", "command", n=2)
        found = await lightnode.until_on_ledger(events, "rtu-2", 3)
        assert [jsontext.loads(item["body"]) for item in found] == [{"n": 1}, {"forged": True}, {"n": 2}]
        assert (await lightnode.devices())["rtu-2"]["foreign"] == 1
        listed = (await node.get_json("/events?device=rtu-2"))["items"]
        assert [item["chain_seq"] for item in listed] == [1, 3]

        await events.submit_transaction("SuspendDevice", {"device": "rtu-2", "tx": "a" * 64, "revoked_us": now_us()})
        with pytest.raises(GridLedgerError, match="suspended"):
            await stolen.submit_transaction("LogEvent", _forged(key, Place(3, text_hash(found[-1]["text"]))))


def _forged(key: ProofKey, place: Place) -> dict:
    record = Record(1, 1, Entry("rtu-2", "command", now_us(), '{"forged":true}'))
    (event,), _ = events_of([record], SECTION, place, key)
    return {"device": "rtu-2", **event}


async def test_a_pmu_s_rows_are_batches_on_the_ledger_and_each_row_is_proved(lightnode: LightNodeNetwork) -> None:
    config = decode_configuration(STANDARD_CONFIGURATION)
    codec = DataCodec(config)

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(36)
        writer.write(STANDARD_CONFIGURATION)
        await reader.readexactly(18)
        start = int(time.time())
        for n in range(150):
            moment = FrameTime(start + n // 30, (n % 30) * config.time_base // 30)
            pmu = PmuData(Stat(0), (1 + 0j,) * 4, 60.0, 0.0, (1.0,) * 3, (0,))
            writer.write(codec.encode(DataFrame(config.idcode, moment, (pmu,))))
        await reader.read()

    server = await asyncio.start_server(stream, "127.0.0.1", PMU_PORT)
    async with server, lightnode.node() as node, lightnode.events() as events:
        found = await lightnode.until_on_ledger(events, "pmu-2", 5, within_s=60)
        batches = [item["batch"] for item in found if item["kind"] == "batch"]
        assert sum(batch["rows"] for batch in batches) >= 100
        # Each begins where the one before ends.
        assert all(before["to_us"] == after["from_us"] for before, after in itertools.pairwise(batches))
        listed = (await node.get_json("/events?device=pmu-2"))["items"]
        seq = next(item["seq"] for item in listed if item["kind"] == "batch")
        row = await node.get_json(f"/batches/{seq}/rows/0?device=pmu-2")
        batch = batches[0]
        assert row["root"] == batch["root"]
        assert row_holds(row["row"].encode(), 0, batch["rows"], row["path"], batch["root"])
        span = f"from_us={batch['from_us']}&to_us={batch['to_us']}&limit=7"
        page = await node.get_json(f"/batches/{seq}/rows?device=pmu-2&{span}")
        assert (page["root"], page["count"], page["next"]) == (batch["root"], batch["rows"], 7)
        assert page["rows"][0] == {name: row[name] for name in ("index", "row", "path")}
        path = next((lightnode.data / "rows" / "pmu-2").glob(f"{batch['from_us']:016d}.parquet"))
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(RowsChanged):
            await node.get_json(f"/batches/{seq}/rows/0?device=pmu-2")


async def test_a_wrong_clock_and_a_suspended_device_are_told(lightnode: LightNodeNetwork) -> None:
    async with lightnode.node() as node, lightnode.events() as events:
        seq = await lightnode.tell(node, "relay-2", "alarm", time_us=now_us() + 3_600_000_000)
        found = await lightnode.until_on_ledger(events, "relay-2", seq)
        assert found[-1]["marks"]["ahead"] > 3500

        suspended = {"device": "relay-2", "tx": "a" * 64, "revoked_us": now_us()}
        await events.submit_transaction("SuspendDevice", suspended)
        await lightnode.tell(node, "relay-2", "alarm", n="kept")
        state = await eventually(lambda: _state(lightnode, "relay-2"), within_s=20, what="it is suspended")
        assert state is not None
        assert "suspended" in state["state"]
        assert state["waiting"] == 1
        again = (await lightnode.devices())["relay-2"]
        record = await events.evaluate_transaction("GetDevice", {"device": "relay-2"})
        admitted = {"device": "relay-2", "mspid": record["mspid"], "proof_key": again["proof_key"], "tx": "b" * 64}
        await events.submit_transaction("AdmitDevice", admitted)
        found = await lightnode.until_on_ledger(events, "relay-2", seq + 1, within_s=40)
        assert jsontext.loads(found[-1]["body"]) == {"n": "kept"}


async def _state(lightnode: LightNodeNetwork, device: str) -> dict | None:
    told = (await lightnode.devices())[device]
    return told if told["state"] not in ("active", "asking") else None


async def test_what_an_outage_held_back_is_on_the_ledger_soon_after_it(lightnode: LightNodeNetwork) -> None:
    """Hours of it, compressed: the orderer is away while a thousand events are recorded."""
    held = 1000
    async with lightnode.node() as node, lightnode.events() as events:
        before = (await lightnode.devices())["relay-1"]["last_seq"]
        await lightnode.network.kill("orderer-kyiv")
        for start in range(0, held, 50):
            told = [
                {"device": "relay-1", "kind": "health", "time_us": now_us(), "body": {"n": start + number}}
                for number in range(50)
            ]
            await node.post("/events", jsontext.dumps(told))
        await lightnode.network.start("orderer-kyiv")
        began = time.monotonic()
        found = await lightnode.until_on_ledger(events, "relay-1", before + held, within_s=60)
        assert time.monotonic() - began < 45
        assert [jsontext.loads(item["body"])["n"] for item in found[before:]] == list(range(held))
