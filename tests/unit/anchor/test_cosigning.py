"""Who is asked, what counts, and what happens where others do not answer or lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from gridledger.client.anchors import AnchorAgent
from gridledger.contract.crypto import public_key_of
from gridledger.errors import ConflictError, GridLedgerError, PermissionDeniedError, UnavailableError
from gridledger.protocol.statements import Head, Statement, statement_text
from services.anchor.anchoring import Anchoring
from services.anchor.cosigning import PASSED_OVER_S, Cosigner
from services.anchor.deciding import Pace
from services.anchor.register import Register
from tests.support.anchor_world import World, WorldChain
from tests.support.anchors_channel import FORGED, HONEST, MAINCHAIN, Chain, mspid, signing_identity, url

CHANNEL = "shard1"
NAMES = tuple(mspid(number) for number in range(1, 5))


class Ledger:
    """The record of agents, in memory."""

    def __init__(self, *numbers: int) -> None:
        self.said: list[str | None] = []
        self.items = [on_record(number) for number in numbers]

    async def agents(self) -> Sequence[AnchorAgent]:
        return list(self.items)

    async def set_agent(self, address: str | None) -> None:
        self.said.append(address)
        self.items = [one for one in self.items if one.mspid != mspid(1)]
        self.items.append(AnchorAgent(mspid(1), address, on_record(1).key))


def on_record(number: int, key: int = 0) -> AnchorAgent:
    return AnchorAgent(mspid(number), url(number), public_key_of(signing_identity(number, key).certificate.pem))


def statement(number: int, chain: Chain = HONEST, *, signer: int | None = None, base: int = 3) -> Statement:
    head = Head(**chain.head(30))
    text = statement_text(MAINCHAIN, CHANNEL, 30, base, head._asdict())
    signature = signing_identity(signer or number).sign(text).hex()
    return Statement(mspid(number), CHANNEL, 30, base, head, signature)


class Others:
    """``says``: what each organisation's agent answers; one that has nothing is away."""

    def __init__(self, **says: Statement) -> None:
        self.says = says
        self.asked: list[str] = []
        self.handed: list[str] = []
        self.error: GridLedgerError | None = None

    async def statement(self, agent: AnchorAgent, channel: str, size: int, base: int) -> Statement:
        self.asked.append(agent.mspid)
        if agent.mspid not in self.says:
            raise UnavailableError("away")
        return self.says[agent.mspid]

    async def hand_over(self, agent: AnchorAgent, one: Mapping[str, Any]) -> dict[str, Any]:
        self.handed.append(agent.mspid)
        if self.error is not None:
            raise self.error
        return {"by": agent.mspid}


async def cosigner(others: Others, *, own: int = 1, on: Sequence[int] = (1, 2, 3, 4), clock: Any = None) -> Cosigner:
    register = Register(signing_identity(own), url(own), Ledger(*on), MAINCHAIN)
    await register.look()

    async def collect(one: Mapping[str, Any]) -> dict[str, Any]:
        return {"by": "collected"}

    async def record(one: Mapping[str, Any]) -> dict[str, Any]:
        return {"by": "alone"}

    return Cosigner(mspid(own), register, others, collect=collect, record=record, clock=clock or (lambda: 0.0))


async def test_as_many_are_asked_as_are_needed_and_others_where_they_say_nothing() -> None:
    others = Others(**{mspid(number): statement(number) for number in (2, 3, 4)})
    said = await (await cosigner(others)).gather(statement(1), NAMES)
    assert ([one.mspid for one in said], others.asked) == ([mspid(1), mspid(2), mspid(3)], [mspid(2), mspid(3)])
    del others.says[mspid(2)]
    said = await (await cosigner(others)).gather(statement(1), NAMES)
    assert [one.mspid for one in said] == [mspid(1), mspid(3), mspid(4)]
    del others.says[mspid(3)]
    assert await (await cosigner(others)).gather(statement(1), NAMES) == []


async def test_another_head_is_handed_over_too_with_or_without_a_majority() -> None:
    others = Others(**{mspid(2): statement(2, FORGED), mspid(3): statement(3), mspid(4): statement(4)})
    said = await (await cosigner(others)).gather(statement(1), NAMES)
    assert [(one.mspid, one.head.root == HONEST.root(30)) for one in said] == [
        (mspid(1), True),
        (mspid(2), False),
        (mspid(3), True),
        (mspid(4), True),
    ]
    said = await (await cosigner(others)).gather(statement(1), NAMES[:2])
    assert [one.mspid for one in said] == [mspid(1), mspid(2)]


@pytest.mark.parametrize(
    "answer",
    [
        statement(2, signer=3),
        statement(2, base=2),
        statement(3),
        Statement(mspid(2), CHANNEL, 30, 3, Head(**HONEST.head(30)), "zz"),
    ],
)
async def test_what_is_not_signed_with_the_key_on_record_is_no_answer(answer: Statement) -> None:
    assert await (await cosigner(Others(**{mspid(2): answer}))).gather(statement(1), NAMES[:2]) == []


async def test_the_first_agent_hands_rounds_over_and_is_passed_over_where_it_does_not() -> None:
    now_s = 0.0
    others = Others()
    second = await cosigner(others, own=2, clock=lambda: now_s)
    assert await second.settle([statement(2)], []) == {"by": mspid(1)}
    others.error = UnavailableError("away")
    assert await second.settle([statement(2)], []) == {"by": "alone"}
    assert await second.settle([statement(2)], []) == {"by": "collected"}  # it is the first of those that work
    others.error = None
    now_s = PASSED_OVER_S
    assert await second.settle([statement(2)], []) == {"by": mspid(1)}
    others.error = GridLedgerError("base: moved", code="CHAINCODE_REFUSED")
    with pytest.raises(GridLedgerError, match="base: moved"):
        await second.settle([statement(2)], [])
    assert others.handed == [mspid(1)] * 4
    assert await (await cosigner(others)).settle([statement(1)], []) == {"by": "collected"}


async def test_rounds_are_gathered_where_a_majority_can_be_asked() -> None:
    for on, names, can in (((1, 2, 3), NAMES, True), ((1, 2), NAMES, False), ((2, 3, 4), NAMES, False)):
        one = await cosigner(Others(), on=on)
        if on[0] != 1:  # another agent of the organisation has come on record since
            one.register._agents[mspid(1)] = on_record(1, key=1)
        assert one.can_gather(names) is can, on
    assert not (await cosigner(Others())).can_gather(NAMES[:1])


async def test_an_agent_puts_itself_on_record_once() -> None:
    ledger = Ledger(2)
    register = Register(signing_identity(1), url(1), ledger, MAINCHAIN)
    await register.look()
    assert (ledger.said, register.names, register.signs()) == ([url(1)], [mspid(1), mspid(2)], True)
    ledger.items = [on_record(1, key=1)]  # by another agent of the organisation
    await register.look()
    assert (ledger.said, register.signs()) == ([url(1)], False)
    known = Ledger(1)
    for address in (url(1), None):
        register = Register(signing_identity(1), address, known, MAINCHAIN)
        await register.look()
        assert known.said == []


async def signer_of(world: World) -> Anchoring:
    """The agent of Org1 with 40 blocks of which 10 are anchored."""
    for number in (1, 2):
        world.contract.say(number, (1, 2))
        await world.registers[number].look()
        world.chains[number].grow(40)
    world.contract.anchor(10)
    for number in (1, 2):
        await world.agents[number].look()
    return world.agents[1]


async def test_a_statement_is_what_the_own_peer_has() -> None:
    world = World(2, Random(1))
    agent = await signer_of(world)
    said = await agent.sign(mspid(2), 30, 10)
    assert (said.head, said.base) == (Head(**world.honest.head(30)), 10)
    assert world.registers[2].is_signed(said)
    with pytest.raises(PermissionDeniedError):
        await agent.sign(mspid(3), 30, 10)
    for size, base, why in ((30, 9, "anchored at 10"), (10, 10, "anchored at 10"), (41, 10, "the own peer has 40")):
        with pytest.raises(ConflictError, match=why):
            await agent.sign(mspid(2), size, base)
    world.chains[1].rewritten = "its past was changed"
    with pytest.raises(ConflictError, match="not the one that was anchored"):
        await agent.sign(mspid(2), 30, 10)


async def test_a_statement_is_signed_as_often_as_rounds_are_due_and_delays_the_own_round_once() -> None:
    world = World(2, Random(1))
    agent = await signer_of(world)
    await agent.sign(mspid(2), 30, 10)
    await agent.sign(mspid(2), 30, 10)
    with pytest.raises(ConflictError, match="asked not long ago"):
        await agent.sign(mspid(2), 31, 10)
    world.now_s += Pace().interval_s / 2
    await agent.sign(mspid(2), 31, 10)
    decider, interval_s = agent.decider, Pace().interval_s
    assert not decider._is_under_way(10, world.now_s)  # half an interval is over since it was asked first
    assert decider._is_under_way(10, world.now_s - interval_s / 2)
    assert not decider._is_under_way(11, world.now_s - interval_s / 2)


async def test_a_chain_of_another_past_signs_nothing() -> None:
    world = World(2, Random(1))
    agent = await signer_of(world)
    world.chains[1] = WorldChain(Chain("other", size=64, forks=5), world.names)
    agent._chain = world.chains[1]
    world.chains[1].grow(40)
    with pytest.raises(ConflictError, match="not the one that was anchored"):
        await agent.sign(mspid(2), 30, 10)
