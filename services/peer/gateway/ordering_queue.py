"""The ordering queue: a channel's envelopes on their way to the orderers, bounded and sent in batches.

While a batch is under way the next one fills. An envelope stays in the queue until an orderer has acknowledged it (it
is then durable in the replicated log), an orderer has refused it, or its deadline has passed. When an answer is lost
the envelope is sent again: a second copy on the chain gets DUPLICATE_TXID and does no harm, a lost transaction would.
A batch that an orderer answers with an error, and not with a verdict on each envelope, is sent again in halves: so the
one envelope that it fails at is soon sent alone, gets the error, and delays the others no longer.

While nobody is known to lead, a search for the leader runs beside the attempts, and ends their pause when it finds one.
An orderer that is silent for ``doubt_after_s`` is left as soon as another one says that it leads.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gridledger import framing, jsontext
from gridledger.backoff import Backoff
from gridledger.errors import BusyError, GridLedgerError, MalformedJSON, MalformedMessage, UnavailableError, from_wire
from gridledger.shares import NOBODY, Caller, Holder, Pool
from services.peer.gateway.leader_search import LeaderSearch, Send
from services.peer.settings import MAX_BATCH, OrderingLimits

ACKNOWLEDGED = 200
TRIES_ALONE = 2
"""How often an envelope is sent alone to orderers that fail at it (status 500) before it gets the error."""
_log = logging.getLogger(__name__)
_PASSING_STATUSES = frozenset((421, 429, 500, 502, 503, 504))
_FAILURE = 500
_ABOUT_THE_BATCH = frozenset((400, 413, _FAILURE))
_DEFECT = "INTERNAL"
_SEARCH_AFTER_S = 0.03
"""A first try elsewhere mostly finds the leader by itself."""
_MOST_REDIRECTS = 3
"""How often in a row orderers may name another one before there is a pause: each may take the other for the leader."""
_SLOWER = 3.0
"""An orderer is silent when it takes so many times as long as its answers have taken lately: on a busy network all are
slow, and to look elsewhere would make them slower."""
_LONGEST_DOUBT_S = 1.0
_LEFT_S = 1.0
"""For how long an orderer that did not answer is not gone back to because another one names it."""


class OrderersUnavailable(UnavailableError):
    """No orderer took the transaction before the deadline. ``outcome`` is "unknown" when one may have taken it."""

    code = "ORDERERS_UNAVAILABLE"


class _AnotherLeads(Exception):
    """The orderer was silent, and another one said that it leads. What was sent may have been ordered."""


@dataclass(eq=False, slots=True)
class QueuedEnvelope:
    """One envelope on its way. ``ordered`` is done when an orderer has it for good; it has the error when it is not
    ordered, and is cancelled when nobody wants to know any more."""

    tx_id: str
    envelope: bytes
    deadline: float
    ordered: asyncio.Future[None]
    place: Holder
    bytes_place: Holder
    maybe_sent: bool = False
    queued: bool = False
    largest_batch: int = MAX_BATCH
    failed_alone: int = 0

    def settle(self, error: GridLedgerError | None) -> None:
        """Tell whoever waits."""
        if self.ordered.done():
            return
        if error is None:
            self.ordered.set_result(None)
        else:
            self.ordered.set_exception(error)


@dataclass(slots=True)
class Counters:
    """What the metrics read."""

    batches: int = 0
    envelopes: int = 0
    retries: int = 0
    reasons: dict[str, str] = field(default_factory=dict)


class OrderingQueue:
    """One channel's queue. ``orderers`` names the channel's orderers now; ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        channel: str,
        orderers: Callable[[], Sequence[str]],
        send: Send,
        limits: OrderingLimits,
        *,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self.channel = channel
        self.counters = Counters()
        self.leader: str | None = None
        self._orderers = orderers
        self._send = send
        self._limits = limits
        self._clock = clock
        self._random = random
        self._queue: deque[QueuedEnvelope] = deque()
        self._places = Pool(f"transactions for the orderers of {channel}", limits.max_queued, retry_after_s=0.5)
        self._bytes = Pool(f"bytes for the orderers of {channel}", limits.max_queued_bytes, retry_after_s=0.5)
        self._turn = random.randrange(1024)
        self._backoff = Backoff(limits.backoff_initial_s, limits.backoff_max_s, random)
        self._not_before = 0.0
        self._may_go_on = asyncio.Event()
        self._search = LeaderSearch(orderers, send)
        self._searching: asyncio.Task[None] | None = None
        self._redirects = 0
        self._silent_at: dict[str, float] = {}
        self._answer_s = 0.0
        """How long an orderer's answer has taken lately."""
        self._senders: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, tx_id: str, envelope: bytes, caller: Caller = NOBODY) -> QueuedEnvelope:
        """Put an envelope into the queue; :class:`BusyError` when the queue has no place for this caller.

        Whoever adds it calls :meth:`discard` in the end.
        """
        limits = self._limits
        place, bytes_place = self._take_places(caller, len(envelope), tx_id)
        ordered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending = QueuedEnvelope(tx_id, envelope, self._clock() + limits.timeout_s, ordered, place, bytes_place)
        self._enqueue(pending)
        self._start_sender()
        return pending

    def discard(self, pending: QueuedEnvelope) -> None:
        """Nobody waits for this one any more: take it out unless it is on its way already."""
        if not pending.ordered.cancel() and not pending.ordered.cancelled():
            pending.ordered.exception()  # the commit was seen first: nobody asks for the error any more
        if pending.queued:
            pending.queued = False
            self._queue.remove(pending)
        pending.place.give()
        pending.bytes_place.give(len(pending.envelope))

    def _take_places(self, caller: Caller, size: int, tx_id: str) -> tuple[Holder, Holder]:
        try:
            place = self._places.take(caller)
            try:
                return place, self._bytes.take(caller, size)
            except BusyError:
                place.give()
                raise
        except BusyError as error:
            error.details["tx_id"] = tx_id
            raise

    async def close(self) -> None:
        """Stop sending; what waits is told that it was not ordered (or may have been)."""
        self._closed = True
        tasks = [*self._senders, *((self._searching,) if self._searching is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._queue:
            self._give_up(self._dequeue(), "this peer stops")

    def _enqueue(self, pending: QueuedEnvelope, *, first: bool = False) -> None:
        (self._queue.appendleft if first else self._queue.append)(pending)
        pending.queued = True

    def _dequeue(self) -> QueuedEnvelope:
        pending = self._queue.popleft()
        pending.queued = False
        return pending

    def _start_sender(self) -> None:
        if len(self._senders) < self._limits.max_in_flight:
            task = asyncio.get_running_loop().create_task(self._run(), name=f"ordering {self.channel}")
            self._senders.add(task)
            task.add_done_callback(self._sender_ended)

    def _sender_ended(self, task: asyncio.Task[None]) -> None:
        """What came between a sender's last look at the queue and its end found it still counted, and started none."""
        self._senders.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: sending to the orderers failed", self.channel, exc_info=error)
        if self._queue and not self._closed:
            self._start_sender()

    async def _run(self) -> None:
        """Send until the queue is empty. Several of these run side by side, bounded by ``max_in_flight``."""
        while self._queue:
            wait_s = self._not_before - self._clock()
            if wait_s > 0:
                await self._pause(wait_s)
            batch = self._take()
            if batch:
                await self._send_batch(batch)

    async def _pause(self, wait_s: float) -> None:
        """Wait so long, or until a leader is found."""
        self._may_go_on.clear()
        try:
            async with asyncio.timeout(wait_s):
                await self._may_go_on.wait()
        except TimeoutError:
            pass

    def _take(self) -> list[QueuedEnvelope]:
        """The next batch, without what was abandoned or is too late."""
        batch: list[QueuedEnvelope] = []
        size, now, limits = 0, self._clock(), self._limits
        most = limits.max_batch
        while self._queue:
            length = len(self._queue[0].envelope)
            most = min(most, self._queue[0].largest_batch)
            if batch and (len(batch) >= most or size + length > limits.max_batch_bytes):
                break
            pending = self._dequeue()
            if pending.ordered.done():
                continue
            if now >= pending.deadline:
                self._give_up(pending, f"no orderer took it within {limits.timeout_s} s")
                continue
            batch.append(pending)
            size += length
        return batch

    async def _send_batch(self, batch: list[QueuedEnvelope]) -> None:
        orderer = self._choose()
        if orderer is None:
            self._again(batch, "config", "the channel's config names no orderer", rotate=False)
            return
        timeout_s = min(self._limits.request_timeout_s, max(0.001, batch[0].deadline - self._clock()))
        try:
            answer = await self._ask(orderer, framing.pack([pending.envelope for pending in batch]), timeout_s)
            self._answered(batch, orderer, _results(answer, len(batch)))
        except _AnotherLeads as other:
            self._silent_at[orderer], self.leader = self._clock(), str(other)
            self.counters.reasons[orderer] = f"it does not answer, and {other} leads"
            for pending in batch:
                pending.maybe_sent = True
            self._requeue(batch)
        except GridLedgerError as error:
            self._request_failed(batch, orderer, error)
        except BaseException as error:
            # Cancelled, or a defect. No envelope is lost by it, and whether these were ordered nobody knows.
            for pending in batch:
                pending.maybe_sent = True
            self._again(batch, orderer, f"{type(error).__name__}: {error}", rotate=True)
            raise

    def _doubt_after_s(self) -> float:
        least = self._limits.doubt_after_s
        return max(least, min(_LONGEST_DOUBT_S, _SLOWER * self._answer_s))

    async def _ask(self, orderer: str, body: bytes, timeout_s: float) -> bytes:
        """The orderer's answer; :class:`_AnotherLeads` when it is silent and another one says that it leads."""
        loop = asyncio.get_running_loop()
        doubting: list[asyncio.Task[None]] = []
        found: list[str] = []

        async def look_elsewhere() -> None:
            found.append(await self._search.find(besides=orderer))
            patience.reschedule(loop.time())

        asked_at, after_s = self._clock(), self._doubt_after_s()
        doubt = loop.call_later(after_s, lambda: doubting.append(loop.create_task(look_elsewhere())))
        try:
            async with asyncio.timeout(None) as patience:
                answer = await self._send(orderer, body, timeout_s)
        except TimeoutError:
            if not found:
                raise
            raise _AnotherLeads(found[0]) from None
        else:
            self._answer_s += (self._clock() - asked_at - self._answer_s) / 8
            return answer
        finally:
            doubt.cancel()
            for task in doubting:
                task.cancel()

    def _request_failed(self, batch: list[QueuedEnvelope], orderer: str, error: GridLedgerError) -> None:
        if error.code == "NOT_LEADER":
            self._redirected(batch, orderer, error)
            return
        if error.status in (502, 503, 504) and error.code not in ("NO_LEADER", "PROPOSAL_DROPPED"):
            self._silent_at[orderer] = self._clock()
        if error.status in _ABOUT_THE_BATCH:
            self._split(batch, orderer, error)
            return
        if error.status in (502, 503, 504) and error.code != "NO_LEADER":
            # The request may have been carried out although its answer did not come.
            for pending in batch:
                pending.maybe_sent = True
        self._again(batch, orderer, f"{error.code}: {error.message}", rotate=not isinstance(error, BusyError))

    def _split(self, batch: list[QueuedEnvelope], orderer: str, error: GridLedgerError) -> None:
        """Send what failed as a whole in halves; an envelope that fails alone gets the error."""
        self.counters.reasons[orderer] = f"{error.code}: {error.message}"
        failed = error.status == _FAILURE
        for pending in batch:
            pending.largest_batch = (len(batch) + 1) // 2
            pending.maybe_sent = pending.maybe_sent or failed
        if len(batch) > 1:
            self._leave_unless_leader(orderer)
            self._requeue(batch)
            return
        pending = batch[0]
        pending.failed_alone += 1
        if failed and pending.failed_alone < TRIES_ALONE and not pending.ordered.done():
            # Behind all others, and perhaps to another orderer: what was wrong may pass.
            self._leave_unless_leader(orderer)
            self.counters.retries += 1
            self._enqueue(pending)
            return
        error.details.setdefault("outcome", "unknown" if pending.maybe_sent else "not ordered")
        _log.warning("%s: %s fails at transaction %s: %s", self.channel, orderer, pending.tx_id, error.message)
        self._refuse(pending, error)

    def _leave_unless_leader(self, orderer: str) -> None:
        """Ask another orderer next, unless this one is known to lead: the others would only name it again."""
        if self.leader != orderer:
            self._leave(orderer)

    def _redirected(self, batch: list[QueuedEnvelope], orderer: str, error: GridLedgerError) -> None:
        leader = error.details.get("leader")
        if not isinstance(leader, str) or leader == orderer or leader not in self._orderers():
            self._again(batch, orderer, "not the leader, and it knows of none", rotate=True)
        elif self._is_silent(leader):
            self._again(batch, orderer, f"not the leader, that was {leader}", rotate=True)
        else:
            self.leader = leader
            self.counters.reasons[orderer] = f"not the leader, that is {leader}"
            self._redirects += 1
            if self._redirects > _MOST_REDIRECTS:
                self._wait(self._backoff.failed())
            self._requeue(batch)

    def _is_silent(self, orderer: str) -> bool:
        return self._clock() - self._silent_at.get(orderer, float("-inf")) < _LEFT_S

    def _answered(self, batch: list[QueuedEnvelope], orderer: str, results: list[dict[str, Any]]) -> None:
        self.counters.batches += 1
        again: list[QueuedEnvelope] = []
        reason = ""
        for pending, result in zip(batch, results, strict=True):
            status = result["status"]
            if status == ACKNOWLEDGED:
                self.counters.envelopes += 1
                pending.settle(None)
            elif status in _PASSING_STATUSES and result.get("code") != _DEFECT:
                pending.maybe_sent = pending.maybe_sent or status in (500, 503, 504)
                again.append(pending)
                reason = f"{result.get('code')}: {result.get('message')}"
            else:
                self._refuse(pending, from_wire(status, result))
        if again:
            self._again(again, orderer, reason, rotate=False)
        else:
            self._backoff.succeeded()
            self._redirects = 0
            self.leader = orderer
            self._go_on()

    def _choose(self) -> str | None:
        names = self._orderers()
        if not names:
            return None
        if self.leader in names:
            return self.leader
        turns = [names[(self._turn + number) % len(names)] for number in range(len(names))]
        return next((name for name in turns if not self._is_silent(name)), turns[0])

    def _again(self, batch: list[QueuedEnvelope], orderer: str, reason: str, *, rotate: bool) -> None:
        self.counters.reasons[orderer] = reason
        if rotate:
            self._leave(orderer)
            self._start_search()
        self._wait(self._backoff.failed())
        self._requeue(batch)

    def _leave(self, orderer: str) -> None:
        """Ask the orderer after this one next, unless another batch has found the leader meanwhile."""
        if self.leader not in (None, orderer):
            return
        self.leader = None
        names = self._orderers()
        if orderer in names:
            self._turn = names.index(orderer) + 1

    def _start_search(self) -> None:
        """Look for the leader, unless it is known or being looked for."""
        if self.leader is None and self._searching is None and not self._closed:
            self._searching = asyncio.get_running_loop().create_task(self._find_leader(), name=f"leader {self.channel}")
            self._searching.add_done_callback(self._search_ended)

    async def _find_leader(self) -> None:
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                await asyncio.sleep(_SEARCH_AFTER_S)
                found = "" if self.leader else await self._search.find()
        except TimeoutError:
            return
        if found and self.leader is None:
            self.leader = found
            self._silent_at.pop(found, None)
            self._go_on()

    def _go_on(self) -> None:
        """End the pause: there is a leader."""
        self._not_before = 0.0
        self._may_go_on.set()

    def _search_ended(self, task: asyncio.Task[None]) -> None:
        self._searching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: the search for the leader failed", self.channel, exc_info=error)

    def _wait(self, delay_s: float) -> None:
        self._not_before = max(self._not_before, self._clock() + delay_s)

    def _requeue(self, batch: list[QueuedEnvelope]) -> None:
        self.counters.retries += len(batch)
        for pending in reversed(batch):
            if not pending.ordered.done():
                self._enqueue(pending, first=True)

    def _refuse(self, pending: QueuedEnvelope, error: GridLedgerError) -> None:
        error.details.setdefault("tx_id", pending.tx_id)
        if pending.maybe_sent:
            # This attempt was refused. An earlier one, whose answer was lost, may have been ordered.
            error.details.setdefault("outcome", "unknown")
        pending.settle(error)

    def _give_up(self, pending: QueuedEnvelope, reason: str) -> None:
        outcome = "unknown" if pending.maybe_sent else "not ordered"
        advice = "ask for its status before sending another" if pending.maybe_sent else "send it again"
        error = OrderersUnavailable(
            f"{reason}; {advice}", tx_id=pending.tx_id, outcome=outcome, orderers=dict(self.counters.reasons)
        )
        self._refuse(pending, error)


def _results(answer: bytes, count: int) -> list[dict[str, Any]]:
    """The verdict on each envelope of a batch, each with a number as its status."""
    try:
        message = jsontext.loads(answer)
    except MalformedJSON as error:
        raise MalformedMessage(f"the orderer's answer is {error.message}", status=_FAILURE) from None
    results = message.get("results") if isinstance(message, dict) else None
    if (
        not isinstance(results, list)
        or len(results) != count
        or not all(isinstance(item, dict) and type(item.get("status")) is int for item in results)
    ):
        raise MalformedMessage(f"the orderer's answer has no {count} results", status=_FAILURE)
    return results
