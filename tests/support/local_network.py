"""A network as ``gridledger up`` starts it, whose processes a test may kill, stop in their tracks and start again.

The supervisor runs in a thread with an event loop of its own, so that a network outlives a test's loop and several
tests share it. It is not told to watch its processes: a test that kills one wants the rest to go on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from gridledger.client import BlockEvent, Gateway
from gridledger.client.profile import ConnectionProfile, NodeEntry, load_profile
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.folder import NetworkFolder
from gridledger.network.processes import RunningProcess, Service
from gridledger.network.schema import CompanionSpec, NetworkConfig
from gridledger.network.supervisor import Supervisor, running_network
from gridledger.network.users import enroll_user
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.transport.node_client import NodeClient
from tests.support.history import Entry
from tests.support.processes import REPOSITORY, all_gone, children_of
from tests.support.waiting import eventually

_T = TypeVar("_T")
HEALTHY_WITHIN_S = 60.0


class LocalNetwork:
    """A running network. Made by :func:`local_network`."""

    def __init__(self, config: NetworkConfig, folder: NetworkFolder, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.folder = folder
        self.profile: ConnectionProfile = load_profile(folder.root)
        self.roots = self.profile.roots.read_text(encoding="ascii")
        self.ready_s = 0.0
        self._loop = loop
        self._processes: dict[str, RunningProcess] = {}
        self._services: dict[str, Service] = {}
        self._again: list[RunningProcess] = []

    def adopt(self, supervisor: Supervisor) -> None:
        """Know the processes that a supervisor has started."""
        self._processes = {process.service.name: process for process in supervisor.processes}
        self.ready_s = supervisor.ready_s

    def know(self, service: Service) -> None:
        """Know a node that comes to the network, for :meth:`start`."""
        self._services[service.name] = service

    # Who and where

    def entry(self, name: str) -> NodeEntry:
        return {**self.profile.orderers, **self.profile.peers}[name]

    def admin(self, organisation: str) -> SigningIdentity:
        return SigningIdentity.load(self.profile.user(organisation, "admin"))

    async def client(self, organisation: str, name: str = "app") -> SigningIdentity:
        """A client of an organisation, enrolled with its CA when first asked for."""
        return await self._there(enroll_user(self.profile, organisation, name, "client", {}))

    def node(self, name: str, identity: SigningIdentity | None = None, **options: Any) -> NodeClient:
        """A connection to a node, as its own organisation's admin if nobody else."""
        entry = self.entry(name)
        return NodeClient(entry.url, identity or self.admin(entry.organisation), self.roots, **options)

    @asynccontextmanager
    async def gateway(
        self, name: str, identity: SigningIdentity | None = None, **options: Any
    ) -> AsyncIterator[Gateway]:
        """A gateway at a peer, as a client of the peer's own organisation if nobody else."""
        entry = self.entry(name)
        who = identity or await self.client(entry.organisation)
        async with Gateway.connect(entry.url, who, roots=self.roots, **options) as gateway:
            yield gateway

    # What becomes of processes

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def children(self, name: str, module: str = "") -> list[int]:
        """The process ids of a node's children; only those with ``module`` in their command line."""
        return children_of(self.pid(name), module)

    async def kill(self, name: str) -> None:
        """kill -9, and wait for the end of the process and of its children."""
        children = self.children(name)
        os.kill(self.pid(name), signal.SIGKILL)
        await self.ended(name)
        await all_gone(children, within_s=10)

    async def ended(self, name: str) -> int:
        """Wait for a process to end; its exit code."""
        async with asyncio.timeout(30):
            return await self._there(self._processes[name].wait())

    async def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        os.kill(self.pid(name), signal.SIGTERM)
        return await self.ended(name)

    async def start(self, name: str, module: str | None = None, *, wait: bool = True) -> None:
        """Start a node that ended, or another program in its place, and wait until it is healthy."""
        service = self._services.get(name) or self._processes[name].service
        process = await self._there(self._start(replace(service, module=module or service.module)))
        self._processes[name] = process
        self._again.append(process)
        if wait:
            await self._there(process.healthy(HEALTHY_WITHIN_S))

    def pause(self, name: str) -> None:
        """Stop a node and its children from running at all: a machine that hangs."""
        os.killpg(self.pid(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        os.killpg(self.pid(name), signal.SIGCONT)

    def log(self, name: str) -> str:
        return (self.folder.logs / f"{name}.log").read_text(errors="replace")

    # What the ledgers say

    async def status(self, name: str, channel: str) -> dict[str, Any]:
        """What a node says of a channel."""
        async with self.node(name) as node:
            channels = (await node.get_json("/status", timeout_s=5))["channels"]
        return dict(channels[channel])

    async def leader(self, channel: str) -> str:
        """Who leads a channel, as soon as a majority of the orderers says the same."""

        async def said() -> str:
            answers = []
            for name in self.profile.orderers:
                with suppress(GridLedgerError):
                    answers.append((await self.status(name, channel))["leader"])
            agreed = [name for name in answers if name and answers.count(name) * 2 > len(self.profile.orderers)]
            return agreed[0] if agreed else ""

        return await eventually(said, within_s=20, what=f"a leader of {channel}")

    async def states(self, channel: str) -> dict[str, tuple[int, str]]:
        """Height and commit hash of a channel on each of its peers."""
        peers = self.profile.channels[channel].peers
        found = await asyncio.gather(*(self.status(name, channel) for name in peers))
        return {name: (item["height"], item["commit_hash"]) for name, item in zip(peers, found, strict=True)}

    async def verdicts(self, name: str, channel: str) -> dict[str, list[Code]]:
        """Every transaction id on a peer's chain with its verdicts: more than one where it was sent again."""
        found: dict[str, list[Code]] = {}
        for tx_id, code in await self.chain(name, channel):
            found.setdefault(tx_id, []).append(Code[code])
        return found

    async def chain(self, name: str, channel: str) -> list[Entry]:
        """A peer's whole chain, transaction by transaction."""
        height = (await self.status(name, channel))["height"]
        found: list[Entry] = []
        async with self.gateway(name) as gateway:
            stream = cast("AsyncGenerator[BlockEvent, None]", gateway.get_network(channel).block_events(start_block=0))
            async with aclosing(stream) as blocks:
                async for block in blocks:
                    found += [Entry(item.tx_id, item.code.name) for item in block.transactions]
                    if block.number + 1 >= height:
                        return found
        raise AssertionError("a stream of blocks does not end by itself")

    async def agree(self, channel: str, within_s: float = 30) -> tuple[int, str]:
        """Wait until all peers and orderers of a channel have the same height, and the peers one commit hash."""

        async def same() -> tuple[int, str] | None:
            states = set((await self.states(channel)).values())
            ordered = await asyncio.gather(*(self.status(name, channel) for name in self.profile.orderers))
            heights = {item["height"] for item in ordered} | {height for height, _ in states}
            return states.pop() if len(states) == 1 and len(heights) == 1 else None

        found = await eventually(same, within_s=within_s, what=f"equal ledgers of {channel}", ignore=(GridLedgerError,))
        assert found is not None
        return found

    async def close(self) -> None:
        """Stop what was started here; runs in the supervisor's loop."""
        for process in self._processes.values():
            # One that has ended may not be known to have ended yet.
            with suppress(ProcessLookupError):
                if not process.ended:
                    os.killpg(process.pid, signal.SIGCONT)
        await asyncio.gather(*(process.stop(15) for process in self._again))

    async def _start(self, service: Service) -> RunningProcess:
        log = self.folder.logs / f"{service.name}.log"
        return await RunningProcess.start(service, project=REPOSITORY, log=log, sink=_no_sink)

    async def _there(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


@contextmanager
def local_network(
    config: NetworkConfig, folder: Path, companions: Sequence[CompanionSpec] = ()
) -> Iterator[LocalNetwork]:
    """A started, healthy network in ``folder`` with these of its companions, stopped at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="network", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    place = NetworkFolder(folder.resolve())
    running = running_network(config, place, project=REPOSITORY, sink=_no_sink, companions=companions)
    try:
        supervisor = run(running.__aenter__())
        try:
            network = LocalNetwork(config, place, loop)
            network.adopt(supervisor)
            try:
                yield network
            finally:
                run(network.close())
        finally:
            run(running.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _no_sink(name: str, line: str) -> None:
    """The lines are in the log files."""
