"""Balancing leadership over the channels: an orderer that leads two channels more than another one hands one over.

A leader does more than those that follow. After a restart of an orderer the others lead all that it led, and a new one
leads nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gridledger.errors import GridLedgerError
from gridledger.incarnation import node_of
from services.orderer.raft.interface import Consensus

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often it is noted who leads."""
NOT_BACK_S = 300.0
"""For how long a channel is not handed to the orderer that it was taken from: that one may have handed it over, as one
whose clock is off does, or have failed."""
CLOSE_ENTRIES = 100
"""How much of the log an heir may lack."""
TRANSFER_S = 1.0


class HandOver(NamedTuple):
    """A channel, and the orderer that is to lead it, by its name."""

    channel: str
    heir: str


def to_hand_over(name: str, leaders: Mapping[str, str], heirs: Mapping[str, Collection[str]]) -> HandOver | None:
    """What the orderer ``name`` is to hand over; None where nobody leads two channels fewer.

    ``leaders`` are those that are known, by channel; ``heirs`` who may take a channel over, by the channels that may be
    handed over.
    """
    led = Counter(leaders.values())
    found = [
        (led[heir], channel, heir)
        for channel, names in heirs.items()
        if leaders.get(channel) == name
        for heir in names
        if led[name] - led[heir] >= 2  # noqa: PLR2004 - by one less nothing would be gained
    ]
    if not found:
        return None
    _, channel, heir = min(found)
    return HandOver(channel, heir)


@dataclass(slots=True)
class _Taken:
    before: str
    at_s: float


class Follower(Protocol):
    """What is asked of a channel's membership follower."""

    step: str


class BalancedChannel(Protocol):
    """What is asked of a channel."""

    @property
    def follower(self) -> Follower:
        """Whether its members change."""


class Balance:
    """Hands over at most one channel every ``every_s`` seconds; never where 0."""

    def __init__(
        self, name: str, consensus: Consensus, channels: Mapping[str, BalancedChannel], every_s: float
    ) -> None:
        self._name = name
        self._consensus = consensus
        self._channels = channels
        self._every_s = every_s
        self.leaders: dict[str, str] = {}
        """Who led each channel when it was known last."""
        self._taken: dict[str, _Taken] = {}

    async def run(self) -> None:
        """Balance until cancelled."""
        loop = asyncio.get_running_loop()
        next_s = loop.time() + self._every_s
        while self._every_s:
            await asyncio.sleep(min(LOOK_S, self._every_s))
            self.note_leaders(loop.time())
            if loop.time() >= next_s:
                next_s = loop.time() + self._every_s
                await self.hand_one_over(loop.time())

    def note_leaders(self, now_s: float) -> None:
        """Note who leads which channel, and what this orderer has taken over from whom."""
        for channel in list(self._channels):
            leader = self._consensus.leader(channel)
            if leader is None:
                continue  # who led before counts until somebody does
            name, before = node_of(leader), self.leaders.get(channel)
            if name == self._name and before not in (None, name):
                self._taken[channel] = _Taken(before or "", now_s)
            self.leaders[channel] = name
        for gone in self.leaders.keys() - self._channels.keys():
            del self.leaders[gone]
            self._taken.pop(gone, None)

    def heirs_of(self, channel: str, now_s: float) -> list[str]:
        """Who may take over a channel that this orderer leads; nobody while its members change."""
        leadership, status = self._consensus.leadership(channel), self._consensus.status(channel)
        if not leadership.ready or status.membership.learners or self._channels[channel].follower.step:
            return []
        taken = self._taken.get(channel)
        not_back = taken.before if taken is not None and now_s - taken.at_s < NOT_BACK_S else ""
        return [
            node_of(voter)
            for voter, known in status.followers.items()
            if voter in status.membership.voters
            and known.is_heard
            and known.match + CLOSE_ENTRIES >= status.last
            and node_of(voter) != not_back
        ]

    async def hand_one_over(self, now_s: float) -> None:
        """Hand one channel over, if another orderer leads two fewer."""
        led = [channel for channel, leader in self.leaders.items() if leader == self._name]
        chosen = to_hand_over(self._name, self.leaders, {channel: self.heirs_of(channel, now_s) for channel in led})
        if chosen is None:
            return
        voters = self._consensus.status(chosen.channel).membership.voters
        heir = next(voter for voter in voters if node_of(voter) == chosen.heir)
        try:
            await self._consensus.transfer_leadership(chosen.channel, heir, timeout_s=TRANSFER_S)
        except GridLedgerError as error:
            _log.info("not handed over to %s: %s", heir, error, extra={"channel": chosen.channel})
        else:
            _log.info("handed over to %s, which leads fewer channels", heir, extra={"channel": chosen.channel})
