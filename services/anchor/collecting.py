"""Rounds of several channels that come at once, handed to the contract in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import BusyError, CorruptionError, GridLedgerError
from gridledger.protocol.fields import list_of, object_of, text_of

MAX_ROUNDS: Final = 32
MAX_STATEMENTS: Final = 256
"""Of one transaction, as the contract takes them."""

Answer = dict[str, Any]
_Waiting = tuple[Mapping[str, Any], asyncio.Future[Answer]]


class Collector:
    """``cosign`` is the contract's; the first round waits ``window_s`` seconds for others. Use it in one event loop."""

    def __init__(
        self, cosign: Callable[[Sequence[Mapping[str, Any]]], Awaitable[list[Answer]]], window_s: float
    ) -> None:
        self._cosign = cosign
        self._window_s = window_s
        self._waiting: dict[str, _Waiting] = {}
        self._task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def add(self, one: Mapping[str, Any]) -> Answer:
        """Hand a round over with those of other channels; what became of it.

        Raises :class:`BusyError` where as many wait as a transaction takes, or another of the channel does, and what
        the contract refuses.
        """
        held = sum(_statements(told) for told, _ in self._waiting.values())
        if len(self._waiting) >= MAX_ROUNDS or held + _statements(one) > MAX_STATEMENTS:
            raise BusyError("as many rounds wait as one transaction takes", retry_after_s=self._window_s)
        if one["channel"] in self._waiting:
            raise BusyError(f"another round of {one['channel']} waits", retry_after_s=self._window_s)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[one["channel"]] = one, answer
        if self._task is None:
            self._task = asyncio.create_task(self._hand_over())
            self._under_way.add(self._task)
            self._task.add_done_callback(self._under_way.discard)
        return await answer

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _hand_over(self) -> None:
        await asyncio.sleep(self._window_s)
        waiting, self._waiting, self._task = self._waiting, {}, None
        try:
            done = {one["channel"]: one for one in await self._cosign([told for told, _ in waiting.values()])}
        except GridLedgerError as error:
            for _, answer in waiting.values():
                if not answer.done():
                    answer.set_exception(_same(error))
            return
        for channel, (_, answer) in waiting.items():
            if answer.done():  # whoever waited has left
                continue
            if channel in done:
                answer.set_result(done[channel])
            else:
                answer.set_exception(CorruptionError(f"the contract says nothing of the round of {channel}"))


def read_round(body: bytes) -> dict[str, Any]:
    """A round as Cosign takes it, as far as it is handled here; the contract judges the rest. Raises
    :class:`MalformedMessage`."""
    told = object_of(jsontext.loads(body), "a round")
    text_of(told, "channel")
    for head in list_of(told, "heads", max_length=MAX_STATEMENTS):
        for one in list_of(object_of(head, "a head"), "signatures", max_length=MAX_STATEMENTS):
            text_of(object_of(one, "a signature"), "mspid")
    return told


def signers_of(one: Mapping[str, Any]) -> set[str]:
    """Whose statements a round has."""
    return {each["mspid"] for head in one["heads"] for each in head["signatures"]}


def _statements(one: Mapping[str, Any]) -> int:
    return sum(len(head["signatures"]) for head in one["heads"])


def _same(error: GridLedgerError) -> GridLedgerError:
    """An error for each who waits: one that several raise would gather the traces of all."""
    return GridLedgerError(error.message, code=error.code, status=error.status, **error.details)
