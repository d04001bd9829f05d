"""The demonstration's hand on the running network: its parties' sessions, their disks, and what befalls processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridledger.client import SigningIdentity
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import NotFoundError, UnavailableError
from gridledger.network.folder import NetworkFolder
from gridledger.network.supervisor import Supervisor
from gridledger.network.users import enroll_user
from services.vault.cutting import HEADS
from services.vault.described import DescribedVault, base_identity, described_vault
from services.vault.session import Session, open_session

HOST: Final = "127.0.0.1"
READER: Final = "control-room"
_POLL_S: Final = 0.1
_STOPPED_WITHIN_S: Final = 15.0


@dataclass(slots=True)
class Stage:
    """A network of this machine with its holders. Made by :func:`set_stage`."""

    supervisor: Supervisor
    folder: NetworkFolder
    profile: ConnectionProfile
    project: Path
    vault: DescribedVault
    processes: dict[str, str]
    """The process of each holder."""
    base: Session
    heads: dict[str, Session]
    readers: dict[str, Session]
    stack: AsyncExitStack
    folders: dict[str, Path] = field(default_factory=dict)
    """The folders of holders that came later."""
    _cut_off: set[int] = field(default_factory=set)

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self._pid(name), signal.SIGKILL)

    async def start(self, name: str) -> None:
        """Start a process again, and wait until it is healthy."""
        await self.supervisor.start_process(name)

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

    def share_file(self, holder: str, name: str, version: int = 1) -> Path:
        """Where a holder has its share of an object."""
        home = self.folders.get(holder) or self.folder.companion(self.processes[holder]) / "data"
        return home / holder / "shares" / f"{name}.{version}"

    async def session_of(self, holder: str) -> Session:
        """A session with the key of a holder."""
        identity = SigningIdentity.load(self.folder.companion(self.processes[holder]) / "identities" / holder)
        return await self.session(identity)

    async def session(self, identity: SigningIdentity) -> Session:
        """A session that is open until the stage is cleared."""
        return await self.stack.enter_async_context(open_session(self.profile, identity))

    def readers_of(self, cluster: str) -> str:
        """Who may read what a cluster puts: its head, those of its organisation that are enrolled as readers, the base.

        Its sensors may not: a holder is not by itself a reader."""
        own, base = f"{self.readers[cluster].identity.mspid}.client", f"{self.base.identity.mspid}.client"
        return f"OR('{own}[vault.role=head]','{own}[vault.role=reader]','{base}[vault.role=base]')"

    async def run_holder(self, holder: str, x: int, *, cluster: str, organisation: str, port: int) -> None:
        """Start a process with one further holder; it is stopped when the stage is cleared."""
        home = self.folder.root / "vault" / holder
        self.folders[holder] = home
        arguments = ("serve", "holders", f"{holder}={x}", "--cluster", cluster, "--as", organisation)
        where = ("--listen", f"{HOST}:{port}", "--dir", str(self.folder.root), "--data", str(home))
        with (self.folder.logs / f"{holder}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.vault", *arguments, *where), cwd=self.project, stdout=log, stderr=log
            )
        self.stack.push_async_callback(_stop, process)

    def _pid(self, name: str) -> int:
        for process in self.supervisor.processes:
            if process.service.name == name and not process.ended:
                return process.pid
        raise NotFoundError(f"there is no process {name} that runs")


async def set_stage(
    supervisor: Supervisor, folder: NetworkFolder, profile: ConnectionProfile, project: Path, stack: AsyncExitStack
) -> Stage:
    """Everyone's identities and sessions; those are open as long as ``stack`` is."""
    vault = described_vault(profile)
    processes = {
        identity.name: spec.name
        for spec in supervisor.config.companions
        for identity in spec.identities
        if spec.kind == "vault-holder"
    }

    async def opened(identity: SigningIdentity) -> Session:
        return await stack.enter_async_context(open_session(profile, identity))

    base = await opened(await base_identity(profile))
    stage = Stage(supervisor, folder, profile, project, vault, processes, base, {}, {}, stack)
    for name, cluster in vault.clusters.items():
        if name != HEADS and cluster.organisation is not None and cluster.head is not None:
            stage.heads[name] = await stage.session_of(cluster.head)
            reader = await enroll_user(profile, cluster.organisation, READER, "client", {"vault.role": "reader"})
            stage.readers[name] = await opened(reader)
    stack.callback(stage.connect_all)
    return stage


async def until(check: Callable[[], Awaitable[bool]], what: str, within_s: float) -> None:
    """Wait until ``check`` holds; :class:`UnavailableError` says what did not come."""
    deadline = time.monotonic() + within_s
    while not await check():
        if time.monotonic() > deadline:
            raise UnavailableError(f"{what}: not within {within_s:g} s")
        await asyncio.sleep(_POLL_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOPPED_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
