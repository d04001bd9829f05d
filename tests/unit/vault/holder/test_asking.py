"""Questions that several holders have at once are asked once."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.errors import NotFoundError
from services.vault.holder.asking import Shared


class Peer:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return number


async def test_those_who_ask_at_once_share_an_answer_and_the_next_gets_a_new_one() -> None:
    shared, peer = Shared[int](), Peer()
    asking = [asyncio.create_task(shared.ask("oil", peer)) for _ in range(9)]
    other = asyncio.create_task(shared.ask("gas", peer))
    await asyncio.sleep(0)
    asking[0].cancel()
    peer.may_answer.set()
    assert await asyncio.gather(*asking[1:], other) == [1] * 8 + [2]
    assert asking[0].cancelled()
    assert await shared.ask("oil", peer) == 3


async def test_an_error_is_everybody_s_and_is_not_kept() -> None:
    shared, peer = Shared[int](), Peer()
    peer.error = NotFoundError("no such object")
    asking = [asyncio.create_task(shared.ask("oil", peer)) for _ in range(3)]
    peer.may_answer.set()
    for task in asking:
        with pytest.raises(NotFoundError):
            await task
    peer.error = None
    assert await shared.ask("oil", peer) == 2
