"""A gateway on paper among several: what its calls, its queries and its PINGs give is for a test to say."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class PaperMember:
    """Stands for a :class:`gridledger.client.connection.GatewayConnection`. ``answers`` come one by one: an error, an
    answer, or a future that has it some day; the last one stays."""

    def __init__(self, *answers: Any, node: Any = None) -> None:
        self.answers = list(answers)
        self.node: Any = node if node is not None else self
        self.calls = self
        self.base_url = "https://localhost:1"
        self.made: list[tuple[int, bytes]] = []
        self.times: list[float] = []
        self.well = True
        self.pinged: list[float] = []
        self.closed = False

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        self.made.append((kind, body))
        return bytes(await self._answer())

    async def ask(self) -> bytes:
        """A query."""
        return bytes(await self._answer())

    async def request(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    async def alive(self, timeout_s: float) -> bool:
        self.pinged.append(asyncio.get_running_loop().time())
        return self.well

    async def close(self) -> None:
        self.closed = True

    async def _answer(self) -> Any:
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, asyncio.Future):
            return await answer
        if isinstance(answer, Exception):
            raise answer
        return answer
