"""Submission: hands a transaction to the orderers and waits until its commit is durable on this peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gridledger import jsontext
from gridledger.effort import LARGE_BYTES, Effort
from gridledger.errors import GridLedgerError, InputError, MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity
from gridledger.protocol.acls import SUBMIT, SUBMIT_CONFIG
from gridledger.protocol.config_update import CONFIG_PREFIX, ConfigUpdate, check_signed
from gridledger.protocol.errors import EnvelopeTooLarge
from gridledger.protocol.fields import exactly, from_base64, hash_of
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result
from gridledger.protocol.transaction import read_endorsements
from gridledger.protocol.transaction_status import Status
from gridledger.waiting import first_done
from services.peer.channel import Channel, Channels
from services.peer.errors import CommitTimeout
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.endorsed_here import EndorsedHere
from services.peer.gateway.ordering_queue import OrderingQueue

SECONDS_PER_BYTE = 1e-8
"""Roughly what an orderer needs to find out that an envelope's signature does not hold."""
_REFUSED = frozenset((400, 401, 403, 413))
_MEMBERS = frozenset(("proposal", "result", "endorsements", "signature"))


class Submitter:
    """The gateway's way to the orderers. ``queues`` has an ordering queue for each channel."""

    def __init__(
        self,
        channels: Channels,
        queues: Mapping[str, OrderingQueue],
        notifier: CommitNotifier,
        endorsed_here: EndorsedHere,
        *,
        clock_us: Callable[[], int],
        commit_timeout_s: float,
        effort: Effort | None = None,
    ) -> None:
        self._effort = effort or Effort()
        self._queues = queues
        self._notifier = notifier
        self._endorsed_here = endorsed_here
        self._commit_timeout_s = commit_timeout_s
        self._channels = channels
        self._clock_us = clock_us

    async def submit(self, envelope: bytes, caller: Identity) -> Status:
        """Have a transaction ordered, and wait for its commit.

        One that is on the ledger already is not ordered again: its status is told. Errors are those of reading, what
        ordering raises, and :class:`CommitTimeout`.
        """
        channel, tx_id = await self._read(envelope, caller)
        with self._notifier.waiting(channel.name, tx_id, caller.signer) as committed:
            if committed.done():
                return committed.result()
            queue = self._queues[channel.name]
            pending = queue.add(tx_id, envelope, caller.signer)
            try:
                # The commit may be seen before the orderers' acknowledgement comes, or in its place.
                await first_done((pending.ordered, committed))
                if not committed.done():
                    pending.ordered.result()
                    await first_done((committed,), self._commit_timeout_s)
            except GridLedgerError as error:
                self._charge(error, envelope, caller)
                raise
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
        channel, tx_id = await self._read(envelope, caller)
        queue = self._queues[channel.name]
        pending = queue.add(tx_id, envelope, caller.signer)
        try:
            await pending.ordered
        except GridLedgerError as error:
            self._charge(error, envelope, caller)
            raise
        finally:
            queue.discard(pending)
        return tx_id

    def _charge(self, error: GridLedgerError, envelope: bytes, caller: Identity) -> None:
        """What an orderer refused has cost it time, the more the longer it is. The client owes that here."""
        if error.status in _REFUSED:
            self._effort.charge(caller.signer, len(envelope) * SECONDS_PER_BYTE)

    async def _read(self, envelope: bytes, caller: Identity) -> tuple[Channel, str]:
        """:meth:`read`, timed; a large envelope away from the event loop."""
        if len(envelope) > LARGE_BYTES:
            return await self._effort.in_thread(caller.signer, self.read, envelope, caller)
        with self._effort.spent_by(caller.signer):
            return self.read(envelope, caller)

    def read(self, envelope: bytes, caller: Identity) -> tuple[Channel, str]:
        """An envelope's channel and id, where the caller may bring it.

        One that cannot be read is refused here, with the member named: on the chain it would have no id, and nobody
        could be told what became of it. All else is judged by the orderers, and by every peer. A config update is
        brought by any reader: what it may change stands under its signatures, and without them it is refused here.
        """
        creator: Certificate | None = None
        update: ConfigUpdate | None = None
        if envelope.startswith(CONFIG_PREFIX):
            update = ConfigUpdate.parse(envelope)
            name, tx_id = update.channel, update.tx_id
        else:
            name, creator, tx_id = self._read_transaction(envelope)
        channel, now_us = self._channels[name], self._clock_us()
        resource = SUBMIT if update is None else SUBMIT_CONFIG
        channel.require(resource, channel.identify(caller.certificate, now_us))
        if update is not None and channel.status(tx_id) is None:  # one that is on the chain may have changed the admins
            check_signed(channel.config, update, now_us)
        if creator is not None and creator.fingerprint != caller.fingerprint:
            channel.check_bearer(caller, creator, now_us)
        limit = channel.config.limits.max_envelope_bytes
        if len(envelope) > limit:
            raise EnvelopeTooLarge(f"the envelope has {len(envelope)} bytes, the channel allows {limit}", limit=limit)
        return channel, tx_id

    def _read_transaction(self, envelope: bytes) -> tuple[str, Certificate, str]:
        """A transaction's channel, creator and id. What was endorsed here has been read before."""
        message = exactly(_read(envelope), _MEMBERS, "a transaction")
        text, result = _text(message, "proposal"), _text(message, "result")
        tx_id = hash_of(text)
        endorsed = self._endorsed_here.find(tx_id, result)
        with _named("endorsements"):
            read_endorsements(message["endorsements"])
        if endorsed is not None:
            return endorsed.channel, endorsed.creator, tx_id
        with _named("result"):
            Result.parse(result)
        with _named("signature"):
            from_base64(message["signature"], "it")
        with _named("proposal"):
            proposal = Proposal.parse(text)
            return proposal.channel, proposal.certificate(), tx_id


def _text(message: dict[str, Any], member: str) -> str:
    text = message[member]
    if not isinstance(text, str):
        raise MalformedMessage(f"{member!r} must be a text inside a string")
    return text


@contextmanager
def _named(member: str) -> Iterator[None]:
    """Say in an error which member of the envelope it is about."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"the transaction's {member!r}: {error.message}") from None


def _read(text: bytes) -> Any:
    try:
        # Not the strict reader: whether a text could be read in two ways, the orderers and every peer look.
        return jsontext.loads_trusted(text)
    except ValueError:
        return jsontext.loads(text)
