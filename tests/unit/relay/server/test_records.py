"""Servers while a relay's record changes: nothing that the relay delivered before is lost, and who may speak of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.support.relay_world import FIRST_MINUTE, World
from tests.unit.relay.server.test_world import in_world, minutes

CHANGES: list[dict[str, Any]] = [{"substation": "Bogota 2"}, {"period_s": 120}]


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("is_held", [True, False])
def test_an_update_loses_nothing_that_waits(changes: dict[str, Any], is_held: bool) -> None:
    """What waits in the spools, or was delivered while no server worked, is recorded under the revision of before."""

    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.without_ledger |= set(world.servers)
        if is_held:
            for server in world.servers:
                await world.kill(server)
        await minutes(10)
        world.relay.is_on = False
        before = set(world.relay.captures)
        if not is_held:
            world.relay.captures.clear()
        await world.ledger.update_relay(world.record() | changes)
        world.faults.without_ledger.clear()
        world.relay.is_on = True
        for server in world.servers:
            world.start(server)
        await minutes(15)
        assert before <= world.captures().keys()
        assert {world.captures()[minute]["revision"] for minute in before} == {1}
        assert {world.verdicts()[minute]["status"] for minute in before} == {"confirmed"}

    in_world(story)


def test_a_capture_under_way_outlives_an_update() -> None:
    """The relay keeps nothing, and the collector ends in the second in which it has a capture."""

    async def story(world: World) -> None:
        world.relay.keeps = 1
        await world.begin()
        await asyncio.sleep(58)
        world.faults.slowness_s = 30.0
        await world.ledger.update_relay(world.record() | {"max_age_s": 86_400})
        await world.until(lambda: bool(world.relay.told), within_s=10)
        for collectors in world.collectors.values():
            await collectors._stop(["Rele_1"])
        world.relay.captures.clear()
        world.faults.slowness_s = 0.05
        await minutes(3)
        assert FIRST_MINUTE in world.captures()

    in_world(story, servers=1)


def test_a_server_leaves_alone_what_a_revision_without_it_covers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services.relay")

    async def story(world: World) -> None:
        record = world.record()
        await world.begin(servers=record["servers"][:3], quorum=2)
        await minutes(10.2)
        await world.ledger.update_relay(record)
        caplog.clear()
        await minutes(60)
        assert "5007" in world.verdicts()[FIRST_MINUTE + 20]["for"]
        assert all("5007" not in world.verdicts()[FIRST_MINUTE + n]["for"] for n in range(9))
        assert world.spooled() == 0
        assert "refuse" not in caplog.text

    in_world(story)


def test_a_dispute_is_concluded_by_the_quorum_of_its_revision() -> None:
    """Two of four are a quorum of no present record, and were one of the record of before."""

    async def story(world: World) -> None:
        record = world.record()
        three = record["servers"][:3]
        world.relay.two_faced.add(FIRST_MINUTE + 1)
        await world.begin(servers=three, quorum=2)
        await world.until(lambda: FIRST_MINUTE + 1 in world.captures(), within_s=200)
        for server in world.servers:
            await world.kill(server)
        assert FIRST_MINUTE + 1 not in world.verdicts()
        await world.ledger.update_relay(record | {"quorum": 4})
        for server in world.servers:
            world.start(server)
        await asyncio.sleep(20)  # by the present quorum it would be a dispute, after two minutes
        assert world.verdicts()[FIRST_MINUTE + 1]["status"] == "confirmed"

    in_world(story)


def test_a_server_that_heard_late_of_an_update_records_under_it() -> None:
    """Cut off from the ledger, it takes captures under the revision of before long after that was replaced."""

    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.without_ledger |= set(world.servers)
        await world.ledger.update_relay(world.record() | {"max_age_s": 86_400})
        await minutes(10)
        world.relay.is_on = False
        before = set(world.relay.captures)
        world.relay.captures.clear()
        world.faults.without_ledger.clear()
        await minutes(10)
        assert before <= world.captures().keys()
        assert world.captures()[max(before)]["revision"] == 2
        assert world.spooled() == 0

    in_world(story)
