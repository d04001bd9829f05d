"""The article's servers as processes of one machine, and the relay that they ask, driven a minute at a time."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks import PROJECT
from benchmarks.article.chain import Block, captures_of, genesis, next_block

_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 10.0
_ROUND_WITHIN_S = 600.0
_READINGS = 6
_BEGIN = datetime(2021, 9, 28, 6, 58)  # noqa: DTZ001 - the article's times have no zone
_FIELDS = (
    *(("Vab", 109, 118), ("Vbc", 109, 118), ("Vca", 109, 118), ("Ia", 0, 50), ("Ib", 0, 50), ("Ic", 0, 50)),
    *(("F", 59, 61), ("FP", 0, 1), ("P", 0, 700), ("Q", 0, 700)),
)


def capture_text(minute: int, generator: random.Random) -> str:
    """A capture as the article's algorithm 1 draws it, of the ``minute``-th minute."""
    begin = _BEGIN + timedelta(minutes=minute)
    lines = [f"{begin:%d %m %Y %H %M}", "Relay 1", "Bogotá Electrical Substation - U.D.", ""]
    lines += [f"Openings caused by faults: {float(generator.randint(0, 28))}", ""]
    for reading in range(_READINGS):
        values = ";".join(f"{name};{round(generator.uniform(low, high), 3)}" for name, low, high in _FIELDS)
        lines.append(f"Time Stamp;{begin + timedelta(seconds=10 * reading):%d %m %Y %H %M %S};{values}")
    return "\n".join(lines) + "\n"


def chain_of(length: int, proofs: Sequence[int], server: str, seed: int = 1) -> list[Block]:
    """A chain with ``length`` captures of minutes before the first. ``proofs`` begins with genesis's, 1: it is the same
    in every chain, and each costs 65,536 hashes."""
    generator = random.Random(seed)  # noqa: S311 - numbers to fill captures with
    chain = [genesis(str(_BEGIN))]
    for index in range(1, length + 1):
        text = capture_text(index - length - 1, generator)
        chain.append(next_block(chain, str(_BEGIN), proofs[index], server, text))
    return chain


class ArticleNetwork:
    """Running nodes. ``chains`` and ``lengths`` are asked of each node that lives."""

    def __init__(self, urls: Sequence[str], processes: Sequence[asyncio.subprocess.Process], relay: _Relay) -> None:
        self.urls, self._processes, self._relay = list(urls), processes, relay
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ROUND_WITHIN_S))

    def next_minute(self) -> str:
        """Have the relay complete its next capture: its time."""
        return self._relay.next_minute()

    async def advance(self, node: int, what: str = "round") -> dict[str, Any]:
        """Have a node go through its phases: all (``round``), to the capture (``collect``), or behind it (``mine``)."""
        async with self._session.post(f"{self.urls[node]}/{what}") as answer:
            answer.raise_for_status()
            told: dict[str, Any] = await answer.json()
            return told

    async def update_s(self, node: int) -> tuple[float, dict[str, Any]]:
        """Seconds from a capture's completion to its block on every node, of which ``node`` made it; what that told."""
        begun = time.perf_counter()
        self.next_minute()
        told = await self.advance(node)
        return time.perf_counter() - begun, told

    async def lengths(self) -> list[int]:
        """The length of each node's chain."""
        return [int((await self._get(url, "connect"))["length"]) for url in self._living()]

    async def captures(self) -> list[list[str]]:
        """The relay's times in each node's chain."""
        return [captures_of((await self._get(url, "get_chain"))["2_chain"]) for url in self._living()]

    async def kill(self, node: int) -> None:
        """Kill a node's process."""
        self._processes[node].kill()
        await self._processes[node].wait()

    def process_ids(self) -> list[int]:
        """The nodes' processes."""
        return [process.pid for process in self._processes]

    def _living(self) -> list[str]:
        return [url for url, process in zip(self.urls, self._processes, strict=True) if process.returncode is None]

    async def _get(self, url: str, path: str) -> dict[str, Any]:
        async with self._session.get(f"{url}/{path}") as answer:
            told: dict[str, Any] = json.loads(await answer.read())
            return told

    async def ready(self) -> None:
        """Wait until every node answers; TimeoutError where one does not."""
        async with asyncio.timeout(_START_WITHIN_S):
            for url in self.urls:
                while True:
                    with suppress(aiohttp.ClientError):
                        await self._get(url, "connect")
                        break
                    await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Stop all processes."""
        await self._session.close()
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self._processes:
            try:
                async with asyncio.timeout(_STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


class _Relay:
    """The last complete capture, at ``GET /capture``."""

    def __init__(self, seed: int) -> None:
        self._generator = random.Random(seed)  # noqa: S311 - numbers to fill captures with
        self._minute = -1
        self._text = ""
        self.url = ""

    def next_minute(self) -> str:
        self._minute += 1
        self._text = capture_text(self._minute, self._generator)
        return self._text.partition("\n")[0]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/capture", self._capture)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    async def _capture(self, _: web.Request) -> web.Response:
        return web.Response(text=self._text)


@asynccontextmanager
async def running_article_network(
    nodes: int, *, chain: Path | None = None, seed: int = 1
) -> AsyncIterator[ArticleNetwork]:
    """Run so many nodes on free ports, each with the chain in a file (``{"2_chain": ...}``), or with none."""
    relay = _Relay(seed)
    async with relay.serving():
        ports = _free_ports(nodes)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        processes: list[asyncio.subprocess.Process] = []
        network = ArticleNetwork(urls, processes, relay)
        try:
            for port, url in zip(ports, urls, strict=True):
                others = ",".join(other for other in urls if other != url)
                command = [
                    "-m",
                    "benchmarks.article.node",
                    "--port",
                    str(port),
                    "--nodes",
                    others,
                    "--relay",
                    relay.url,
                ]
                command += ["--chain", str(chain)] if chain else []
                processes.append(await asyncio.create_subprocess_exec(sys.executable, *command, cwd=PROJECT))
            await network.ready()
            yield network
        finally:
            await network.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()
