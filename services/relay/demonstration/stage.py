"""The demonstration's hand on the running network: it kills, stops, starts and cuts off, and plays the liars."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gridledger.client import SigningIdentity
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import NotFoundError, UnavailableError
from gridledger.network.folder import NetworkFolder
from gridledger.network.supervisor import Supervisor
from services.relay.ledger import RelayLedger, relay_ledger

SIMULATOR = "rele1"
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


@dataclass(slots=True)
class Stage:
    """A network of this machine, with one companion ``serverN`` for each server N and the simulator."""

    supervisor: Supervisor
    folder: NetworkFolder
    profile: ConnectionProfile
    record: Mapping[str, Any]
    _cut_off: set[int] = field(default_factory=set)

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self._pid(name), signal.SIGKILL)

    async def start(self, server: str) -> None:
        """Start a server again, and wait until it is healthy."""
        await self.supervisor.start_process(companion(server))

    async def stop(self, server: str) -> None:
        """Stop a server, in whose place somebody lies."""
        await self.supervisor.stop_process(companion(server))

    def cut_off(self, peer: str) -> None:
        """Hold a peer's processes: it answers nobody and closes no connection, as when its cable is pulled."""
        group = self._pid(peer)
        os.killpg(group, signal.SIGSTOP)
        self._cut_off.add(group)

    def connect_all(self) -> None:
        """Let the peers go on that were cut off."""
        for group in self._cut_off:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)
        self._cut_off.clear()

    async def misbehave(self, kind: str, minutes: int) -> None:
        """Have the relay misbehave from its next minute on."""
        url = f"{self.record['address']}/misbehave"
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            try:
                async with session.post(url, json={"kind": kind, "minutes": minutes}) as answer:
                    answer.raise_for_status()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise UnavailableError(f"the simulated relay does not take {kind}: {error}") from None

    async def ledger_as(self, stack: AsyncExitStack, server: str) -> RelayLedger:
        """The ledger with the key of a server, as whoever has that key may use it."""
        return await stack.enter_async_context(relay_ledger(self.profile, self.identity(server)))

    def identity(self, server: str) -> SigningIdentity:
        """A server's own identity, from its folder."""
        (home,) = (self.folder.companion(companion(server)) / "identities").iterdir()
        return SigningIdentity.load(home)

    def own_peer(self, server: str) -> str:
        """The peer of a server's organisation."""
        mspid = next(item["mspid"] for item in self.record["servers"] if item["id"] == server)
        return next(name for name, entry in self.profile.peers.items() if entry.mspid == mspid)

    @property
    def renames(self) -> Path:
        """The relay's own log of its captures."""
        return self.folder.companion(SIMULATOR) / "data" / "renames.jsonl"

    def _pid(self, name: str) -> int:
        for process in self.supervisor.processes:
            if process.service.name == name and not process.ended:
                return process.pid
        raise NotFoundError(f"there is no process {name} that runs")


def companion(server: str) -> str:
    """The companion that a server is."""
    return f"server{server}"


async def within(seconds: float, work: asyncio.Future[Any] | Any) -> bool:
    """Whether ``work`` ended in so many seconds; it is given up otherwise."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    return True
