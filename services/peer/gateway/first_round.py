"""The first round of many proposals for one chaincode: one set of peers, asked for all of them together.

Here goes what goes well: everyone asked answers, in time, and all alike. What turns out otherwise for a proposal (an
error, a difference, a peer that is slow) goes on to the
:class:`~services.peer.gateway.endorsement.Collector`, with what is known by then; the others do not notice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from gridledger.errors import GridLedgerError
from gridledger.protocol.config import Node
from services.peer.endorser.endorser import Abandon, Admitted, Answer, Answers
from services.peer.gateway.endorsement import Begun, Collected, Collector

_log = logging.getLogger(__name__)


class AskMany(Protocol):
    """Asks one peer (perhaps this one) for endorsements. ``take`` gets each answer once, perhaps several at a time."""

    def __call__(self, peer: Node, admitted: Sequence[Admitted], take: Callable[[Answers], None]) -> Abandon: ...


Finish = Callable[[int, Collected | GridLedgerError], None]
"""Takes a proposal's outcome, by its position."""


class Endorsing:
    """The endorsing of proposals that came together. ``finish`` gets each outcome once, as soon as it is known."""

    def __init__(self, collector: Collector, ask_many: AskMany, finish: Finish) -> None:
        self._collector = collector
        self._ask_many = ask_many
        self._finish = finish
        self._rounds: list[FirstRound] = []

    def begin(self, admitted: Sequence[tuple[int, Admitted]]) -> None:
        """Ask endorsers, for as many as this gateway may have under way; the others are refused."""
        collector = self._collector
        free = max(0, collector.limits.max_concurrent - collector.active)
        for position, _ in admitted[free:]:
            self._finish(position, collector.busy())
        together: dict[tuple[str, str], tuple[list[int], list[Admitted]]] = {}
        for position, each in admitted[:free]:
            key = (each.channel.name, each.definition.name)
            positions, group = together.setdefault(key, ([], []))
            positions.append(position)
            group.append(each)
        for positions, group in together.values():
            this_round = FirstRound(collector, group, partial(self._finished, positions))
            self._rounds.append(this_round)
            this_round.begin(self._ask_many)

    def abandon(self) -> None:
        """Nobody waits for the outcomes any more."""
        for this_round in self._rounds:
            this_round.abandon()

    def _finished(self, positions: Sequence[int], place: int, outcome: Collected | GridLedgerError) -> None:
        self._finish(positions[place], outcome)


class FirstRound:
    """Proposals for one chaincode of one channel, put to one set of peers. ``finish`` is called as by Endorsing."""

    def __init__(self, collector: Collector, admitted: Sequence[Admitted], finish: Finish) -> None:
        self._collector = collector
        self._admitted = admitted
        self._finish = finish
        self._peers = self._choose()
        self._names = tuple(peer.name for peer in self._peers)
        self._answers: list[list[Answer | GridLedgerError | None] | None] = [
            [None] * len(self._peers) for _ in admitted
        ]
        self._missing = [len(self._peers)] * len(admitted)
        self._open = len(admitted)
        self._pending: dict[tuple[int, int], asyncio.Future[Answer]] = {}
        self._abandons: list[Abandon] = []
        self._others: set[asyncio.Task[None]] = set()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, ask_many: AskMany) -> None:
        """Ask them all."""
        limits = self._collector.limits
        self._collector.active += self._open
        self._deadline = self._collector.clock() + limits.timeout_s
        self._timer = asyncio.get_running_loop().call_later(limits.hedge_after_s, self._too_slow)
        if not self._peers:
            self._too_slow()
            return
        self._collector.saw(len(self._admitted))
        for column, peer in enumerate(self._peers):
            self._abandons.append(ask_many(peer, self._admitted, partial(self._take, column)))

    def abandon(self) -> None:
        """Nobody waits for the outcomes any more."""
        if self._timer is not None:
            self._timer.cancel()
        for abandon in self._abandons:
            abandon()
        for task in self._others:
            task.cancel()
        self._answers = [None] * len(self._answers)
        self._collector.active -= self._open
        self._open = 0

    def _choose(self) -> Sequence[Node]:
        """A set that satisfies the policy; none where one of it was gone lately: that takes more care."""
        config, chaincode = self._admitted[0].channel.config, self._admitted[0].definition.name
        collector = self._collector
        peers = collector.selection.shared(config, chaincode, len(self._admitted), collector.clock())
        satisfied = config.endorsement_policy(chaincode).satisfied_by([(peer.mspid, "peer") for peer in peers])
        gone = any(collector.health.gone(peer.name) for peer in peers)
        return peers if satisfied and not gone else ()

    def _take(self, column: int, answers: Answers) -> None:
        """Note one peer's answers; settle what is complete."""
        newest: Answer | None = None
        for position, answer in answers:
            row = self._answers[position]
            if isinstance(answer, Answer):
                newest = answer
            if row is None:
                self._late(position, column, answer)
                continue
            row[column] = answer
            self._missing[position] -= 1
            if newest is not answer:
                self._go_on_alone(position, row)
            elif not self._missing[position]:
                self._compare(position, row)
        if newest is not None and self._admitted:
            behind = max(0, self._admitted[0].channel.height - newest.height)
            self._collector.health.answered(self._names[column], behind)

    def _compare(self, position: int, row: list[Answer | GridLedgerError | None]) -> None:
        alike = [answer for answer in row if isinstance(answer, Answer)]
        text = alike[0].result_text
        if any(answer.result_text != text for answer in alike):
            self._go_on_alone(position, row)
            return
        self._settled(position)
        self._finish(position, Collected(text, tuple(answer.endorsement for answer in alike), self._names))

    def _settled(self, position: int) -> None:
        self._answers[position] = None
        self._collector.active -= 1
        self._open -= 1
        if not self._open and self._timer is not None:
            self._timer.cancel()

    def _too_slow(self) -> None:
        for position, row in enumerate(self._answers):
            if row is not None:
                self._go_on_alone(position, row, slow=True)

    def _go_on_alone(self, position: int, row: list[Answer | GridLedgerError | None], *, slow: bool = False) -> None:
        """Leave one proposal to the collector."""
        begun = self._so_far(position, row, slow=slow) if self._peers else None
        self._settled(position)
        task = asyncio.get_running_loop().create_task(self._collect(position, begun))
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _so_far(self, position: int, row: list[Answer | GridLedgerError | None], *, slow: bool) -> Begun:
        begun = Begun({}, {}, {}, self._deadline, slow)
        for column, (peer, answer) in enumerate(zip(self._peers, row, strict=True)):
            begun.asked[peer.name] = peer
            if answer is None:
                pending: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
                self._pending[position, column] = begun.pending[peer.name] = pending
            else:
                begun.answers[peer.name] = answer
        return begun

    async def _collect(self, position: int, begun: Begun | None) -> None:
        outcome: Collected | GridLedgerError
        try:
            outcome = await self._collector.collect(self._admitted[position], begun)
        except GridLedgerError as error:
            outcome = error
        except Exception:
            _log.exception("a proposal could not be endorsed")
            outcome = GridLedgerError("this peer failed to endorse the proposal; its log says why")
        self._finish(position, outcome)

    def _late(self, position: int, column: int, answer: Answer | GridLedgerError) -> None:
        """An answer to a proposal that has gone on by itself."""
        pending = self._pending.pop((position, column), None)
        if pending is None or pending.done():
            return
        if isinstance(answer, Answer):
            pending.set_result(answer)
        else:
            pending.set_exception(answer)
