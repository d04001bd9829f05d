"""A TCP proxy in front of a server that can let bytes lie, as a server does that hangs: its system keeps the
connections open, and accepts new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class StallingProxy:
    """Made by :func:`stalling_proxy`. Clients connect to ``port``."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def stall(self) -> None:
        """Let what comes lie."""
        self._goes_on.clear()

    def go_on(self) -> None:
        """Hand on what came meanwhile, and all else."""
        self._goes_on.set()

    def cut(self) -> None:
        """Break all connections."""
        for task in self._tasks:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._goes_on.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._goes_on.wait()
            writer.write(data)
        await self._goes_on.wait()
        with suppress(OSError):
            writer.close()


@asynccontextmanager
async def stalling_proxy(target: int) -> AsyncIterator[StallingProxy]:
    """A proxy in front of a port of this machine."""
    proxy = StallingProxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
