"""Servers and simulated relays of one of several channels: started and stopped as a set, from the network's folder."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import PROJECT
from benchmarks.relay.delays import beside
from benchmarks.relay.substations import CHAINCODE, peers_by_server, servers_of, simulator_of
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig

_STOP_WITHIN_S = 15.0


class ChannelSet:
    """The servers and the relay of one channel, each in a folder of its own below ``home``."""

    def __init__(self, config: NetworkConfig, network: Path, home: Path, channel: str) -> None:
        self._config, self._network, self._home, self._channel = config, NetworkFolder(network), home, channel

    def prepare(self, simulator: dict[str, Any], *, own_peer_beside: bool = False) -> None:
        """Write the settings: those of the network's companions, with the channel in the servers' connection profile.
        The servers keep what they have; the relay begins anew, with ``simulator`` among its settings. With
        ``own_peer_beside`` each server reaches its own peer without the delay of all others."""
        for spec in servers_of(self._config):
            target = self._home / spec.name
            shutil.copytree(self._network.companion(spec.name), target, dirs_exist_ok=True)
            connection = target / "connection.json"
            profile = json.loads(connection.read_bytes())
            profile["applications"]["relay"] = {"chaincode": CHAINCODE, "channel": self._channel}
            if own_peer_beside:
                profile = beside(profile, {self.own_peers[spec.attributes["relay.server"]]})
            connection.write_text(json.dumps(profile))
        spec = simulator_of(self._config)
        shutil.rmtree(self._home / spec.name, ignore_errors=True)
        shutil.copytree(self._network.companion(spec.name), self._home / spec.name)
        config = self._home / spec.name / "config.json"
        config.write_text(json.dumps(json.loads(config.read_bytes()) | simulator))

    @property
    def own_peers(self) -> dict[str, str]:
        """Each server's own peer."""
        return peers_by_server(self._config)

    @property
    def renames(self) -> Path:
        """The relay's log."""
        return self._home / simulator_of(self._config).name / "data" / "renames.jsonl"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all of them while the block lasts; their output goes to files in their folders."""
        async with AsyncExitStack() as stack:
            relay = simulator_of(self._config).name
            await stack.enter_async_context(_process("services.relay.simulator", self._home / relay))
            for spec in servers_of(self._config):
                await stack.enter_async_context(_process("services.relay", self._home / spec.name))
            yield


@asynccontextmanager
async def _process(module: str, folder: Path) -> AsyncIterator[None]:
    command: Sequence[str] = (sys.executable, "-m", module, "--config", str(folder / "config.json"))
    with (folder / "process.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=PROJECT, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
