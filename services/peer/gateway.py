"""The gateway: one peer through which a client endorses, submits, evaluates and learns the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from typing import Any, Protocol

from gridledger import jsontext
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.identity.msp import Identity
from gridledger.protocol.config import Node
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.fields import exactly, hash_of
from gridledger.protocol.proposal import SignedProposal
from services.peer.channel import Channel, Channels
from services.peer.collector import Collector
from services.peer.commit_notifier import CommitNotifier, Outcome
from services.peer.endorser import FIRST_REFUSAL, Admitted, Endorser
from services.peer.errors import ChaincodeRefused, CommitTimeout, EnvelopeTooLarge
from services.peer.ordering import OrderingQueue, Pending

CONFIG_PREFIX = b'{"config_update":'
_MEMBERS = frozenset(("proposal", "result", "endorsements", "signature"))
_ELSEWHERE = frozenset(("CHAINCODE_NOT_INSTALLED", "CHAINCODE_UNAVAILABLE"))
"""Why this peer cannot evaluate a proposal that another one may."""


class Elsewhere(Protocol):
    """Evaluates on another peer: the part of PeerClients that evaluation needs."""

    async def evaluate(self, peer: Node, admitted: Admitted, timeout_s: float) -> bytes: ...


class Gateway:
    """The nouns of a peer, put to a client's use. ``queues`` has an ordering queue for each channel."""

    def __init__(
        self,
        name: str,
        channels: Channels,
        *,
        endorser: Endorser,
        collector: Collector,
        queues: dict[str, OrderingQueue],
        notifier: CommitNotifier,
        elsewhere: Elsewhere,
        clock_us: Callable[[], int],
        random: Random,
        evaluate_timeout_s: float,
        commit_timeout_s: float,
    ) -> None:
        self._name = name
        self._channels = channels
        self._endorser = endorser
        self._collector = collector
        self._queues = queues
        self._notifier = notifier
        self._elsewhere = elsewhere
        self._clock_us = clock_us
        self._random = random
        self._evaluate_timeout_s = evaluate_timeout_s
        self._commit_timeout_s = commit_timeout_s

    async def endorse(self, body: bytes, caller: Identity) -> bytes:
        """Collect endorsements of a signed proposal: {"result", "endorsements", "endorsed_by"}."""
        admitted = self._endorser.admit(SignedProposal.from_bytes(body), caller)
        collected = await self._collector.collect(admitted)
        return jsontext.dumps(
            {
                "result": collected.result_text,
                "endorsements": [item.to_dict() for item in collected.endorsements],
                "endorsed_by": list(collected.peers),
            }
        )

    async def endorse_many(
        self, bodies: Sequence[bytes], caller: Identity
    ) -> AsyncIterator[list[tuple[int, bytes | GridLedgerError]]]:
        """As :meth:`endorse`, for many signed proposals: (position, answer or error), each as soon as it is known."""
        tasks = {asyncio.ensure_future(self.endorse(body, caller)): position for position, body in enumerate(bodies)}
        try:
            while tasks:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                yield [(tasks.pop(task), _outcome_of(task)) for task in done]
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.gather(*tasks, return_exceptions=True)

    async def evaluate(self, body: bytes, caller: Identity, *, forward: bool = True) -> bytes:
        """Run a proposal on one peer: {"status", "message", "payload"}. Nothing is signed, nothing ordered.

        Runs here, or on another peer where the chaincode is not to be had here. A refusal is ChaincodeRefused.
        """
        admitted = self._endorser.admit(SignedProposal.from_bytes(body), caller, policy="readers")
        try:
            response = (await self._endorser.run(admitted)).response
        except GridLedgerError as error:
            if not forward or error.code not in _ELSEWHERE:
                raise
            return await self._evaluate_elsewhere(admitted, error)
        if response.status >= FIRST_REFUSAL:
            raise ChaincodeRefused(
                response.message,
                tx_id=admitted.signed.proposal.tx_id,
                response={"status": response.status, "message": response.message},
                endorsers={self._name: response.message},
            )
        return jsontext.dumps(response._asdict())

    async def _evaluate_elsewhere(self, admitted: Admitted, first: GridLedgerError) -> bytes:
        others = [node for node in admitted.channel.config.peers.values() if node.name != self._name]
        self._random.shuffle(others)
        # The healthy ones first; the sort keeps the shuffled order among equals.
        chaincode = admitted.definition.name
        others.sort(key=lambda node: self._collector.health.rank(node.name, chaincode))
        for node in others:
            try:
                return await self._elsewhere.evaluate(node, admitted, self._evaluate_timeout_s)
            except GridLedgerError as error:
                if error.status < 500:  # noqa: PLR2004 - what the client did wrong is wrong everywhere
                    raise
                self._collector.health.failed(node, chaincode, error)
        raise first

    async def order(self, envelope: bytes, caller: Identity) -> str:
        """Hand a transaction to the orderers; its id, once it is in the replicated, durable log."""
        channel, tx_id = self._read(envelope, caller)
        queue = self._queues[channel.name]
        pending = queue.add(tx_id, envelope)
        try:
            await pending.acknowledged
        finally:
            queue.discard(pending)
        return tx_id

    async def submit(self, envelope: bytes, caller: Identity) -> Outcome:
        """Order a transaction and wait for its commit on this peer.

        A transaction that is on the ledger already is not ordered again: its outcome is told. Raises what ordering
        raises, and :class:`CommitTimeout`.
        """
        channel, tx_id = self._read(envelope, caller)
        with self._notifier.waiting(channel.name, tx_id) as committed:
            if committed.done():
                return committed.result()
            queue = self._queues[channel.name]
            pending = queue.add(tx_id, envelope)
            try:
                await self._ordered(pending, committed)
            finally:
                queue.discard(pending)
            return await self._committed(committed, tx_id)

    async def status(self, channel_name: str, tx_id: str, caller: Identity, wait_s: float) -> Outcome | None:
        """What became of a transaction; waits up to ``wait_s`` for it, None if it is not on the ledger by then."""
        channel = self._channels[channel_name]
        channel.require("readers", self._member(channel, caller))
        if wait_s <= 0:
            return channel.outcome(tx_id)
        with self._notifier.waiting(channel_name, tx_id) as committed:
            await asyncio.wait((committed,), timeout=wait_s)
            return committed.result() if committed.done() else None

    @staticmethod
    async def _ordered(pending: Pending, committed: asyncio.Future[Outcome]) -> None:
        """Until the orderers have it; or until it is committed, should only the acknowledgement have been lost."""
        await asyncio.wait((pending.acknowledged, committed), return_when=asyncio.FIRST_COMPLETED)
        if not committed.done():
            pending.acknowledged.result()

    async def _committed(self, committed: asyncio.Future[Outcome], tx_id: str) -> Outcome:
        await asyncio.wait((committed,), timeout=self._commit_timeout_s)
        if not committed.done():
            raise CommitTimeout(
                f"the transaction is ordered, and was not committed here within {self._commit_timeout_s} s: "
                "ask for its status",
                tx_id=tx_id,
            )
        return committed.result()

    def _member(self, channel: Channel, caller: Identity) -> Identity:
        return channel.identify(caller.certificate, self._clock_us())

    def _read(self, envelope: bytes, caller: Identity) -> tuple[Channel, str]:
        """An envelope's channel and id. All else about it is judged by the orderers, and by every peer."""
        if envelope.startswith(CONFIG_PREFIX):
            update = ConfigUpdate.parse(envelope)
            name, tx_id = update.config.channel, update.tx_id
        else:
            text = _proposal_text(envelope)
            name, tx_id = _channel_of(text), hash_of(text)
        channel = self._channels[name]
        channel.require("readers", self._member(channel, caller))
        limit = channel.config.limits.max_envelope_bytes
        if len(envelope) > limit:
            raise EnvelopeTooLarge(f"the envelope has {len(envelope)} bytes, the channel allows {limit}", limit=limit)
        return channel, tx_id


def _outcome_of(task: asyncio.Future[bytes]) -> bytes | GridLedgerError:
    try:
        return task.result()
    except GridLedgerError as error:
        return error


def _proposal_text(envelope: bytes) -> str:
    message = exactly(jsontext.loads(envelope), _MEMBERS, "a transaction")
    text = message["proposal"]
    if not isinstance(text, str):
        raise MalformedMessage("'proposal' must be the proposal's text, a string")
    return text


def _channel_of(proposal_text: str) -> str:
    proposal: Any = jsontext.loads(proposal_text)
    channel = proposal.get("channel") if isinstance(proposal, dict) else None
    if not isinstance(channel, str):
        raise MalformedMessage("the proposal names no channel")
    return channel
