"""An orderer's machine in the simulated world, and the answers that the orderer gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from functools import partial
from random import Random
from typing import Any

from gridledger import jsontext
from gridledger.errors import NotFoundError
from gridledger.identity.certificate import Certificate
from gridledger.incarnation import Incarnation
from gridledger.protocol import ChannelConfig, acls
from gridledger.web.plain_routes import PlainRoute
from services.orderer.deliver import deliver
from services.orderer.membership import hear_announcement
from services.orderer.membership_steps import has_followed
from services.orderer.opening import open_orderer
from services.orderer.orderer import Orderer
from services.orderer.other_orderers import JOIN_PATH
from services.orderer.raft.interface import Leadership, Snapshot
from services.orderer.routes import plain_routes
from services.orderer.settings import OrdererSettings
from tests.simulation.world.disk import Mount
from tests.simulation.world.life import Life
from tests.simulation.world.machines import CHANNEL, Machine, Surroundings
from tests.simulation.world.membership_oracle import MembershipOracle
from tests.simulation.world.oracle import require


class OrdererMachine(Machine):
    """An orderer, whole but for its HTTP edge."""

    def __init__(self, world: Surroundings, settings: OrdererSettings) -> None:
        super().__init__(settings.name, world)
        self.settings = settings
        self.orderer: Orderer | None = None
        self.rotten = False
        self.furnished = False

    async def work(self, life: Life, mount: Mount) -> None:
        world = self.world
        if not self.furnished:
            self.furnished = True
            Incarnation(self.name, "0badcafe").write(self.settings.data, mount)
            if world.faulty and world.chance.random() < 0.1:
                mount.lose_power_at = world.chance.randrange(30)
        async with open_orderer(
            self.settings,
            clock_us=self.clock_us,
            random=Random(world.chance.getrandbits(64)),
            disk=mount,
            # Work takes no time here: measured by the real clocks, a seed would give another run on a busy machine.
            clock=world.loop.time,
            thread_clock=world.loop.time,
        ) as orderer:
            self._watch(orderer, life)
            self.orderer = orderer
            world.network.services[self.name] = (life, OrdererService(orderer, world.members))
            await orderer.run()

    def _watch(self, orderer: Orderer, life: Life) -> None:
        """Have the oracles see what an orderer does in this life."""
        world = self.world
        chain = orderer.channels[CHANNEL].chain
        if not self.rotten:
            world.oracle.saw_store(self.name, chain.store)
        self._checked(world.members.saw_config, self.name, chain.config, chain.store.config_block, 0)
        count, lead, follow, install = chain.on_block, chain.on_leadership, chain.on_config, chain.install_snapshot

        def on_block(header: Any, envelopes: int) -> None:
            count(header, envelopes)
            if not life.cut_off:
                world.note(f"{self.name} has block {header.number} {header.hash[:12]} of {envelopes}")
                self._checked(world.oracle.saw_block, self.name, header)
                self._checked(world.saw_time, header)
                self._checked(world.members.saw_applied, self.name, chain.store.applied)

        def on_leadership(leadership: Leadership) -> None:
            lead(leadership)
            if leadership.is_self and not life.cut_off:
                world.note(f"{self.name} leads term {leadership.term}")
                self._checked(world.oracle.saw_leader, self.name, leadership.term)

        def on_config(config: ChannelConfig) -> None:
            follow(config)
            # What was read ahead is told too.
            if config is chain.config and not life.cut_off:
                number = chain.store.config_block
                index = chain.store.record(number).raft_index
                self._checked(world.members.saw_config, self.name, config, number, index)

        async def install_snapshot(snapshot: Snapshot) -> None:
            await install(snapshot)
            if not life.cut_off:
                world.fired("snapshot from another orderer")

        chain.on_block, chain.on_leadership, chain.on_config = on_block, on_leadership, on_config
        chain.install_snapshot = install_snapshot  # type: ignore[method-assign]
        if chain.leadership is not None:
            on_leadership(chain.leadership)

    @property
    def broken(self) -> str | None:
        """Why its channel has stopped, None where it has not."""
        if self.orderer is None or self.name not in self.world.network.services:
            return None
        return self.orderer.consensus.status(CHANNEL).broken

    def _checked(self, check: Callable[..., None], *args: Any) -> None:
        try:
            check(*args)
        except AssertionError as violated:
            self.world.fail(str(violated))

    def follows(self, orderers: Collection[str]) -> bool:
        """Whether Raft has these voters here, itself in its present incarnation, and no learners."""
        if self.orderer is None:
            return False
        consensus = self.orderer.consensus
        membership = consensus.status(CHANNEL).membership
        return consensus.node_id in membership.voters and has_followed(orderers, membership)

    @property
    def is_out(self) -> bool:
        """Whether it says that it is no orderer of the channel."""
        return self.orderer is not None and self.orderer.channels[CHANNEL].follower.standing == "removed"

    def leads_to(self, orderers: Collection[str]) -> bool:
        """Whether it is up with good blocks, the newest of which lead to one of these orderers."""
        if self.life is None or self.orderer is None or self.rotten:
            return False
        return not self.orderer.channels[CHANNEL].config.orderers.keys().isdisjoint(orderers)

    @property
    def membership(self) -> str:
        """What it is on the channel, and whom it takes for Raft's members."""
        if self.orderer is None:
            return ""
        membership = self.orderer.consensus.status(CHANNEL).membership
        standing = self.orderer.channels[CHANNEL].follower.standing
        return f"({standing}; voters {sorted(membership.voters)}, learners {sorted(membership.learners)})"

    @property
    def leads(self) -> bool:
        """Whether it is up and takes itself for the leader."""
        if self.life is None or self.orderer is None or self.name not in self.world.network.services:
            return False
        return self.orderer.consensus.leadership(CHANNEL).is_self


class OrdererService:
    """An orderer's answers, as its routes give them."""

    def __init__(self, orderer: Orderer, members: MembershipOracle) -> None:
        self._orderer = orderer
        self._members = members
        self._broadcast: PlainRoute = plain_routes(orderer)[0]

    async def answer(self, caller: Certificate, path: str, body: bytes | None, params: Mapping[str, str]) -> bytes:
        del params
        identity = self._orderer.authenticate(caller)
        if path == f"/channels/{CHANNEL}/broadcast" and body is not None:
            return await _call(self._broadcast, path, identity, body)
        if path == f"/channels/{CHANNEL}":
            self._orderer.authorise(CHANNEL, identity, acls.DELIVER)
            return jsontext.dumps(self._orderer.describe(CHANNEL))
        if path.startswith(f"/channels/{CHANNEL}/blocks/") and path.endswith("/hash"):
            chain = self._orderer.authorise(CHANNEL, identity, acls.DELIVER).chain
            chain.check()
            return jsontext.dumps({"hash": chain.header(int(path.split("/")[-2])).hash})
        if path == f"/channels/{CHANNEL}/progress" and body is not None:
            channel = self._orderer.authorise(CHANNEL, identity, acls.DELIVER)
            report = jsontext.loads(body)
            channel.sequencer.report_height(report["peer"], report["height"])
            return b""
        if path == JOIN_PATH and body is not None:
            asked = jsontext.loads(body)
            self._members.heard(asked["node"])
            state = hear_announcement(self._orderer, caller, asked["channel"], asked["node"], asked["applied"])
            return jsontext.dumps({"state": state})
        raise NotFoundError(f"no route {path}")

    async def stream(self, caller: Certificate, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        allowed = partial(self._orderer.authorise, CHANNEL, self._orderer.authenticate(caller), acls.DELIVER)
        chain = allowed().chain
        require(path == f"/channels/{CHANNEL}/deliver", f"no stream {path}")
        count = int(params["count"]) if "count" in params else None
        limit = self._orderer.settings.limits.stream_chunk_bytes
        first = int(params["from"])
        async for chunk in deliver(chain, first, count=count, max_chunk_bytes=limit, allowed=allowed):
            yield chunk

    def receive(self, caller: Certificate, batch: bytes) -> None:
        orderer = self._orderer
        orderer.authenticate(caller)
        orderer.raft_senders.check(caller)
        orderer.consensus.receive(partial(orderer.raft_senders.name_in, caller), batch)


async def _call(route: PlainRoute, path: str, caller: Any, body: bytes) -> bytes:
    """Call a plain route as the HTTP edge does."""
    answer: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            answer.append(message["body"])

    scope = {"method": "POST", "path": path, "query_string": b"", "headers": [], "state": {"caller": caller}}
    await route(scope, receive, send)
    return b"".join(answer)
