"""A round that several organisations' agents sign, and that goes to the contract in one transaction.

Nobody is believed: a statement counts whose signature is that of the organisation's key on record. Where others do not
answer, or the contract refuses what they said, each agent attests by itself, as :mod:`services.anchor.deciding` says.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from gridledger.client.anchors import AnchorAgent, round_of
from gridledger.errors import GridLedgerError
from gridledger.protocol.statements import Statement
from services.anchor.deciding import majority_of
from services.anchor.register import Register

REFUSED: Final = "CHAINCODE_REFUSED"
PASSED_OVER_S: Final = 120.0
"""So long no round is handed to an agent that has not had one recorded."""

_log = logging.getLogger(__name__)

Answer = dict[str, Any]


class Others(Protocol):
    """The other organisations' agents."""

    async def statement(self, agent: AnchorAgent, channel: str, size: int, base: int) -> Statement:
        """What an agent says of a channel at a size."""

    async def hand_over(self, agent: AnchorAgent, one: Mapping[str, Any]) -> Answer:
        """Have an agent hand a round to the contract with those of other channels; what became of it."""


class Recording(Protocol):
    """What hands a round to the contract: what became of it."""

    async def __call__(self, one: Mapping[str, Any]) -> Answer:
        """Record a round."""


class Cosigner:
    """Gathers statements of one organisation's channels. ``collect`` hands a round over with others that come to this
    agent, ``record`` alone; ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        mspid: str,
        register: Register,
        others: Others,
        *,
        collect: Recording,
        record: Recording,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.register = register
        self._mspid = mspid
        self._others = others
        self._collect = collect
        self._record = record
        self._clock = clock
        self._passed_over: dict[str, float] = {}

    async def collect(self, one: Mapping[str, Any]) -> Answer:
        """Hand a round to the contract, with those of other channels that come at once."""
        return await self._collect(one)

    def can_gather(self, organisations: Sequence[str]) -> bool:
        """Whether there is a majority among the organisations whose agents can be asked, oneself included."""
        asked = [name for name in organisations if self.register.agent(name) is not None]
        return len(organisations) > 1 and self.register.signs() and len(asked) >= majority_of(len(organisations))

    async def gather(self, own: Statement, organisations: Sequence[str]) -> list[Statement]:
        """Statements that together end a round, the own one among them: those of a majority, or two heads. Empty where
        there are none. ``organisations`` are asked in this order, as many at once as are needed."""
        said, rest = [own], [name for name in organisations if name != self._mspid]
        while rest and (missing := majority_of(len(organisations)) - _largest(said)) > 0:
            some, rest = rest[:missing], rest[missing:]
            answers = await asyncio.gather(*(self._statement(name, own) for name in some))
            said += [answer for answer in answers if answer is not None]
        is_whole = _largest(said) >= majority_of(len(organisations)) or len({one.head for one in said}) > 1
        return said if is_whole else []

    async def settle(self, statements: Sequence[Statement], consistency: Sequence[bytes]) -> Answer:
        """Have the contract record a round: {channel, size, anchored, forked, refused}.

        The first agent that does its work hands the rounds of all channels over; without it this one does. Raises what
        the contract refuses, and what goes wrong with it.
        """
        one = round_of(statements, consistency)
        name = next((name for name in self.register.names if not self._is_passed_over(name)), self._mspid)
        agent = self.register.agent(name)
        if name == self._mspid or agent is None:
            return await self.collect(one)
        try:
            return await self._others.hand_over(agent, one)
        except GridLedgerError as error:
            if error.code == REFUSED:
                raise
            self._passed_over[name] = self._clock()
            _log.info("the agent of %s did not hand a round of %s over: %s", name, one["channel"], error.message)
        return await self._record(one)

    def _is_passed_over(self, name: str) -> bool:
        since_s = self._passed_over.get(name)
        return since_s is not None and self._clock() - since_s < PASSED_OVER_S

    async def _statement(self, name: str, own: Statement) -> Statement | None:
        agent = self.register.agent(name)
        if agent is None:
            return None
        try:
            said = await self._others.statement(agent, own.channel, own.size, own.base)
        except GridLedgerError as error:
            _log.info("%s: the agent of %s says nothing at %d: %s", own.channel, name, own.size, error.message)
            return None
        told = (said.mspid, said.channel, said.size, said.base)
        if told == (name, own.channel, own.size, own.base) and self.register.is_signed(said):
            return said
        _log.warning("%s: what the agent of %s says at %d is not signed with its key", own.channel, name, own.size)
        self.register.note()
        return None


def _largest(said: Sequence[Statement]) -> int:
    """How many say the same head."""
    return max(Counter(one.head for one in said).values())
