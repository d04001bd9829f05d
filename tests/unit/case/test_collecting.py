"""A collected package is proved by the verifier, whatever of it was asked for, on real ledgers of three channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gridledger.errors import LimitError
from gridledger.evidence.assembling import disclosed_of
from gridledger.evidence.package import BlockPart, Place, write_package
from gridledger.evidence.verification import verify_package
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.world_state import HistoryEntry
from services.case import collecting
from services.case.collecting import Collector, FinalAnchor
from tests.support.events_channel import Device
from tests.support.evidence_world import AGENTS, DEVICES, GENERAL, ROLES, SECTION, EvidenceWorld


class WorldsPeer:
    """A peer of the world's three channels, with the routes that a collector asks."""

    def __init__(self, world: EvidenceWorld) -> None:
        self._world = world
        self.asked: list[tuple[str, int]] = []

    async def block(self, channel: str, number: int) -> BlockPart:
        self.asked.append((channel, number))
        return self._world.channels[channel].part(number)

    async def headers(self, channel: str, start: int, limit: int) -> HeadersPage:
        ledger = self._world.channels[channel].peer.ledger
        with ledger.snapshot() as snapshot:
            end = min(snapshot.height, start + min(limit, 2))
            return HeadersPage(tuple(snapshot.header(number) for number in range(start, end)), snapshot.height)

    async def block_of(self, channel: str, tx_id: str) -> int:
        return self._world.channels[channel].find(tx_id)[0]

    async def anchor(self, channel: str) -> FinalAnchor | None:
        known = self._world.anchors.get(channel)
        return FinalAnchor(known[-1].size, tuple(AGENTS)) if known else None

    async def history(self, key: str) -> Sequence[HistoryEntry]:
        with self._world.channels[GENERAL].peer.ledger.snapshot() as snapshot:
            return list(snapshot.history("anchors", key))

    async def endings(self, device: str) -> tuple[str, ...]:
        return self._world.endings(device)

    def config_blocks(self, channel: str, below: int) -> list[int]:
        return self._world.channels[channel].config_blocks(below)

    def collector(self) -> Collector:
        return Collector(self, ROLES, self.config_blocks, lambda: b"PK")


@pytest.fixture
def world(tmp_path: Path) -> EvidenceWorld:
    made = EvidenceWorld(tmp_path)
    made.register("pmu-1")
    return made


def judged(world: EvidenceWorld, data: bytes) -> str:
    report = verify_package(data, roots=world.roots, general_genesis=world.genesis)
    assert report.broken is None, report.to_dict()
    return report.outcome.value


async def test_what_is_anchored_is_proved_and_what_is_not_says_so(world: EvidenceWorld) -> None:
    device = Device("pmu-1", channel=SECTION)
    first, second = world.log(device), world.log(device)
    collector = WorldsPeer(world).collector()
    assert judged(world, write_package(await collector.collect([first], {"case": "c"}))) == "not-anchored"
    world.anchor(SECTION)
    world.anchor(DEVICES)
    package = await collector.collect([first, second, first], {"case": "c"})
    assert package.evidence == (first, second)
    assert judged(world, write_package(package)) == "proved"
    third = world.log(device)
    assert judged(world, write_package(await collector.collect([third], {}))) == "not-anchored"
    world.anchor(SECTION)
    again = await collector.collect([third], {})  # the trees are those of before, and have grown
    assert judged(world, write_package(again)) == "proved"


async def test_the_registry_s_revocation_comes_along_and_marks_what_came_after_it(world: EvidenceWorld) -> None:
    device = Device("pmu-1", channel=SECTION)
    before = world.log(device)
    revoked = world.call(DEVICES, "Revoke", {"device": "pmu-1", "reason": "stolen"}, world.person("registrar"))
    after = world.log(device)
    for channel in (SECTION, DEVICES):
        world.anchor(channel)
    package = await WorldsPeer(world).collector().collect([before, after], {})
    assert revoked.block in package.channels[DEVICES].blocks
    report = verify_package(write_package(package), roots=world.roots, general_genesis=world.genesis)
    assert report.broken is None, report.to_dict()
    assert "revoked-late" in report.events[-1].marks


async def test_what_comes_along_in_its_blocks_is_told_with_its_ids(world: EvidenceWorld) -> None:
    place = world.log(Device("pmu-1", channel=SECTION))
    package = await WorldsPeer(world).collector().collect([place], {})
    disclosed = {each["channel"]: each["transactions"] for each in disclosed_of(package)}
    registration = world.channels[DEVICES].part(1).block
    assert world.tx_id(Place(DEVICES, registration.header.number, 0)) in disclosed[DEVICES]
    assert all(len(tx) == 64 for ids in disclosed.values() for tx in ids)
    assert sum(map(len, disclosed.values())) == len(package.disclosed())


async def test_a_package_has_bounds(world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    place = world.log(Device("pmu-1", channel=SECTION))
    monkeypatch.setattr(collecting, "MAX_BYTES", 10)
    with pytest.raises(LimitError, match="bytes"):
        await WorldsPeer(world).collector().collect([place], {})
    monkeypatch.setattr(collecting, "MAX_BLOCKS", 1)
    with pytest.raises(LimitError, match="blocks"):
        await WorldsPeer(world).collector().collect([place, Place(SECTION, 0, 0)], {})
