"""Agents of two to four organisations: always an anchor without a majority of liars or dead, never two at one size."""

from __future__ import annotations

import os
from random import Random

import pytest

from services.anchor.deciding import Pace
from tests.support.anchor_world import STEP_S, World, WorldChain
from tests.support.anchors_channel import Chain, mspid
from tests.support.anchors_channel import agent as world_agent

SEEDS = range(int(os.environ.get("GRIDLEDGER_ANCHOR_SEEDS", "4")))


async def run(world: World, seconds: float, liars: tuple[int, ...] = ()) -> None:
    for _ in range(int(seconds / STEP_S)):
        await world.step(liars)


@pytest.mark.parametrize("lost", [0.0, 1.0])
@pytest.mark.parametrize("organisations", [1, 2, 3, 4])
async def test_a_channel_is_anchored_within_an_interval_by_one_or_as_many_as_are_needed(
    organisations: int, lost: float
) -> None:
    """By one transaction where agents reach one another, else by those of a majority."""
    world = World(organisations, Random(organisations), lost=lost)
    await run(world, 20)
    world.said, before = 0, len(world.check_anchors())
    behind = []
    for _ in range(200):
        await world.step()
        behind.append(world.height - world.final)
    assert max(behind) <= world.rate * Pace().interval_s
    rounds = len(world.check_anchors()) - before
    assert rounds >= 10
    assert world.said <= rounds * (organisations // 2 + 1 if lost else 1) + organisations
    assert all(not agent.alarms.on for agent in world.agents.values())


async def test_many_blocks_are_anchored_before_the_interval_is_over() -> None:
    world = World(2, Random(1), blocks_a_second=100)
    await run(world, 5)
    behind = []
    for _ in range(50):
        await world.step()
        behind.append(world.height - world.final)
    assert max(behind) <= Pace().interval_blocks + 100 * STEP_S


async def test_an_agent_that_is_away_is_caught_up_with() -> None:
    world = World(2, Random(2))
    await run(world, 20)
    world.kill(2)
    at = world.final
    await run(world, 60)
    assert world.final - at <= 50  # the other's last word may end a round
    assert "late" in world.agents[1].alarms.on
    said = world.said
    await run(world, 30)
    assert world.said - said <= 1  # one round stays open, and costs nothing
    world.start(2)
    await run(world, 20)
    assert world.height - world.final <= world.rate * Pace().interval_s
    assert not world.agents[1].alarms.on


async def test_agents_at_different_heights_converge() -> None:
    world = World(3, Random(3))
    world.lag.update({1: 0, 2: 60, 3: 140})
    await run(world, 120)
    assert world.height - world.final <= 60 + world.rate * 2 * Pace().interval_s
    world.check_anchors()


async def test_a_silent_channel_costs_nothing() -> None:
    world = World(3, Random(4), blocks_a_second=0)
    await run(world, 30)
    assert world.final == 1
    said = world.said
    await run(world, 60)
    assert world.said == said


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("organisations", [2, 3, 4])
async def test_lags_crashes_and_a_liar_neither_forge_an_anchor_nor_stop_them(organisations: int, seed: int) -> None:
    random = Random(f"{organisations} {seed}")
    world = World(organisations, random)
    liars = (random.randrange(1, organisations + 1),) if organisations > 2 else ()
    await run(world, 20)
    world.stale, world.lost = 0.3, random.choice((0.0, 0.3, 1.0))
    for _ in range(8):
        for number in world.agents:
            world.lag[number] = random.choice((0, 0, 3, 40))
            if number not in liars and random.random() < 0.25:
                world.kill(number)
            elif number in world.dead:
                world.start(number)
        await run(world, 10, liars)
        world.check_anchors()
    for number in world.agents:
        world.lag[number] = random.choice((0, 3))
        if number in world.dead:
            world.start(number)
    assert world.contract.status["members"]["organisations"] == list(world.names)
    await run(world, 40, liars)
    behind = []
    for _ in range(80):
        await world.step(liars)
        behind.append(world.height - world.final)
    assert max(behind) <= 2 * world.rate * Pace().interval_s
    world.check_anchors()


async def test_a_forged_chain_of_an_own_peer_is_an_alarm_and_on_record() -> None:
    world = World(3, Random(5))
    world.chains[3].blocks = world.forged
    await run(world, 60)
    assert "rewritten" in world.agents[3].alarms.on
    assert "not the one that was anchored" in world.agents[3].alarms.on["rewritten"]
    assert "forked" in world.agents[1].alarms.on
    assert world.height - world.final <= 2 * world.rate * Pace().interval_s
    world.check_anchors()


async def test_agents_attest_nothing_while_the_members_differ() -> None:
    world = World(2, Random(6))
    false = {"channel": "shard1", "organisations": [mspid(1)], "genesis": "9" * 64}
    assert world.contract.ask("SetMembers", false, world_agent(1)).successful
    await run(world, 40)
    assert world.final == 0
    assert "members" in world.agents[1].alarms.on
    assert "Org1MSP" in world.agents[2].alarms.on["members"]


async def test_rounds_that_can_get_no_majority_are_replaced() -> None:
    """Both organisations have one open, with two heads: one of them had a wrong chain for a while."""
    world = World(2, Random(7))
    world.forged = Chain("forged", size=400, forks=1)
    world.chains[2].blocks = world.forged
    await run(world, 40)
    assert world.final == 0
    assert len(world.contract.status["rounds"]) == 2
    world.chains[2] = WorldChain(world.honest, world.names)
    world.start(2)
    await run(world, 30)
    assert world.height - world.final <= world.rate * Pace().interval_s
    world.check_anchors()


async def test_a_liar_cannot_make_others_spend() -> None:
    world = World(3, Random(8))
    await run(world, 20)
    world.said, before = 0, len(world.check_anchors())
    for _ in range(120):
        await world.step()
        told = {"channel": "shard1", "size": world.height, "height": world.height, **world.honest.head(world.height)}
        proof = world.honest.proof(world.final, world.height)
        world.contract.ask("Attest", {**told, "consistency": proof, "opens": True}, world_agent(3))
    intervals = 60 / Pace().interval_s
    assert len(world.check_anchors()) - before >= intervals
    assert world.said <= 2 * 4 * intervals
