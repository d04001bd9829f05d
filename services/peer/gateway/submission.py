"""Submitting: transactions go to the orderers' queue, and whoever brought them learns what became of them.

Many come together, and nothing but one small object is made for each: the queue and the commit notifier call back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gridledger import jsontext
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.identity.msp import Identity
from gridledger.protocol.config_update import CONFIG_PREFIX, ConfigUpdate
from gridledger.protocol.errors import EnvelopeTooLarge
from gridledger.protocol.fields import exactly, hash_of
from gridledger.protocol.status import Status
from services.peer.channel import Channel, Channels
from services.peer.errors import CommitTimeout
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.ordering_queue import OrderingQueue, Pending

_MEMBERS = frozenset(("proposal", "result", "endorsements", "signature"))
_TEXT_PREFIX = '{"kind":"proposal","channel":"'

Answer = Callable[[int, Status | GridLedgerError], None]
"""Is called once for each transaction, with its position: what became of it, or why that is not known."""


class Submitter:
    """The gateway's way to the orderers. ``queues`` has an ordering queue for each channel."""

    def __init__(
        self,
        channels: Channels,
        queues: Mapping[str, OrderingQueue],
        notifier: CommitNotifier,
        *,
        clock_us: Callable[[], int],
        commit_timeout_s: float,
    ) -> None:
        self.queues = queues
        self.notifier = notifier
        self.commit_timeout_s = commit_timeout_s
        self._channels = channels
        self._clock_us = clock_us

    def begin(self, envelopes: Sequence[bytes], caller: Identity, answer: Answer) -> Batch:
        """Order transactions, each by itself, and wait for their commits; ``answer`` may be called before this returns.

        A transaction that is on the ledger already is not ordered again: its outcome is told. Errors are those of
        reading, what ordering raises, and :class:`CommitTimeout`.
        """
        batch = Batch(self, answer)
        allowed: set[str] = set()
        for position, envelope in enumerate(envelopes):
            try:
                channel, tx_id = self.read(envelope, caller, allowed)
                batch.add(position, channel.name, tx_id, envelope)
            except GridLedgerError as error:
                answer(position, error)
        return batch

    async def submit(self, envelope: bytes, caller: Identity) -> Status:
        """As :meth:`begin`, for one transaction; raises its error."""
        future: asyncio.Future[Status] = asyncio.get_running_loop().create_future()

        def answer(_: int, outcome: Status | GridLedgerError) -> None:
            if isinstance(outcome, GridLedgerError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        batch = self.begin([envelope], caller, answer)
        try:
            return await future
        finally:
            batch.abandon()

    async def order(self, envelope: bytes, caller: Identity) -> str:
        """Hand a transaction to the orderers; its id, once it is in the replicated, durable log."""
        channel, tx_id = self.read(envelope, caller, set())
        ordered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def tell(error: GridLedgerError | None) -> None:
            if error is None:
                ordered.set_result(tx_id)
            else:
                ordered.set_exception(error)

        queue = self.queues[channel.name]
        pending = queue.add(tx_id, envelope, tell)
        try:
            return await ordered
        finally:
            queue.discard(pending)

    def read(self, envelope: bytes, caller: Identity, allowed: set[str]) -> tuple[Channel, str]:
        """An envelope's channel and id. All else about it is judged by the orderers, and by every peer.

        ``allowed`` remembers, for one caller and moment, the channels that he may submit on.
        """
        if envelope.startswith(CONFIG_PREFIX):
            update = ConfigUpdate.parse(envelope)
            name, tx_id = update.config.channel, update.tx_id
        else:
            text = _proposal_text(envelope)
            name, tx_id = _channel_of(text), hash_of(text)
        channel = self._channels[name]
        if name not in allowed:
            channel.require("readers", channel.identify(caller.certificate, self._clock_us()))
            allowed.add(name)
        limit = channel.config.limits.max_envelope_bytes
        if len(envelope) > limit:
            raise EnvelopeTooLarge(f"the envelope has {len(envelope)} bytes, the channel allows {limit}", limit=limit)
        return channel, tx_id


class Batch:
    """Transactions that came together, until each is answered or nobody wants to know any more."""

    __slots__ = ("_answer", "_items", "_submitter", "_timer")

    def __init__(self, submitter: Submitter, answer: Answer) -> None:
        self._submitter = submitter
        self._answer = answer
        self._items: set[_Item] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, position: int, channel: str, tx_id: str, envelope: bytes) -> None:
        """Take in one; raises :class:`BusyError`."""
        submitter = self._submitter
        item = _Item(self, position, channel, tx_id)
        known = submitter.notifier.add(channel, tx_id, item.committed)
        if known is not None:
            self._answer(position, known)
            return
        try:
            item.pending = submitter.queues[channel].add(tx_id, envelope, item.ordered)
        except BaseException:
            submitter.notifier.remove(channel, tx_id, item.committed)
            raise
        self._items.add(item)

    def finish(self, item: _Item, outcome: Status | GridLedgerError) -> None:
        """One is answered."""
        self._items.discard(item)
        if not self._items:
            self._stop_timer()
        self._answer(item.position, outcome)

    def watch(self, at: float) -> None:
        """One is ordered: see to it that its commit is not waited for beyond ``at`` (the loop's clock)."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def abandon(self) -> None:
        """Nobody wants to know any more: what is not on its way yet is not ordered."""
        self._stop_timer()
        for item in self._items:
            item.forget()
        self._items.clear()

    def _look(self) -> None:
        """Answer those whose commit has not come in time; look again when the next is due."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        due = [item for item in self._items if item.due is not None]
        for item in due:
            if item.due is not None and item.due <= now:
                item.forget()
                self.finish(item, _too_late(item.tx_id, self._submitter.commit_timeout_s))
        later = [item.due for item in due if item.due is not None and item.due > now]
        if later:
            self.watch(min(later))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def submitter(self) -> Submitter:
        """Whose batch this is."""
        return self._submitter


class _Item:
    """One transaction: called back by the ordering queue and by the commit notifier."""

    __slots__ = ("batch", "channel", "due", "pending", "position", "tx_id")

    def __init__(self, batch: Batch, position: int, channel: str, tx_id: str) -> None:
        self.batch = batch
        self.position = position
        self.channel = channel
        self.tx_id = tx_id
        self.pending: Pending | None = None
        self.due: float | None = None

    def ordered(self, error: GridLedgerError | None) -> None:
        """The orderers have it, or it is not ordered."""
        if error is not None:
            self.forget()
            self.batch.finish(self, error)
            return
        self.due = asyncio.get_running_loop().time() + self.batch.submitter.commit_timeout_s
        self.batch.watch(self.due)

    def committed(self, outcome: Status) -> None:
        """It is committed, perhaps before the orderers' acknowledgement has come, or in its place."""
        if self.pending is not None and not self.pending.settled:
            self.batch.submitter.queues[self.channel].discard(self.pending)
        self.batch.finish(self, outcome)

    def forget(self) -> None:
        """Neither is to call back any more."""
        submitter = self.batch.submitter
        submitter.notifier.remove(self.channel, self.tx_id, self.committed)
        if self.pending is not None and not self.pending.settled:
            submitter.queues[self.channel].discard(self.pending)


def _too_late(tx_id: str, timeout_s: float) -> CommitTimeout:
    return CommitTimeout(
        f"the transaction is ordered, and was not committed here within {timeout_s} s: ask for its status",
        tx_id=tx_id,
    )


def _proposal_text(envelope: bytes) -> str:
    try:
        # Not the strict reader: whether an envelope could be read in two ways, the orderers and every peer look.
        message = jsontext.loads_trusted(envelope)
    except ValueError:
        message = jsontext.loads(envelope)
    exactly(message, _MEMBERS, "a transaction")
    text = message["proposal"]
    if not isinstance(text, str):
        raise MalformedMessage("'proposal' must be the proposal's text, a string")
    return text


def _channel_of(proposal_text: str) -> str:
    """The channel's name. As every client of ours writes it, it stands at the beginning."""
    if proposal_text.startswith(_TEXT_PREFIX):
        name, quote, _ = proposal_text[len(_TEXT_PREFIX) : len(_TEXT_PREFIX) + 200].partition('"')
        if quote and "\\" not in name:
            return name
    proposal = jsontext.loads(proposal_text)
    channel = proposal.get("channel") if isinstance(proposal, dict) else None
    if not isinstance(channel, str):
        raise MalformedMessage("the proposal names no channel")
    return channel
