"""What a section's ledger tells of a meter: that it told something, and when; nothing of what."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gridledger import jsontext
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.events import NO_EVENT, text_hash
from gridledger.evidence.off_chain import Body as PackagedBody
from gridledger.evidence.package import Place as Where
from gridledger.evidence.package import write_package
from gridledger.evidence.report import Outcome
from gridledger.evidence.sealed_body import open_body
from gridledger.evidence.verification import verify_package
from services.lightnode.aside import Aside
from services.lightnode.errors import BodyGone
from services.lightnode.intake import Intake
from services.lightnode.keys import Keys
from services.lightnode.lane import Lane
from services.lightnode.recorder.bodies import Bodies, Body
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.sending import Logged, LoggedEvent, OnSection, Place
from services.lightnode.settings import LightNodeDevice, ModbusSource, WatchedRegister
from services.lightnode.sources.modbus import ModbusWatcher
from tests.support.evidence_world import DEVICES, SECTION, EvidenceWorld
from tests.support.fake_section import inline
from tests.support.meter_values import recovered
from tests.support.paper import NOW_US
from tests.support.registry_channel import proof_key, secret
from tests.support.waiting import until

METER, REGISTER = "meter-1", "power"
RANGE = range(1000)
"""Steps of 10 W up to 10 kW."""
SCALE = 10.0
READER, STRANGER = (X25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (7, 8))


class LedgerSection:
    """The contract on the section's real ledger, as a lane calls it."""

    def __init__(self, world: EvidenceWorld) -> None:
        self.world = world
        self.head = Place(0, NO_EVENT)
        self.logged: list[Where] = []

    async def device(self, device: str) -> OnSection:
        return OnSection("active", proof_key(device), self.head)

    async def event(self, device: str, seq: int) -> LoggedEvent:
        raise AssertionError("nothing was lost on its way")

    async def log(self, device: str, events: Sequence[dict[str, Any]]) -> Logged:
        function, argument = "LogEvents", {"device": device, "events": list(events)}
        place = self.world.call(SECTION, function, argument, self.world.person("lightnode"))
        self.logged.append(place)
        return Logged(self.world.tx_id(place), place.block)

    async def log_devices(self, events: Mapping[str, Sequence[dict[str, Any]]]) -> Logged:
        raise AssertionError("there is one device")


class Meter:
    """A light node with one meter over Modbus, whose readings go to the ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = EvidenceWorld(folder / "world")
        self.registered = self.world.register(METER)
        self.section = LedgerSection(self.world)
        reader = base64.b64encode(READER.public_key().public_bytes_raw()).decode()
        device = LightNodeDevice(device=METER, section=SECTION, type="meter", readers=(reader,))
        self.told: list[str] = []
        self.intake = Intake((device,), lambda: NOW_US)
        keys = folder / "keys"
        keys.mkdir()
        (keys / METER).write_text(f"{secret(METER):064x}\n")
        (keys / METER).chmod(0o600)
        self.recorder = Recorder(folder / "recorder")
        self.bodies = Bodies(folder / "bodies", 1 << 20)
        aside = Aside(folder / "aside")
        self.lane = Lane(METER, SECTION, self.section, self.recorder, keys=Keys(keys), aside=aside, in_thread=inline)

    async def tell(self, told: dict[str, Any]) -> None:
        entry, body, _ = self.intake.event(told, METER)
        if body is not None:
            self.bodies.add([body], NOW_US)
        self.recorder.append([entry])
        self.told.append(str(told))

    def was_told(self, value: float) -> bool:
        """Whether some event has had this value."""
        return any(str(value) in text for text in self.told)

    async def log(self) -> None:
        while self.lane.waiting:
            await self.lane.step()

    @property
    def ledger(self) -> Any:
        return self.world.channels[SECTION].peer.ledger

    def on_ledger(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """Seq and value of this kind's events."""
        with self.ledger.snapshot() as snapshot:
            found = [
                (seq, jsontext.loads(snapshot.get("events", f"event/{METER}/{seq:012d}").value))
                for seq in range(1, self.recorder.device(METER).seq + 1)
            ]
        return [(seq, value) for seq, value in found if value["kind"] == kind]


async def told_by(meter: Meter, numbers: Sequence[int]) -> None:
    """Have the meter's register take these values, one after the other, and bring what the source tells to the
    ledger."""
    async with modbus_register(numbers[0]) as (port, image):
        register = WatchedRegister(name=REGISTER, table="input", address=3, event="reading", scale=SCALE)
        source = ModbusSource(kind="modbus", host="127.0.0.1", port=port, every_s=0.005, registers=(register,))
        watching = asyncio.create_task(ModbusWatcher(METER, source, meter.tell, Random(1)).run())
        try:
            for number in numbers:
                image[3] = number
                await until(partial(meter.was_told, number * SCALE))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    await meter.log()


@asynccontextmanager
async def modbus_register(first: int) -> AsyncIterator[tuple[int, list[int]]]:
    image = [first] * 8

    async def answer(function, start, address, count, stored, written):  # noqa: PLR0917
        stored[address - start : address - start + count] = image[address : address + count]

    device = SimDevice(1, simdata=[SimData(0, values=0, count=8, datatype=DataType.REGISTERS)], action=answer)
    server = ModbusTcpServer(device, address=("127.0.0.1", 0), ignore_missing_devices=True)
    await server.serve_forever(background=True)
    try:
        listening: Any = server.transport
        yield listening.sockets[0].getsockname()[1], image
    finally:
        await server.shutdown()


def befores(numbers: Sequence[int]) -> list[float | None]:
    return [None, *(number * SCALE for number in numbers[:-1])]


NUMBERS = Random(3).sample(RANGE, 4)


async def test_no_value_of_a_meter_is_recovered_from_the_whole_ledger_of_its_section(tmp_path):
    meter = Meter(tmp_path)
    await told_by(meter, NUMBERS)
    values = [number * SCALE for number in RANGE]
    assert recovered(meter.ledger, REGISTER, values, befores(NUMBERS)) == []
    assert len(meter.on_ledger("reading")) == len(NUMBERS)


async def test_a_hash_without_salt_and_a_value_in_a_plain_body_are_found(tmp_path, monkeypatch):
    """The search finds what it is for."""
    meter = Meter(tmp_path)
    monkeypatch.setattr(Body, "sha256", property(lambda body: text_hash(body.text)))
    body = {"name": REGISTER, "value": 40.0, "before": None}
    entry = meter.intake.event({"kind": "reading", "body": body}, METER)[0]
    meter.recorder.append([entry])
    await meter.tell({"kind": "health", "body": {"values": {REGISTER: 50.0}}})
    await meter.log()
    found = recovered(meter.ledger, REGISTER, [number * SCALE for number in range(20)], [None])
    assert any("SHA-256 of b''" in line and '"value":40.0' in line for line in found)
    assert any("power" in line.rpartition(": ")[2] for line in found)


async def test_a_sealed_body_opens_for_its_reader_only(tmp_path):
    meter = Meter(tmp_path)
    await told_by(meter, NUMBERS[:2])
    (_, first), (_, second) = meter.on_ledger("reading")
    body = open_body(READER, SECTION, METER, first["body_hash"], first["sealed"])
    assert jsontext.loads(body)["value"] == NUMBERS[0] * SCALE
    for key, sealed in ((STRANGER, first["sealed"]), (READER, second["sealed"])):
        with pytest.raises(EvidenceError):
            open_body(key, SECTION, METER, first["body_hash"], sealed)


async def test_with_a_body_deleted_the_rest_goes_on_to_be_proved(tmp_path):
    meter = Meter(tmp_path)
    await told_by(meter, NUMBERS[:3])
    gone, *kept = meter.on_ledger("reading")
    meter.bodies.delete(gone[1]["body_hash"])
    with pytest.raises(BodyGone):
        meter.bodies.get(gone[1]["body_hash"])
    world = meter.world
    world.anchor(DEVICES)
    world.anchor(SECTION)
    bodies = [(seq, meter.bodies.get(event["body_hash"])) for seq, event in kept]
    packaged = tuple(PackagedBody(SECTION, METER, seq, body.salt.hex(), body.text) for seq, body in bodies)
    package = write_package(world.package(*meter.section.logged, bodies=packaged))
    report = verify_package(package, roots=world.roots, general_genesis=world.genesis)
    assert report.outcome is Outcome.PROVED, report.broken
    assert [event.seq for event in report.events if event.kind == "reading"] == [gone[0], *(seq for seq, _ in kept)]
