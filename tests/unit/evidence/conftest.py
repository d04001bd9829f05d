"""A world in which devices spoke, were anchored, and spoke again; nothing in it is changed by a test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from gridledger.evidence import events
from gridledger.evidence.off_chain import Body
from gridledger.evidence.package import Package, Place, write_package
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, SECTION, EvidenceWorld
from tests.support.paper import NOW_US

ROWS = b"the rows of a batch"
SALT = b"salt" * 4


@dataclass
class Story:
    """The world, and the places of what happened in it."""

    world: EvidenceWorld
    said: list[Place]
    package: Package
    data: bytes
    invalid: Place
    late: Place


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = EvidenceWorld(tmp_path_factory.mktemp("evidence"))
    section = world.channels[SECTION]
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    said = [world.log(device), world.log(device, "frequency")]
    world.anchor(DEVICES)
    world.anchor(SECTION)
    # A configuration between two anchors, and events behind it.
    section.commit(section.paper.update(batch=replace(section.paper.config.batch, max_message_count=7)))
    told = [device.tell("alarm", NOW_US + number) for number in range(3)]
    lightnode = world.person("lightnode")
    said.append(world.call(SECTION, "LogEvents", {"device": "pmu-7", "events": told}, lightnode))
    body = '{"kwh":17}'
    said.append(world.log(device, "reading", body=events.salted_hash(SALT, body)))
    batch = device.tell_batch(NOW_US, NOW_US + 9, sha256=sha256(ROWS).hexdigest())
    said.append(world.call(SECTION, "LogBatch", batch, lightnode))
    # An event that one peer alone endorsed: it is in a block, and has no effect.
    transaction = section.transaction("LogEvent", device.argument(time_us=NOW_US), lightnode, endorsers=("peer1",))
    invalid = Place(SECTION, section.commit(transaction), 0)
    world.admit("pmu-9", "ab" * 32)
    world.anchor(SECTION)
    package = world.package(
        *said,
        bodies=(Body(SECTION, "pmu-7", 6, SALT.hex(), body),),
        attachments={"rows.parquet": ROWS},
        about={"case": "2026-17"},
    )
    late_device = Device("pmu-8", SECTION)
    world.register("pmu-8")
    late = world.log(late_device)
    return Story(world, said, package, write_package(package), invalid, late)
