"""Agents of several organisations and the contract ``anchors`` on one virtual clock: lags, crashes, and one who lies.

The contract is the real one, and so is what agents decide and do. What is made up: the chain's growth, how far each
peer is behind, how old an agent's view of the ledger is, and when it is dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gridledger.client.anchors import AnchorAgent, AnchorStatus, ChannelMembers
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.evidence.anchor import HeaderTree
from gridledger.protocol.merkle import Tree
from gridledger.protocol.statements import Head, Statement, statement_text
from services.anchor.anchoring import Anchoring
from services.anchor.cosigning import Cosigner
from services.anchor.deciding import Pace
from services.anchor.register import Register
from tests.support.anchors_channel import (
    GENESIS,
    MAINCHAIN,
    AnchorsChannel,
    Chain,
    S,
    agent,
    mspid,
    signing_identity,
    url,
)

CHANNEL = "shard1"
STEP_S = 0.5
MAX_BLOCKS = 4000
READS_S = 10.0
"""How often an agent reads which agents are on record."""


class WorldLedger:
    """The contract as one agent calls it."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number

    async def status(self, channel: str) -> AnchorStatus:
        return AnchorStatus.from_dict(self._world.contract.call("GetStatus", {"channel": channel}))

    async def set_members(self, channel: str, members: ChannelMembers) -> Any:
        said = {"organisations": list(members.organisations), "genesis": members.genesis}
        return self._ask("SetMembers", {"channel": channel, **said})

    async def attest(
        self,
        channel: str,
        size: int,
        head: Head,
        *,
        height: int,
        consistency: Sequence[bytes],
        opens: bool = False,
        conclude: bool = False,
    ) -> Any:
        proof = [item.hex() for item in consistency]
        told = {"channel": channel, "size": size, **head._asdict(), "height": height, "consistency": proof}
        return self._ask("Attest", {**told, "opens": opens, "conclude": conclude})

    async def conclude(self, channel: str, size: int, *, consistency: Sequence[bytes]) -> Any:
        proof = [item.hex() for item in consistency]
        return self._ask("Conclude", {"channel": channel, "size": size, "consistency": proof})

    async def set_agent(self, url: str | None) -> Any:
        return self._ask("SetAgent", {"url": url})

    async def agents(self) -> list[AnchorAgent]:
        items = self._world.contract.call("ListAgents", {})["items"]
        return [AnchorAgent.from_dict(item) for item in items]

    async def cosign(self, one: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask("Cosign", {"rounds": [dict(one)]})["rounds"][0]
        return answer

    def _ask(self, function: str, argument: Any) -> Any:
        self._world.said += 1
        answer = self._world.contract.ask(function, argument, agent(self._number))
        if not answer.successful:
            assert answer.status == 400, f"{function}: {answer.message}"
            raise GridLedgerError(answer.message, code="CHAINCODE_REFUSED")
        return answer.payload


class WorldOthers:
    """The other agents, as one of them reaches them: some are dead, some lie, and some requests are lost."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number

    async def statement(self, agent: AnchorAgent, channel: str, size: int, base: int) -> Statement:
        world, number = self._world, self._reached(agent)
        if number not in world.liars:
            world.grow(number)
            return await world.agents[number].sign(mspid(self._number), size, base)
        chain, signer = world.random.choice((world.forged, world.honest)), world.random.choice((number, self._number))
        head = Head(**chain.head(min(size, MAX_BLOCKS)))
        signature = signing_identity(signer).sign(statement_text(MAINCHAIN, channel, size, base, head._asdict()))
        return Statement(mspid(number), channel, size, base, head, signature.hex())

    async def hand_over(self, agent: AnchorAgent, one: Mapping[str, Any]) -> dict[str, Any]:
        world, number = self._world, self._reached(agent)
        if number in world.liars:
            return {"anchored": True, "refused": None}  # it has done nothing
        return await WorldLedger(world, number).cosign(one)

    def _reached(self, agent: AnchorAgent) -> int:
        world = self._world
        number = next(number for number in world.lag if mspid(number) == agent.mspid)
        if number in world.dead or world.random.random() < world.lost:
            raise UnavailableError("no answer")
        return number


@dataclass
class WorldChain:
    """One peer's chain: the whole one up to what this peer has of it."""

    blocks: Chain
    organisations: tuple[str, ...]
    channel: str = CHANNEL
    tree: Tree = field(default_factory=HeaderTree)
    rewritten: str | None = None

    def grow(self, size: int) -> None:
        for number in range(self.tree.size, size):
            self.tree.append(self.blocks.leaf(number))

    async def head(self, size: int) -> Head:
        return Head(**self.blocks.head(size))

    async def members(self) -> ChannelMembers:
        return ChannelMembers(self.organisations, GENESIS)


class World:
    """``organisations`` agents. ``forged`` is the chain that a liar tells of. Of the requests of agents to one another
    the part ``lost`` is never answered."""

    def __init__(self, organisations: int, random: Random, *, blocks_a_second: float = 5.0, lost: float = 0.0) -> None:
        self.random = random
        self.now_s = 1000.0
        self.said = 0
        self.count = organisations
        self.contract = AnchorsChannel(channel=CHANNEL)
        self.honest = Chain(size=MAX_BLOCKS)
        self.forged = Chain("forged", size=MAX_BLOCKS, forks=random.randrange(1, 60))
        self.rate = blocks_a_second
        self.grown = 1.0
        self.names = tuple(mspid(number) for number in range(1, organisations + 1))
        self.lag = dict.fromkeys(range(1, organisations + 1), 0)
        self.dead: set[int] = set()
        self.liars: set[int] = set()
        self.lost = lost
        self.stale = 0.0
        self.chains = {number: WorldChain(self.honest, self.names) for number in self.lag}
        self.registers: dict[int, Register] = {}
        self.agents = {number: self._new_agent(number) for number in self.lag}

    @property
    def height(self) -> int:
        return int(self.grown)

    @property
    def final(self) -> int:
        final = self.contract.final
        return 0 if final is None else int(final["size"])

    def _new_agent(self, number: int) -> Anchoring:
        ledger = WorldLedger(self, number)
        clock = lambda: self.now_s  # noqa: E731
        register = Register(signing_identity(number), url(number), ledger, MAINCHAIN)
        cosigner = Cosigner(
            mspid(number), register, WorldOthers(self, number), collect=ledger.cosign, record=ledger.cosign, clock=clock
        )
        now_us = lambda: self.contract.now_us  # noqa: E731
        self.registers[number] = register
        return Anchoring(
            mspid(number), self.chains[number], ledger, Pace(), cosigner=cosigner, clock=clock, now_us=now_us
        )

    def kill(self, number: int) -> None:
        self.dead.add(number)

    def start(self, number: int) -> None:
        """An agent that starts knows nothing of what it said before."""
        self.dead.discard(number)
        self.agents[number] = self._new_agent(number)

    async def step(self, liars: Sequence[int] = ()) -> None:
        """Half a second: blocks come, and each agent looks and acts, in any order."""
        self.now_s += STEP_S
        self.liars = set(liars)
        self.contract.now_us += int(STEP_S * S)
        self.grown = min(self.grown + self.rate * STEP_S, MAX_BLOCKS)
        order = list(self.agents)
        self.random.shuffle(order)
        for number in order:
            if number in self.dead or number in liars:
                continue
            self.grow(number)
            one = self.agents[number]
            if one.view is None or self.now_s % READS_S < STEP_S:
                await self.registers[number].look()
            if one.view is None or self.random.random() >= self.stale:
                await one.look()
            await one.step()
        for number in liars:
            self.lie(number)

    def grow(self, number: int) -> None:
        """An agent asks its peer for more blocks."""
        self.chains[number].grow(max(1, self.height - self.lag[number]))

    def lie(self, number: int) -> None:
        """Something that a liar may say: forged heads, sizes that nobody has, one round after the other, the truth."""
        random, final = self.random, self.final
        size = random.choice((self.height, random.randrange(1, self.height + 30), 10**11, final + 1, final))
        chain = random.choice((self.forged, self.forged, self.honest))
        known = min(max(size, 1), MAX_BLOCKS)
        first = random.choice((final, 0))
        proof = chain.proof(first, known) if first <= known else []
        told = {"channel": CHANNEL, "size": max(size, 1), **chain.head(known), "height": max(size, 1)}
        function = random.choice(("Attest", "Attest", "Conclude", "SetMembers"))
        if function == "Attest":
            more = {"opens": random.random() < 0.7, "conclude": random.random() < 0.5}
            self.contract.ask("Attest", {**told, "consistency": proof, **more}, agent(number))
        elif function == "Conclude":
            ask = {"channel": CHANNEL, "size": max(size, 1), "consistency": proof}
            self.contract.ask("Conclude", ask, agent(number))
        else:
            names = sorted(random.sample(self.names, random.randrange(1, len(self.names) + 1)))
            ask = {"channel": CHANNEL, "organisations": names, "genesis": GENESIS}
            self.contract.ask("SetMembers", ask, agent(number))

    def check_anchors(self) -> list[dict[str, Any]]:
        """All anchors, of the honest chain, each beginning with the one before."""
        items: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = self.contract.call("ListAnchors", {"channel": CHANNEL, **more})
            items += page["items"]
            if page["bookmark"] is None:
                break
            more = {"bookmark": page["bookmark"]}
        before = None
        for item in items:
            assert item["root"] == self.honest.root(item["size"])
            assert item["previous"] == before
            before = {"size": item["size"], "root": item["root"]}
        return items
