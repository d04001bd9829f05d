"""The network that a demonstration runs on: one that it starts in a fresh folder and stops again, or one that runs."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.demonstration.console import Console
from gridledger.errors import SettingsError
from gridledger.network.companions import chosen
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.status import NetworkState, network_state, own_admins
from gridledger.network.supervisor import Supervisor, running_network

AGREED_WITHIN_S = 20.0
_POLL_S = 0.2

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a demonstration runs.

    ``connect``: the folder of a running network; None to start ``network`` in the fresh folder ``folder``, with the
    companions (or applications) ``companions``, which have more ``settings`` by companion. ``begun`` is when the
    program began (``time.monotonic``).
    """

    network: Path
    folder: Path
    project: Path
    port_offset: int = 0
    connect: Path | None = None
    companions: Sequence[str] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    begun: float = 0.0


@dataclass(frozen=True, slots=True)
class DemoNetwork:
    """A network that is ready: its profile, the seconds until it was, and the supervisor of one that was started."""

    profile: ConnectionProfile
    ready_s: float
    supervisor: Supervisor | None

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of ``work``; raises what the supervisor says where it ends the network before."""
        if self.supervisor is None:
            return await work
        task = asyncio.create_task(work)
        watching = asyncio.create_task(self.supervisor.watch())
        try:
            await asyncio.wait((task, watching), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                watching.result()
            return await task
        finally:
            for each in (task, watching):
                each.cancel()
            await asyncio.gather(task, watching, return_exceptions=True)

    async def agreement(self) -> NetworkState:
        """The state once all peers of each channel are level, or as it is after AGREED_WITHIN_S."""
        deadline = time.monotonic() + AGREED_WITHIN_S
        while True:
            state = await network_state(self.profile, own_admins(self.profile))
            if not state.down and all(channel.level for channel in state.channels.values()):
                return state
            if any(not channel.agree for channel in state.channels.values()) or time.monotonic() > deadline:
                return state
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def demo_network(place: Place, console: Console) -> AsyncIterator[DemoNetwork]:
    """The network while the block lasts; one that was started is stopped at its end."""
    if place.connect is not None:
        profile = load_profile(place.connect)
        console.say(f"using the network {profile.name} in {place.connect}")
        yield DemoNetwork(profile, time.monotonic() - place.begun, None)
        return
    config = described(place)
    beside = chosen(config, place.companions)
    folder = NetworkFolder(place.folder.resolve())
    clear(folder)
    more = f", {', '.join(spec.name for spec in beside)}" if beside else ""
    console.say(f"starting {config.name}: CA, {len(config.orderers)} orderers, {len(config.peers)} peers{more}")
    async with running_network(
        config, folder, project=place.project, sink=lambda _name, _line: None, companions=beside
    ) as supervisor:
        ready_s = time.monotonic() - place.begun
        console.say(f"ready, {ready_s:.1f} s after the begin; channels {', '.join(config.channels)}")
        yield DemoNetwork(load_profile(folder.root), ready_s, supervisor)
        console.say("stopping the network")


def described(place: Place) -> NetworkConfig:
    """The network to start: as its file says, with ports moved and the companions' further settings."""
    config = load_network_config(place.network).with_port_offset(place.port_offset)
    companions = [
        spec.model_copy(update={"settings": {**spec.settings, **place.settings.get(spec.name, {})}})
        for spec in config.companions
    ]
    return NetworkConfig.model_validate({**config.model_dump(mode="json"), "companions": companions})


def clear(folder: NetworkFolder) -> None:
    """Remove an earlier network; SettingsError for a folder that holds something else."""
    if not folder.root.exists():
        return
    if any(folder.root.iterdir()) and not (folder.config.exists() or folder.supervisor_lock.exists()):
        raise SettingsError(f"{folder.root} holds something other than a network of GridLedger; name another --dir")
    shutil.rmtree(folder.root)


def disagreements(state: NetworkState) -> list[str]:
    """What is wrong with the state at the end: channels whose peers are not level, nodes that are down."""
    return [name for name, channel in state.channels.items() if not channel.level] + [
        f"{name} is down" for name in state.down
    ]
