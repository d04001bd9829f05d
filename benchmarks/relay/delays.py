"""Nodes that are far from one another: a proxy before each peer and orderer that delays what goes to it and comes back.

A kernel's netem would delay every packet of an interface, and not every kernel has it. Here a node listens at another
port than the network names, and a proxy at that one hands bytes on later, in their order. So all that nodes, clients
and the supervisor say to a node by the network's description is delayed; who knows the other port is beside the node.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gridledger.client.profile import ConnectionProfile
from gridledger.network.schema import NetworkConfig

BESIDE = 500
"""What is added to a node's port to reach it without delay."""

_CHUNK = 65_536
_MOST_CHUNKS = 1_000
_LOOK_EVERY_S = 0.05
_WITHIN_S = 120.0
_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Milliseconds that a question and its answer take longer, and by how much that varies to both sides, evenly."""

    round_trip_ms: float
    jitter_ms: float

    def one_way_s(self, generator: random.Random) -> float:
        """Half of one drawn round trip."""
        drawn = generator.uniform(self.round_trip_ms - self.jitter_ms, self.round_trip_ms + self.jitter_ms)
        return max(0.0, drawn) / 2 / _MS


def moved_aside(config: NetworkConfig) -> NetworkConfig:
    """The network with its peers and orderers listening beside the ports that it names."""
    raw = config.model_dump(mode="json")
    for node in (*raw["peers"], *raw["orderers"]):
        node["settings"] = {**node["settings"], "port": node["port"] + BESIDE}
    return NetworkConfig.model_validate(raw)


def beside(profile: dict[str, Any], peers: set[str]) -> dict[str, Any]:
    """A connection profile (as JSON) that reaches these peers without delay."""
    changed = {
        name: {**entry, "url": _moved(entry["url"])} if name in peers else entry
        for name, entry in profile["peers"].items()
    }
    return {**profile, "peers": changed}


def all_beside(profile: ConnectionProfile) -> ConnectionProfile:
    """A connection profile that reaches all peers without delay."""
    peers = {name: entry.model_copy(update={"url": _moved(entry.url)}) for name, entry in profile.peers.items()}
    return profile.model_copy(update={"peers": peers})


def _moved(url: str) -> str:
    before, _, port = url.rpartition(":")
    return f"{before}:{int(port) + BESIDE}"


@asynccontextmanager
async def delayed(config: NetworkConfig, delay: Delay) -> AsyncIterator[None]:
    """Proxies before all nodes of a network that :func:`moved_aside` describes, from the time when its CA is up: before
    that it looks whether its ports are free."""
    task = asyncio.create_task(_proxies(config, delay))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _proxies(config: NetworkConfig, delay: Delay) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not await asyncio.to_thread(_listens, config.ca.port):  # noqa: ASYNC110 - another process's port
            await asyncio.sleep(_LOOK_EVERY_S)
    generator = random.Random(1)  # noqa: S311 - delays
    async with AsyncExitStack() as stack:
        for node in (*config.peers, *config.orderers):
            await stack.enter_async_context(delaying_proxy(node.port, node.port + BESIDE, delay, generator))
        await asyncio.get_running_loop().create_future()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def delaying_proxy(port: int, target: int, delay: Delay, generator: random.Random) -> AsyncIterator[int]:
    """A proxy at a port of this machine (0: any) before another; the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", target)
            try:
                await asyncio.gather(
                    _hand_on(reader, back, delay, generator), _hand_on(there, writer, delay, generator)
                )
            finally:
                back.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hand_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Delay, generator: random.Random
) -> None:
    """Hand bytes on, each chunk after its delay and never before the one that came before it."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_CHUNKS)

    async def read() -> None:
        due, data = 0.0, b"-"
        while data:
            data = await reader.read(_CHUNK)
            due = max(due, loop.time() + delay.one_way_s(generator))
            await waiting.put((due, data))

    async def write() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                with suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    await asyncio.gather(read(), write())
