"""Agents of several organisations and the contract ``anchors`` on one virtual clock: lags, crashes, and one who lies.

The contract is the real one, and so is what agents decide and do. What is made up: the chain's growth, how far each
peer is behind, how old an agent's view of the ledger is, and when it is dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gridledger.client.anchors import AnchorStatus, ChannelMembers
from gridledger.errors import GridLedgerError
from gridledger.evidence.anchor import HeaderTree
from gridledger.protocol.merkle import Tree
from gridledger.protocol.statements import Head
from services.anchor.anchoring import Anchoring
from services.anchor.deciding import Pace
from tests.support.anchors_channel import GENESIS, AnchorsChannel, Chain, S, agent, mspid

CHANNEL = "shard1"
STEP_S = 0.5
MAX_BLOCKS = 4000


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

    def _ask(self, function: str, argument: Any) -> Any:
        self._world.said += 1
        answer = self._world.contract.ask(function, argument, agent(self._number))
        if not answer.successful:
            assert answer.status == 400, f"{function}: {answer.message}"
            raise GridLedgerError(answer.message, code="CHAINCODE_REFUSED")
        return answer.payload


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
    """``organisations`` agents. ``forged`` is the chain that a liar tells of."""

    def __init__(self, organisations: int, random: Random, *, blocks_a_second: float = 5.0) -> None:
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
        self.stale = 0.0
        self.chains = {number: WorldChain(self.honest, self.names) for number in self.lag}
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
        return Anchoring(
            mspid(number), self.chains[number], ledger, Pace(), clock=clock, now_us=lambda: self.contract.now_us
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
        self.contract.now_us += int(STEP_S * S)
        self.grown = min(self.grown + self.rate * STEP_S, MAX_BLOCKS)
        order = list(self.agents)
        self.random.shuffle(order)
        for number in order:
            if number in self.dead or number in liars:
                continue
            self.chains[number].grow(max(1, self.height - self.lag[number]))
            one = self.agents[number]
            if one.view is None or self.random.random() >= self.stale:
                await one.look()
            await one.step()
        for number in liars:
            self.lie(number)

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
