"""Four servers and a relay in virtual time: each minute once, nothing lost, the verdict right, whatever fails."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

import pytest

from gridledger.field.capture import text_hash
from services.relay.server.catching_up import Order
from services.relay.server.collector import CollectorOptions
from tests.simulation.virtual_loop import run
from tests.support.relay_world import FIRST_MINUTE, World, text_of

SEEDS = int(os.environ.get("GRIDLEDGER_SIM_SEEDS", "5"))
MINUTE_S = 60.0


def in_world(
    story: Callable[[World], Awaitable[None]],
    seed: int = 1,
    servers: int = 4,
    options: CollectorOptions | None = None,
) -> None:
    """Tell a story in a new world."""

    async def main() -> None:
        world = World(seed, servers, options)
        try:
            await story(world)
        finally:
            await world.end()

    run(main)


async def minutes(count: float) -> None:
    await asyncio.sleep(count * MINUTE_S)


def assert_all_recorded(world: World) -> None:
    """Each minute that the relay completed is on the ledger with a text that it told the winner."""
    captures = world.captures()
    assert captures.keys() == world.relay.captures.keys() - world.relay.garbled
    for minute, capture in captures.items():
        assert capture["text"] == world.relay.told[minute, capture["server"]]


def assert_verdicts_are_right(world: World) -> None:
    """All servers have spoken, and every verdict is what their voices give."""
    for minute, verdict in world.verdicts().items():
        said = {server: text_hash(world.relay.told[minute, server]) for server in world.servers}
        told = list(said.values())
        record = next((text for text in told if told.count(text) > len(told) / 2), None)
        assert verdict["status"] == ("disputed" if record is None else "confirmed"), (minute, verdict)
        assert verdict["sha256"] == record
        assert {*verdict["for"], *verdict["against"]} == set(world.servers), (minute, verdict)
        if record is not None:
            assert set(verdict["for"]) == {server for server in said if said[server] == record}
    assert world.verdicts().keys() == world.captures().keys()


async def settled(world: World) -> None:
    """All is well again for a while."""
    world.relay.is_on = True
    for disk in world.disks.values():
        disk.full = False
    world.faults.ledger_is_away = False
    world.faults.without_ledger.clear()
    world.faults.without_relay.clear()
    world.faults.lost_answers = 0.0
    world.faults.slowness_s = 0.05
    for server in world.servers:
        world.start(server)
    now_s = asyncio.get_running_loop().time()
    await asyncio.sleep(25 * MINUTE_S - now_s % MINUTE_S + 45)  # between two captures


def test_each_minute_is_recorded_once_and_confirmed() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(20.2)
        assert len(world.captures()) == 20
        assert_all_recorded(world)
        assert_verdicts_are_right(world)
        assert {len(verdict["for"]) for verdict in world.verdicts().values()} == {4}
        assert world.spooled() == 0

    in_world(story)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_fails_each_minute_is_recorded_once(seed: int) -> None:
    async def story(world: World) -> None:
        chance = world.chance
        await world.begin()
        for _ in range(30):
            await asyncio.sleep(chance.uniform(0, 2 * MINUTE_S))
            match chance.randrange(10):
                case 0:
                    await world.kill(chance.choice(world.servers), power=chance.random() < 0.5)
                case 1 | 2:
                    world.start(chance.choice(world.servers))
                case 3:
                    world.faults.ledger_is_away = not world.faults.ledger_is_away
                case 4:
                    world.faults.without_ledger ^= {chance.choice(world.servers)}
                case 5:
                    world.relay.is_on = not world.relay.is_on
                case 6:
                    world.faults.without_relay ^= {chance.choice(world.servers)}
                case 7:
                    world.faults.lost_answers = chance.choice((0.0, 0.3, 1.0))
                    world.faults.slowness_s = chance.choice((0.05, 1.0, 5.0))
                case 8:
                    disk = world.disks[chance.choice(world.servers)]
                    disk.full = not disk.full
                case 9:
                    ahead = FIRST_MINUTE + int(asyncio.get_running_loop().time() // 60) + 1
                    (world.relay.two_faced if chance.random() < 0.5 else world.relay.garbled).add(ahead)
        await settled(world)
        assert_all_recorded(world)
        assert_verdicts_are_right(world)
        assert world.spooled() == 0
        open_silence = world.state("silent/")
        assert not open_silence

    in_world(story, seed)


def test_the_spool_brings_an_outage_in_order() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.ledger_is_away = True
        await minutes(10)
        assert world.spooled() == 40
        assert len(world.captures()) == 2
        world.relay.captures.clear()  # only the spools have them now
        world.faults.ledger_is_away = False
        await minutes(5)
        times = [capture["time_us"] for _, capture in sorted(world.captures().items())]
        assert len(times) >= 16
        assert times == sorted(times)
        assert world.spooled() == 0

    in_world(story)


def test_a_spool_outlives_the_power_of_its_machine() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.ledger_is_away = True
        await minutes(5)
        kept = set(world.relay.captures)
        for server in world.servers:
            await world.kill(server, power=True)
        world.relay.captures.clear()
        world.faults.ledger_is_away = False
        for server in world.servers:
            world.start(server)
        await minutes(3)
        assert kept <= world.captures().keys()

    in_world(story, servers=1)


def test_a_server_that_was_away_attests_what_it_missed() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        await world.kill("5005")
        await minutes(10)
        assert all(
            "5005" not in verdict["for"] for minute, verdict in world.verdicts().items() if minute > FIRST_MINUTE + 2
        )
        world.start("5005")
        await minutes(2)
        assert_verdicts_are_right(world)

    in_world(story)


def test_minutes_in_which_no_server_worked_are_fetched_later() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        for server in world.servers:
            await world.kill(server)
        await minutes(30)
        for server in world.servers:
            world.start(server)
        await minutes(3)
        assert_all_recorded(world)
        assert_verdicts_are_right(world)

    in_world(story)


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_missed_minutes_come_in_the_order_that_is_set(order: Order) -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(1.2)
        await world.kill("5004")
        await minutes(10)
        world.start("5004")
        await minutes(1.5)
        missed = range(FIRST_MINUTE + 1, FIRST_MINUTE + 10)
        times = [world.captures()[minute]["time_us"] for minute in missed]
        assert times == sorted(times, reverse=order == "newest")

    in_world(story, servers=1, options=CollectorOptions(catch_up=order))


def test_fifteen_servers_race_and_agree() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(4.7)
        assert len(world.captures()) == 4
        assert_all_recorded(world)
        assert_verdicts_are_right(world)

    in_world(story, servers=15)


def test_a_silent_relay_is_reported_once_and_its_return() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(3.2)
        world.relay.is_on = False
        await minutes(6)
        assert len(world.state("silent/")) == 1
        world.relay.is_on = True
        await minutes(2)
        history = list(world.state("silence/Rele_1/").values())
        assert [silence["from"] for silence in history] == [FIRST_MINUTE + 3]
        assert history[0]["until"] == FIRST_MINUTE + 9
        assert history[0]["reason"] == "unreachable"
        assert not world.state("silent/")

    in_world(story)


@pytest.mark.parametrize("text", ["garbage\n" * 3, "30 11 2026 02 00\nroot:secret\n"])
def test_what_a_relay_answers_is_told_to_nobody(text: str) -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.relay.captures[FIRST_MINUTE + 5] = text
        await minutes(6)
        (silence,) = world.state("silence/").values()
        assert silence["reason"] == "answered badly"

    in_world(story, servers=1)


def test_a_server_that_alone_does_not_hear_the_relay_reports_nothing() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.without_relay.add("5004")
        await minutes(10)
        assert not world.state("silent/")
        assert not world.state("silence/")

    in_world(story)


def test_a_two_faced_relay_is_disputed_with_both_texts() -> None:
    async def story(world: World) -> None:
        world.relay.two_faced.add(FIRST_MINUTE + 1)
        await world.begin()
        await minutes(4.5)
        verdict = world.verdicts()[FIRST_MINUTE + 1]
        assert verdict["status"] == "disputed"
        assert len(verdict["for"]) == len(verdict["against"]) == 2
        seen = await world.ledger.get_capture("Rele_1", FIRST_MINUTE + 1)
        assert {item.get("text") for item in seen["attestations"]} == {
            None,
            text_of(FIRST_MINUTE + 1, 1),
            text_of(FIRST_MINUTE + 1, 2),
        } - {seen["text"]}
        assert world.verdicts()[FIRST_MINUTE + 2]["status"] == "confirmed"

    in_world(story)


def test_a_full_disk_costs_nothing_while_the_relay_holds_its_captures() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        for disk in world.disks.values():
            disk.full = True
        world.faults.ledger_is_away = True
        await minutes(5)
        assert world.spooled() == 0
        world.faults.ledger_is_away = False
        await minutes(3)
        assert_all_recorded(world)
        assert_verdicts_are_right(world)

    in_world(story)


def test_a_capture_that_the_ledger_refuses_now_is_recorded_later() -> None:
    """The relay's clock is three minutes ahead, and the contract allows two."""

    async def story(world: World) -> None:
        world.relay.ahead = 3
        await world.begin()
        await minutes(5.2)
        assert world.spooled()
        world.relay.is_on = False
        await minutes(20)
        assert_all_recorded(world)
        assert world.spooled() == 0

    in_world(story)


def test_a_capture_that_is_refused_for_good_is_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        world.relay.ahead = -10_000
        await world.begin(max_age_s=3600)
        await minutes(1.2)
        world.relay.is_on = False
        await minutes(2)
        assert world.spooled() == 1
        await minutes(90)
        assert world.spooled() == 1, "the pauses grow"
        await minutes(60)
        assert world.spooled() == 0
        lines = world.file("5004", "data/relays/Rele_1/refused").splitlines()
        assert [json.loads(line)["text"] for line in lines] == list(world.relay.captures.values())
        assert "max_age_s is 3600" in json.loads(lines[0])["why"]
        world.relay.is_on = True
        await minutes(5)
        assert world.file("5004", "data/relays/Rele_1/refused").splitlines() == lines

    in_world(story, servers=1)
    assert "a capture that the ledger refuses is set aside" in caplog.text


def test_a_relay_that_changes_its_word_all_the_time_is_asked_seldom() -> None:
    async def story(world: World) -> None:
        world.relay.fickle = True
        await world.begin()
        await minutes(10.4)
        recorded = world.captures()
        assert len(recorded) == 10
        assert world.relay.asked < 1500, "each of four servers asks every few seconds"

    in_world(story)


def test_a_complete_hour_is_closed_once() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(90)
        hours = world.state("hour/Rele_1/")
        assert [value["captures"] for value in hours.values()] == [60]

    in_world(story, servers=2)


def test_what_was_left_open_is_concluded_though_the_relay_forgot_it() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await world.until(lambda: len(world.captures()) == 2, within_s=200)
        for server in world.servers:
            await world.kill(server)
        assert FIRST_MINUTE + 1 not in world.verdicts()
        world.relay.captures.clear()
        world.relay.is_on = False
        for server in world.servers:
            world.start(server)
        await minutes(5)
        assert world.verdicts().keys() == world.captures().keys()

    in_world(story)


def test_after_an_outage_the_spool_is_left_alone() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.ledger_is_away = True
        await minutes(2)
        world.faults.ledger_is_away = False
        await minutes(3)
        world.disks["5004"].fail_syncs = 100
        await minutes(3)
        assert world.disks["5004"].fail_syncs == 100, "no flush was asked for"
        assert_all_recorded(world)

    in_world(story, servers=1)


def test_a_capture_whose_bringing_fails_late_is_tried_again_soon() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.2)
        world.faults.ledger_is_away, world.faults.slowness_s = True, 20.0
        await world.until(lambda: world.spooled() == 1, within_s=70)
        await asyncio.sleep(21)
        world.faults.ledger_is_away, world.faults.slowness_s = False, 0.05
        await world.until(lambda: FIRST_MINUTE + 2 in world.captures(), within_s=35)

    in_world(story, servers=1, seed=3)


def test_with_a_stagger_hardly_a_transaction_is_lost() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(12.2)
        assert world.codes().count("MVCC_READ_CONFLICT") <= 3
        assert_all_recorded(world)
        assert_verdicts_are_right(world)
        winners = [capture["server"] for capture in world.captures().values()]
        assert set(winners) == set(world.servers), "turns rotate"

    in_world(story, options=CollectorOptions(stagger_s=0.5))


def test_a_server_that_attests_nothing_is_left_out_of_the_verdict() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(8)
        assert not world.state("attest/")
        assert {verdict["status"] for verdict in world.verdicts().values()} == {"disputed"}

    in_world(story, options=CollectorOptions(attest="none"))


def test_a_minute_that_was_skipped_is_fetched_at_once() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(2.5)
        newest = FIRST_MINUTE + 2
        for minute in (newest, newest + 1):
            world.relay.captures[minute] = text_of(minute, 1)
        world.relay.grown.set()
        await asyncio.sleep(10)
        assert world.captures().keys() >= {newest, newest + 1}

    in_world(story, servers=1)


def test_beyond_a_number_at_once_captures_go_to_the_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.relay.server.collector.AT_ONCE", 0)
    monkeypatch.setattr("services.relay.server.collector.SPOOL_AFTER_S", 1000.0)

    async def story(world: World) -> None:
        await world.begin()
        world.faults.slowness_s = 30.0
        await asyncio.sleep(60.5)
        assert world.spooled() == 1

    in_world(story, servers=1)


def test_an_hour_with_a_gap_is_closed_an_hour_after_its_end() -> None:
    async def story(world: World) -> None:
        await world.begin()
        await minutes(20.2)
        world.relay.is_on = False
        await minutes(5)
        world.relay.is_on = True
        await minutes(95)
        assert not world.state("hour/Rele_1/")
        await minutes(20)
        hours = world.state("hour/Rele_1/")
        assert [value["captures"] for value in hours.values()] == [55, 60]

    in_world(story, servers=1)
