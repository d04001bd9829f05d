"""Submission: hands a transaction to the orderers and waits until its commit is durable on this peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity
from gridledger.protocol.config_update import CONFIG_PREFIX, ConfigUpdate
from gridledger.protocol.errors import EnvelopeTooLarge
from gridledger.protocol.fields import exactly, hash_of, text_of
from gridledger.protocol.proposal import MAX_CREATOR, creator_certificate
from gridledger.protocol.transaction_status import Status
from gridledger.waiting import first_done
from services.peer.channel import Channel, Channels
from services.peer.errors import CommitTimeout
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.ordering_queue import OrderingQueue

_MEMBERS = frozenset(("proposal", "result", "endorsements", "signature"))


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
        self._queues = queues
        self._notifier = notifier
        self._commit_timeout_s = commit_timeout_s
        self._channels = channels
        self._clock_us = clock_us

    async def submit(self, envelope: bytes, caller: Identity) -> Status:
        """Have a transaction ordered, and wait for its commit.

        One that is on the ledger already is not ordered again: its status is told. Errors are those of reading, what
        ordering raises, and :class:`CommitTimeout`.
        """
        channel, tx_id = self.read(envelope, caller)
        with self._notifier.waiting(channel.name, tx_id) as committed:
            if committed.done():
                return committed.result()
            queue = self._queues[channel.name]
            pending = queue.add(tx_id, envelope)
            try:
                # The commit may be seen before the orderers' acknowledgement comes, or in its place.
                await first_done((pending.ordered, committed))
                if not committed.done():
                    pending.ordered.result()
                    await first_done((committed,), self._commit_timeout_s)
            finally:
                queue.discard(pending)
            if not committed.done():
                raise CommitTimeout(
                    f"the transaction is ordered, and was not committed here within {self._commit_timeout_s} s: "
                    "ask for its status",
                    tx_id=tx_id,
                )
            return committed.result()

    async def order(self, envelope: bytes, caller: Identity) -> str:
        """Hand a transaction to the orderers; its id, once it is in the replicated, durable log."""
        channel, tx_id = self.read(envelope, caller)
        queue = self._queues[channel.name]
        pending = queue.add(tx_id, envelope)
        try:
            await pending.ordered
        finally:
            queue.discard(pending)
        return tx_id

    def read(self, envelope: bytes, caller: Identity) -> tuple[Channel, str]:
        """An envelope's channel and id, where the caller may bring it. All else is judged by the orderers, and by every
        peer. A config update is brought by any reader: what it may do stands under its admins' signatures."""
        creator: Certificate | None = None
        if envelope.startswith(CONFIG_PREFIX):
            update = ConfigUpdate.parse(envelope)
            name, tx_id = update.config.channel, update.tx_id
        else:
            text = _proposal_text(envelope)
            (name, creator), tx_id = _channel_and_creator(text), hash_of(text)
        channel, now_us = self._channels[name], self._clock_us()
        channel.require("readers", channel.identify(caller.certificate, now_us))
        if creator is not None and creator.fingerprint != caller.fingerprint:
            channel.check_bearer(caller, creator, now_us)
        limit = channel.config.limits.max_envelope_bytes
        if len(envelope) > limit:
            raise EnvelopeTooLarge(f"the envelope has {len(envelope)} bytes, the channel allows {limit}", limit=limit)
        return channel, tx_id


def _proposal_text(envelope: bytes) -> str:
    message = exactly(_read(envelope), _MEMBERS, "a transaction")
    text = message["proposal"]
    if not isinstance(text, str):
        raise MalformedMessage("'proposal' must be the proposal's text, a string")
    return text


def _channel_and_creator(proposal_text: str) -> tuple[str, Certificate]:
    proposal = _read(proposal_text)
    if not isinstance(proposal, dict):
        raise MalformedMessage("a proposal is a JSON object")
    return text_of(proposal, "channel"), creator_certificate(text_of(proposal, "creator", max_length=MAX_CREATOR))


def _read(text: str | bytes) -> Any:
    try:
        # Not the strict reader: whether a text could be read in two ways, the orderers and every peer look.
        return jsontext.loads_trusted(text)
    except ValueError:
        return jsontext.loads(text)
