"""Faults under load: a small network, one fault at a time, and how long its clients see no commit.

Two channels of two peers each, which both endorse; three orderers. Half of the load goes to each channel, through its
first peer. The fault's channel is ``one``; ``two`` is led by another orderer, and shows what the fault costs others.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import PROJECT
from gridledger import jsontext
from gridledger.client import Gateway, NodeClient, SigningIdentity
from gridledger.client.gateway import Contract
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.client.retry import NO_RETRY
from gridledger.errors import GridLedgerError
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig
from gridledger.network.supervisor import Supervisor, running_network
from gridledger.network.users import enroll_user

ONE, TWO = "one", "two"
PEERS = {ONE: ("peer1", "peer2"), TWO: ("peer3", "peer4")}
BEFORE_S, AFTER_S = 2.0, 5.0
"""How long the load runs before the fault, and after it (a hung node goes on after as long)."""
_SETTLE_WITHIN_S = 60.0
_POLL_S = 0.1
_VALUE = "x" * 100


def network_config(port_offset: int) -> NetworkConfig:
    """The network that is broken."""
    names = [name for pair in PEERS.values() for name in pair]
    described = {
        "name": "faults",
        "organisations": [
            {"name": "Orderer", "mspid": "OrdererMSP"},
            *({"name": f"Org{number}", "mspid": f"Org{number}MSP"} for number in range(1, len(names) + 1)),
        ],
        "orderers": [
            {"name": f"orderer{number}", "organisation": "Orderer", "port": 7040 + number} for number in (1, 2, 3)
        ],
        "peers": [
            {"name": name, "organisation": f"Org{number}", "port": 7150 + number}
            for number, name in enumerate(names, 1)
        ],
        "channels": {
            channel: {"peers": list(pair), "chaincodes": {"kv": {"path": "chaincode/kv", "policy": "OutOf(2, all)"}}}
            for channel, pair in PEERS.items()
        },
    }
    return NetworkConfig.model_validate(described).with_port_offset(port_offset)


@dataclass(slots=True)
class Answers:
    """What one channel's clients were told, and when (seconds of the monotonic clock)."""

    committed_at: list[float] = field(default_factory=list)
    refused: list[tuple[float, float, GridLedgerError]] = field(default_factory=list)
    """When each refusal came, how long its client had waited, and the error."""

    def longest_gap_s(self, begin: float, end: float) -> float:
        """The longest time within [begin, end] in which no client's transaction was committed."""
        moments = [begin, *sorted(at for at in self.committed_at if begin <= at <= end), end]
        return max(later - earlier for earlier, later in pairwise(moments))

    def first_commit_after(self, moment: float) -> float:
        """How long after a moment the first commit was told of; infinite where none was."""
        return min((at - moment for at in self.committed_at if at >= moment), default=float("inf"))


class Faults:
    """The running network, its load, and the faults. Made by :func:`running_faults`."""

    def __init__(self, profile: ConnectionProfile, supervisor: Supervisor, rate: float) -> None:
        self.answers: dict[str, Answers] = {}
        self._profile = profile
        self._supervisor = supervisor
        self._rate = rate
        self._roots = profile.roots.read_text(encoding="ascii")
        self._contracts: dict[str, Contract] = {}
        self._nodes: dict[str, NodeClient] = {}
        self._keys = 0

    async def connect(self, stack: AsyncExitStack) -> None:
        """Open a gateway for each channel, and an admin's connection to each node."""
        for name, entry in {**self._profile.orderers, **self._profile.peers}.items():
            admin = SigningIdentity.load(self._profile.user(entry.organisation, "admin"))
            self._nodes[name] = await stack.enter_async_context(NodeClient(entry.url, admin, self._roots))
        for channel, (peer, _) in PEERS.items():
            entry = self._profile.peers[peer]
            identity = await enroll_user(self._profile, entry.organisation, "load", "client", {})
            connected = Gateway.connect(entry.url, identity, roots=self._roots, max_connections=512, retry=NO_RETRY)
            gateway = await stack.enter_async_context(connected)
            self._contracts[channel] = gateway.get_network(channel).get_contract("kv")

    # the load

    @asynccontextmanager
    async def load(self) -> AsyncIterator[dict[str, Answers]]:
        """Transactions at the rate, half to each channel, however long answers take, until the block ends."""
        self.answers = {channel: Answers() for channel in PEERS}
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(tasks, ended))
            try:
                yield self.answers
            finally:
                ended.set()

    async def _send(self, tasks: asyncio.TaskGroup, ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while not ended.is_set():
            await asyncio.sleep(max(0.0, began + sent / self._rate - loop.time()))
            tasks.create_task(self._submit(tuple(PEERS)[sent % len(PEERS)]))
            sent += 1

    async def _submit(self, channel: str) -> None:
        self._keys += 1
        answers, began = self.answers[channel], time.monotonic()
        try:
            await self._contracts[channel].submit_transaction("put", f"k{self._keys}", _VALUE)
        except GridLedgerError as error:
            answers.refused.append((time.monotonic(), time.monotonic() - began, error))
        else:
            answers.committed_at.append(time.monotonic())

    # the network

    async def leader(self, channel: str) -> str:
        """Who leads a channel, as soon as all orderers say the same."""

        async def said() -> str:
            leaders = {(await self._orderer(name, channel))["leader"] for name in self._profile.orderers}
            leader = leaders.pop()
            return leader or "" if not leaders else ""

        return str(await self._until(said, f"a leader of {channel}"))

    async def move_leader(self, channel: str, to: str) -> None:
        """Let another orderer lead."""

        async def moved() -> bool:
            leader = await self.leader(channel)
            if leader != to:
                body = jsontext.dumps({"channel": channel, "to": to})
                await self._nodes[leader].post("/admin/transfer-leader", body, timeout_s=5)
            return leader == to

        await self._until(moved, f"{to} leads {channel}")

    async def source(self, peer: str, channel: str) -> str:
        """The orderer that a peer has its blocks from."""

        async def said() -> str:
            status = await self._nodes[peer].get_json("/status", timeout_s=5)
            return status["channels"][channel]["orderer"] or ""

        return str(await self._until(said, f"a source of {peer}"))

    async def settle(self) -> None:
        """Wait until all is well: leaders, transactions of both channels, equal heights."""
        for channel, peers in PEERS.items():
            await self.leader(channel)

            async def commits(contract: Contract = self._contracts[channel]) -> bool:
                await contract.submit_transaction("put", "settled", 1)
                return True

            await self._until(commits, f"a commit on {channel}")

            async def equal(channel: str = channel, peers: tuple[str, ...] = peers) -> bool:
                orderers = [(await self._orderer(name, channel))["height"] for name in self._profile.orderers]
                states = [await self._nodes[name].get_json("/status", timeout_s=5) for name in peers]
                return len({*orderers, *(state["channels"][channel]["height"] for state in states)}) == 1

            await self._until(equal, f"equal heights of {channel}")

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self._pid(name), signal.SIGKILL)

    def pause(self, name: str) -> None:
        """Stop a node and its children in their tracks."""
        os.killpg(self._pid(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let it go on."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid(name), signal.SIGCONT)

    async def start(self, name: str) -> None:
        """Start a node that was killed."""
        await self._until(lambda: self._ended(name), f"the end of {name}")
        await self._supervisor.start_process(name)

    async def _ended(self, name: str) -> bool:
        return next(item.ended for item in self._supervisor.processes if item.service.name == name)

    def _pid(self, name: str) -> int:
        return next(item.pid for item in self._supervisor.processes if item.service.name == name)

    async def _orderer(self, name: str, channel: str) -> dict[str, Any]:
        return dict((await self._nodes[name].get_json("/status", timeout_s=5))["channels"][channel])

    @staticmethod
    async def _until(check: Callable[[], Coroutine[Any, Any, Any]], what: str) -> Any:
        last: deque[str] = deque(maxlen=1)
        try:
            async with asyncio.timeout(_SETTLE_WITHIN_S):
                while True:
                    try:
                        if found := await check():
                            return found
                    except GridLedgerError as error:
                        last.append(error.message)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise TimeoutError(f"not within {_SETTLE_WITHIN_S:g} s: {what}; {' '.join(last)}") from None


@asynccontextmanager
async def running_faults(folder: Path, *, port_offset: int, rate: float) -> AsyncIterator[Faults]:
    """A healthy network in ``folder`` (an absolute path), ready to be broken."""
    config = network_config(port_offset)
    running = running_network(config, NetworkFolder(folder), project=PROJECT, sink=lambda _name, _line: None)
    async with running as supervisor, AsyncExitStack() as stack:
        faults = Faults(load_profile(folder), supervisor, rate)
        await faults.connect(stack)
        await faults.settle()
        yield faults


async def killed_leader(faults: Faults) -> dict[str, float]:
    """kill -9 of the orderer that leads ``one``."""
    leader = await _different_leaders(faults)
    async with faults.load() as answers:
        await asyncio.sleep(BEFORE_S)
        began = time.monotonic()
        faults.kill(leader)
        await asyncio.sleep(AFTER_S)
        seen = _gaps(answers, began)
    await faults.start(leader)
    return {"killed leader": seen[ONE], "killed leader of another channel": seen[TWO]}


async def hung_leader(faults: Faults) -> dict[str, float]:
    """SIGSTOP of the orderer that leads ``one``."""
    leader = await _different_leaders(faults)
    seen = await _while_hung(faults, leader)
    return {"hung leader": seen[ONE], "hung leader of another channel": seen[TWO]}


async def hung_follower(faults: Faults) -> dict[str, float]:
    """SIGSTOP of an orderer that leads nothing, from which the first peer of ``one`` has its blocks."""
    source = await faults.source(PEERS[ONE][0], ONE)
    others = [name for name in ("orderer1", "orderer2", "orderer3") if name != source]
    for channel in PEERS:
        if await faults.leader(channel) == source:
            await faults.move_leader(channel, others[0])
    seen = await _while_hung(faults, source)
    return {"hung follower": max(seen.values())}


async def hung_peer(faults: Faults) -> dict[str, float]:
    """SIGSTOP of the second peer of ``one``, whose endorsement every transaction needs."""
    peer = PEERS[ONE][1]
    async with faults.load() as answers:
        await asyncio.sleep(BEFORE_S)
        began = time.monotonic()
        faults.pause(peer)
        try:
            await asyncio.sleep(AFTER_S)
        finally:
            returned = time.monotonic()
            faults.resume(peer)
        await asyncio.sleep(AFTER_S)
    told = [item for item in answers[ONE].refused if began <= item[0] <= returned + 1]
    unnamed = [error for _, _, error in told if peer not in error.details.get("peers", {}) and peer not in str(error)]
    return {
        "hung peer: the longest wait for a refusal": max((waited for _, waited, _ in told), default=float("inf")),
        "hung peer: refusals that do not name it": float(len(unnamed)),
        "hung peer: first commit after its return": answers[ONE].first_commit_after(returned),
    }


async def _different_leaders(faults: Faults) -> str:
    """See to it that the channels are led by two orderers; the leader of ``one``."""
    leader = await faults.leader(ONE)
    if await faults.leader(TWO) == leader:
        await faults.move_leader(TWO, next(f"orderer{n}" for n in (1, 2, 3) if f"orderer{n}" != leader))
    return leader


async def _while_hung(faults: Faults, name: str) -> dict[str, float]:
    async with faults.load() as answers:
        await asyncio.sleep(BEFORE_S)
        began = time.monotonic()
        faults.pause(name)
        try:
            await asyncio.sleep(AFTER_S)
            return _gaps(answers, began)
        finally:
            faults.resume(name)


def _gaps(answers: dict[str, Answers], began: float) -> dict[str, float]:
    """The longest gap of each channel from just before the fault until now."""
    now = time.monotonic()
    return {channel: item.longest_gap_s(began - 0.5, now) for channel, item in answers.items()}


KINDS = {
    "killed-leader": killed_leader,
    "hung-leader": hung_leader,
    "hung-follower": hung_follower,
    "hung-peer": hung_peer,
}
