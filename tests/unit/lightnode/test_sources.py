from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gridledger.errors import SettingsError
from gridledger.field.c37118 import DataCodec, DataFrame, FrameTime, PmuData, decode_configuration
from gridledger.field.c37118.data import Stat
from services.lightnode.errors import EventRefused, RecorderFull
from services.lightnode.settings import FolderSource, LightNodeDevice, ModbusSource, PmuSource, WatchedRegister
from services.lightnode.sources.folder import FolderReader
from services.lightnode.sources.modbus import ModbusWatcher, grouped, has_changed, value_of
from services.lightnode.sources.opening import source_work
from services.lightnode.sources.pmu import PmuWatcher
from services.lightnode.sources.pmu_rules import PmuRules
from services.lightnode.sources.telling import SourceAway, kept_up, told
from tests.support.pmu_frames import STANDARD_CONFIGURATION
from tests.support.waiting import until


class Told:
    """Where a source tells its events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.refusals: list[Exception] = []

    async def __call__(self, event: dict[str, Any]) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.events.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


@asynccontextmanager
async def running(work) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_files_are_read_in_order_and_what_is_no_event_is_kept_apart(tmp_path):
    tell = Told()
    reader = FolderReader(FolderSource(kind="folder", folder=tmp_path, every_s=0.01), tell)
    (tmp_path / "b.jsonl").write_text('{"kind":"alarm","time_us":3}\n')
    (tmp_path / "a.jsonl").write_text('{"kind":"alarm","time_us":1}\nno JSON\n\n{"device":"x","kind":"alarm"}\n')
    (tmp_path / "c.tmp").write_text('{"kind":"alarm","time_us":9}\n')
    async with running(reader.run()):
        await until((tmp_path / "done" / "b.jsonl").exists)
    assert [event["time_us"] for event in tell.events] == [1, 3]
    assert (tmp_path / "refused" / "a.jsonl").read_text() == 'no JSON\n{"device":"x","kind":"alarm"}\n'
    assert (tmp_path / "c.tmp").exists()


async def test_an_event_waits_while_the_recorder_is_full_and_one_that_is_none_does_not(monkeypatch):
    tell = Told()
    tell.refusals = [EventRefused("kind", "no")]
    assert not await told(tell, {"kind": "x"})
    monkeypatch.setattr("services.lightnode.sources.telling.PAUSES_S", (0.001, 0.01))
    tell.refusals = [RecorderFull("full"), RecorderFull("full")]
    assert await told(tell, {"kind": "alarm"})
    assert tell.events == [{"kind": "alarm"}]


async def test_a_source_that_is_lost_tells_one_outage(monkeypatch):
    monkeypatch.setattr("services.lightnode.sources.telling.PAUSES_S", (0.001, 5.0))
    tell, tries = Told(), 0

    async def read() -> None:
        nonlocal tries
        tries += 1
        raise SourceAway("it is away")

    assert SourceAway("x").code == "SOURCE_AWAY"
    async with running(kept_up("d", "modbus", read, tell, Random(1))):
        await until(lambda: tries > 3)
    assert tell.events == [{"kind": "outage", "body": {"source": "modbus", "why": "it is away"}}]


def register(name: str, table: str = "holding", address: int = 0, **more: Any) -> WatchedRegister:
    return WatchedRegister(name=name, table=table, address=address, **more)  # type: ignore[arg-type]


def test_registers_that_lie_near_are_read_together():
    registers = [register("a", address=1), register("b", address=9), register("c", address=200), register("d", "coil")]
    assert [(table, start, count) for table, start, count, _ in grouped(registers)] == [
        ("coil", 0, 1),
        ("holding", 1, 9),
        ("holding", 200, 1),
    ]
    wide = [register(f"r{n}", address=n * 15) for n in range(20)]
    assert all(count <= 100 for _, _, count, _ in grouped(wide))


def test_values_are_scaled_and_changes_have_a_deadband():
    assert value_of(register("a", signed=True, scale=0.1), 0xFFFF) == pytest.approx(-0.1)
    assert value_of(register("a"), 0xFFFF) == 0xFFFF
    assert value_of(register("a", "coil"), 1) is True
    assert has_changed(register("a", "coil"), False, True)
    assert not has_changed(register("a", deadband=2.0), 10.0, 11.0)
    assert has_changed(register("a", deadband=2.0), 10.0, 12.0)
    assert not has_changed(register("a"), 10.0, 10.0)


async def test_a_register_that_changes_is_an_event():
    image = [0] * 20

    async def answer(function, start, address, count, stored, written):  # noqa: PLR0917
        stored[address - start : address - start + count] = image[address : address + count]

    device = SimDevice(1, simdata=[SimData(0, values=0, count=20, datatype=DataType.REGISTERS)], action=answer)
    server = ModbusTcpServer(device, address=("127.0.0.1", 0), ignore_missing_devices=True)
    await server.serve_forever(background=True)
    try:
        listening: Any = server.transport
        port = listening.sockets[0].getsockname()[1]
        registers = (register("breaker", address=3, event="shutdown"), register("load", address=5, scale=0.5))
        source = ModbusSource(kind="modbus", host="127.0.0.1", port=port, every_s=0.01, registers=registers)
        tell = Told()
        async with running(ModbusWatcher("rtu-1", source, tell, Random(1)).run()):
            await until(lambda: tell.of("health"))
            image[3], image[5] = 1, 9
            await until(lambda: tell.of("shutdown") and tell.of("alarm"))
    finally:
        await server.shutdown()
    assert tell.of("health") == [
        {"kind": "health", "body": {"source": "modbus", "values": {"breaker": 0.0, "load": 0.0}}}
    ]
    assert tell.of("shutdown") == [{"kind": "shutdown", "body": {"name": "breaker", "value": 1.0, "before": 0.0}}]
    assert tell.of("alarm")[0]["body"] == {"name": "load", "value": 4.5, "before": 0.0}


async def test_a_device_that_is_not_there_is_an_outage():
    source = ModbusSource(kind="modbus", host="127.0.0.1", port=1, registers=(register("a"),))
    tell = Told()
    async with running(ModbusWatcher("rtu-1", source, tell, Random(1)).run()):
        await until(lambda: tell.of("outage"))


PMU = PmuSource(kind="pmu", host="127.0.0.1", every_s=1.0)


def data(freq_hz: float = 50.0, rocof: float = 0.0, stat: int = 0) -> PmuData:
    return PmuData(Stat(stat), (), freq_hz, rocof)


def test_the_frequency_is_told_at_whole_seconds_of_the_pmu():
    rules = PmuRules(PMU)
    events = [event for n in range(101) for event in rules.take(n * 20_000, data(50.0 + n / 1000))]
    assert [(event["kind"], event["time_us"], event["body"]["frequency_hz"]) for event in events] == [
        ("frequency", 0, 50.0),
        ("frequency", 1_000_000, 50.05),
        ("frequency", 2_000_000, 50.1),
    ]


def test_alarms_begin_and_end_once_though_a_value_swings_about_its_bound():
    rules = PmuRules(PMU)
    swings = [50.0, 50.21, 50.19, 50.21, 50.17, 50.15, 50.21, float("nan"), 50.0]
    events = [event for n, freq in enumerate(swings) for event in rules.take(n * 20_000, data(freq))]
    alarms = [(event["body"]["state"], event["time_us"]) for event in events if event["kind"] == "alarm"]
    assert alarms == [("begins", 20_000), ("over", 100_000), ("begins", 120_000), ("over", 160_000)]


def test_triggers_bad_data_clocks_and_rocof_are_told():
    rules = PmuRules(PMU)
    rules.take(0, data())
    assert [event["kind"] for event in rules.take(1, data(stat=0x2000))] == ["gps"]
    assert [event["body"]["alarm"] for event in rules.take(2, data(stat=0x2804))] == ["trigger"]
    over = rules.take(3, data(stat=0))
    assert [(event["body"]["alarm"], event["body"]["state"]) for event in over] == [
        ("clock", "over"),
        ("trigger", "over"),
    ]
    assert [event["body"]["alarm"] for event in rules.take(4, data(rocof=-1.5))] == ["rocof"]
    assert [event["kind"] for event in rules.take(5, data(freq_hz=70.0, stat=0x8000))] == ["health"]


async def test_a_pmu_s_stream_gives_events_and_its_silence_an_outage():
    config = decode_configuration(STANDARD_CONFIGURATION)
    codec = DataCodec(config)
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = 0
        while commands < 2:
            commands += len(await reader.read(100)) // 18
        writer.write(STANDARD_CONFIGURATION)
        await reader.read(18)
        for n in range(60):
            moment = FrameTime(1000 + n // 30, (n % 30) * config.time_base // 30)
            pmu = PmuData(Stat(0), (1 + 0j,) * 4, 60.0 if n < 40 else 60.5, 0.0, (1.0,) * 3, (0,))
            writer.write(codec.encode(DataFrame(config.idcode, moment, (pmu,))))
        await sent.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = PmuSource(
        kind="pmu", host="127.0.0.1", port=port, idcode=config.idcode, nominal_hz=60, every_s=1.0, silent_s=0.3
    )
    tell, rows = Told(), []
    watcher = PmuWatcher(
        "pmu-1", source, tell, Random(1), rows=lambda time_us, pmu, _: rows.append((time_us, pmu.freq_hz))
    )
    async with running(watcher.run()), server:
        await until(lambda: tell.of("outage"))
        sent.set()
    assert [event["time_us"] for event in tell.of("frequency")] == [1000_000_000, 1001_000_000]
    assert [event["body"]["alarm"] for event in tell.of("alarm")] == ["frequency"]
    assert len(rows) == 60


def test_a_source_whose_events_the_device_may_not_tell_is_a_setting_that_cannot_be():
    device = LightNodeDevice(device="m", section="s", type="meter")
    source = ModbusSource(kind="modbus", host="x", registers=(register("a", event="command"),))
    with pytest.raises(SettingsError, match="command"):
        _ = source_work(device, source, Told(), Random(1), None)
    with pytest.raises(SettingsError, match="frequency, gps"):
        _ = source_work(device, PMU, Told(), Random(1), None)
