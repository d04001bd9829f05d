"""Servers of relay monitoring in virtual time: a relay, a ledger in memory that runs the contract, faults by seed.

The servers are the product's own collectors, on disks that lose what was not flushed. What is faulty is told by
:class:`Faults`; the same seed gives the same run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from gridledger.client.testing import FakeGateway
from gridledger.errors import TimeoutExceeded
from gridledger.field.capture import MEASURES, Capture, Reading, render_capture, text_hash
from gridledger.transport import call_frames
from gridledger.transport.call_client import CallClient
from gridledger.transport.node_client import ConnectionFailed
from services.relay.ledger import RelayLedger
from services.relay.readers import Delivered, Held, Reader, RelayAnswerBad, RelayUnreachable
from services.relay.server.collector import CollectorOptions
from services.relay.server.collectors import Collectors
from tests.simulation.world.disk import SimulatedDisk

CHAINCODE = Path("chaincode/relay")
START = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
FIRST_MINUTE = START_US // 60_000_000
RELAY = "Rele_1"
OPERATOR = "OperatorMSP"
PERIOD_S = 60


def mspid_of(server: str) -> str:
    return f"Server{server}MSP"


def now_us() -> int:
    return START_US + round(asyncio.get_running_loop().time() * 1e6)


def text_of(minute: int, seed: int, name: str = "Relay 1") -> str:
    """The text of a minute: the article's six readings; another seed, another text."""
    chance = Random(f"{seed}/{minute}")
    begin = datetime.fromtimestamp(minute * 60, UTC).replace(tzinfo=None)
    readings = tuple(
        Reading(begin + timedelta(seconds=10 * n), tuple(round(chance.uniform(0.1, 1), 3) for _ in MEASURES))
        for n in range(6)
    )
    return render_capture(Capture(begin, name, "Bogota", float(chance.randrange(28)), readings))


@dataclass
class SimulatedRelay:
    """Completes a capture each minute while it is on. ``two_faced`` minutes have another text for every other asker;
    ``garbled`` minutes have no capture at all, and no text that could be one. Its clock is ``ahead`` by minutes; while
    it is ``fickle`` it tells another text whenever it is asked."""

    seed: int
    keeps: int = 1440
    is_on: bool = True
    ahead: int = 0
    fickle: bool = False
    asked: int = 0
    two_faced: set[int] = field(default_factory=set)
    garbled: set[int] = field(default_factory=set)
    captures: dict[int, str] = field(default_factory=dict)
    told: dict[tuple[int, str], str] = field(default_factory=dict)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        minute = FIRST_MINUTE
        while True:
            await asyncio.sleep((minute + 1) * 60 - now_us() / 1e6)
            if self.is_on:
                shown = minute + self.ahead
                self.captures[shown] = "garbage\n" * 3 if shown in self.garbled else text_of(shown, self.seed)
                for old in sorted(self.captures)[: -self.keeps]:
                    del self.captures[old]
                grown, self.grown = self.grown, asyncio.Event()
                grown.set()
            minute += 1

    def tell(self, minute: int, server: str) -> Delivered:
        """What a server gets of a minute; the same whenever it asks."""
        self.asked += 1
        text = text_of(minute, self.asked) if self.fickle else self.captures[minute]
        if minute in self.two_faced - self.garbled and int(server) % 2:
            text = text_of(minute, self.seed + 1)
        self.told[minute, server] = text
        name = datetime.fromtimestamp(minute * 60, UTC).strftime("%d %m %Y %H %M.txt")
        sha256 = text_hash(text)
        return Delivered(name, text, sha256, sha256, None, (minute + 1) * 60_000_000)


class SimulatedReader:
    """One server's way to the relay, with its own faults."""

    def __init__(self, relay: SimulatedRelay, server: str, chance: Random, faults: Faults) -> None:
        self._relay = relay
        self._server = server
        self._chance = chance
        self._faults = faults

    async def latest(self, after: str | None, wait_s: float) -> Delivered | None:
        end = asyncio.get_running_loop().time() + wait_s
        while True:
            await self._reach()
            if self._relay.captures:
                found = self._relay.tell(max(self._relay.captures), self._server)
                if found.sha256 != after:
                    return found
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            try:
                async with asyncio.timeout(min(left, 5)):
                    await self._relay.grown.wait()
            except TimeoutError:
                continue

    async def held(self) -> list[Held]:
        await self._reach()
        told = [self._relay.tell(minute, self._server) for minute in sorted(self._relay.captures)]
        return [Held(item.name, item.sha256, None, item.completed_us) for item in told]

    async def fetch(self, name: str) -> Delivered:
        await self._reach()
        minute = int(datetime.strptime(name, "%d %m %Y %H %M.txt").replace(tzinfo=UTC).timestamp()) // 60
        if minute not in self._relay.captures:
            raise RelayAnswerBad(f"there is no {name}")
        return self._relay.tell(minute, self._server)

    async def close(self) -> None:
        """Nothing is open."""

    async def _reach(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.02))
        if not self._relay.is_on or self._server in self._faults.without_relay:
            raise RelayUnreachable("the relay does not answer")


@dataclass
class Faults:
    """What is wrong now. ``slowness_s``: how long each step to the ledger may take; ``lost_answers``: the share of
    submissions that are carried out though nobody hears of it."""

    ledger_is_away: bool = False
    without_ledger: set[str] = field(default_factory=set)
    without_relay: set[str] = field(default_factory=set)
    slowness_s: float = 0.05
    lost_answers: float = 0.0


class _Calls(CallClient):
    """A server's calls to the ledger, late, lost, or without effect."""

    def __init__(self, calls: CallClient, server: str, chance: Random, faults: Faults) -> None:
        self._calls = calls
        self._server = server
        self._chance = chance
        self._faults = faults

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        await asyncio.sleep(self._chance.uniform(0, self._faults.slowness_s))
        if self._faults.ledger_is_away or self._server in self._faults.without_ledger:
            raise ConnectionFailed("no gateway can be reached")
        answer = await self._calls.call(kind, body, timeout_s)
        await asyncio.sleep(self._chance.uniform(0, self._faults.slowness_s))
        is_order = kind in (call_frames.SUBMIT, call_frames.ORDER)
        if is_order and self._chance.random() < self._faults.lost_answers:
            raise TimeoutExceeded("the answer did not come")
        return answer


class World:
    """A relay and its servers; make it inside the virtual loop."""

    def __init__(self, seed: int, servers: int = 4, options: CollectorOptions | None = None) -> None:
        self.chance = Random(seed)
        self.faults = Faults()
        self.relay = SimulatedRelay(seed)
        self.servers = [str(5004 + n) for n in range(servers)]
        self.options = options or CollectorOptions()
        self._gateway = self._gateway_of("operator", {"relay.role": "operator"}, OPERATOR)
        self.ledger = self._ledger_of(self._gateway)
        self.disks = {name: SimulatedDisk(self.chance, lambda _: None, lambda _: None) for name in self.servers}
        self.collectors: dict[str, Collectors] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._relay_task: asyncio.Task[None] | None = None

    async def begin(self, **changes: Any) -> None:
        """Register the relay, and start it and all servers."""
        await self.ledger.register_relay(self.record() | changes)
        self._relay_task = asyncio.get_running_loop().create_task(self.relay.run())
        for server in self.servers:
            self.start(server)

    def record(self) -> dict[str, Any]:
        return {
            "relay": RELAY,
            "name": "Relay 1",
            "substation": "Bogota",
            "protocol": "text",
            "address": "http://127.0.0.1:5010",
            "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
            "period_s": PERIOD_S,
            "reading_s": 10,
            "servers": [{"id": server, "mspid": mspid_of(server)} for server in self.servers],
            "quorum": len(self.servers) // 2 + 1,
        }

    def start(self, server: str) -> None:
        """Start a server on its disk."""
        if server in self._running:
            return
        gateway = self._gateway_of(server, {"relay.role": "server", "relay.server": server}, mspid_of(server))
        calls = _Calls(gateway._calls, server, self.chance, self.faults)
        member = gateway._session.gateways.members[0]
        member.calls = calls

        def open_reader(record: dict[str, Any]) -> Reader:
            return SimulatedReader(self.relay, server, self.chance, self.faults)

        self.collectors[server] = Collectors(
            server,
            mspid_of(server),
            self._ledger_of(gateway),
            open_reader,
            Path("data"),
            operators=(OPERATOR,),
            options=self.options,
            now_us=now_us,
            random=self.chance,
            disk=self.disks[server].mount(lambda: None),
        )
        self._running[server] = asyncio.get_running_loop().create_task(self.collectors[server].run())

    async def kill(self, server: str, *, power: bool = False) -> None:
        """End a server as kill -9 does, or with its machine's power."""
        task = self._running.pop(server, None)
        if task is None:
            return
        disk = self.disks[server]
        was_full, disk.full = disk.full, True  # nothing is written any more
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        disk.full = was_full
        if power:
            self.disks[server].lose_power()
        else:
            self.disks[server].release()

    async def end(self) -> None:
        """Stop everything."""
        for server in self.servers:
            await self.kill(server)
        if self._relay_task is not None:
            self._relay_task.cancel()

    def state(self, prefix: str) -> dict[str, Any]:
        """What the ledger has under keys of a prefix, by the rest of the key."""
        found = self._gateway.state("relay")
        return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}

    def captures(self) -> dict[int, dict[str, Any]]:
        """The recorded captures by minute."""
        return {int(digits): value for digits, value in self.state(f"capture/{RELAY}/").items()}

    def verdicts(self) -> dict[int, dict[str, Any]]:
        """The verdicts by minute."""
        return {int(digits): value for digits, value in self.state(f"verdict/{RELAY}/").items()}

    def codes(self) -> list[str]:
        """The validation codes of all transactions, in the ledger's order."""
        return [code.name for block in self._gateway._ledger.events for code in block.codes]

    def spooled(self) -> int:
        """How many captures wait in all spools."""
        return sum(collector.spooled for server in self._running for collector in self.collectors[server])

    def file(self, server: str, path: str) -> bytes:
        """What a server's disk has in a file."""
        return self.disks[server].content()[path]

    async def until(self, holds: Callable[[], bool], *, within_s: float) -> None:
        """Wait, in virtual time, until something holds."""
        end = asyncio.get_running_loop().time() + within_s
        while not holds():
            assert asyncio.get_running_loop().time() < end, "it did not come to hold in time"
            await asyncio.sleep(1)

    def _gateway_of(self, user: str, attributes: dict[str, str], mspid: str) -> FakeGateway:
        gateway = FakeGateway(
            {"relay": CHAINCODE}, channel="substation", user=user, mspid=mspid, attributes=attributes, clock_us=now_us
        )
        gateway._session.gateways.random = self.chance
        if user != "operator":
            ours, theirs = gateway._ledger, self._gateway._ledger
            ours._running, ours.blocks, ours.events = theirs._running, theirs.blocks, theirs.events
            ours._statuses = theirs._statuses
        return gateway

    def ledger_as(self, user: str, attributes: dict[str, str], mspid: str) -> RelayLedger:
        """The ledger as another user calls it, without faults."""
        return self._ledger_of(self._gateway_of(user, attributes, mspid))

    def _ledger_of(self, gateway: FakeGateway) -> RelayLedger:
        network = gateway.get_network("substation")
        return RelayLedger(network.get_contract("relay"), network)
