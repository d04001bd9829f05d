"""Proofs of the node's own events: from the event's transaction to its block's header, and to an anchor of the channel.

The transaction with its Merkle path comes from a peer, and is kept as soon as the ledger has the event; the header and
the commit hash are compared with those that the node follows by itself. Once an anchor of the channel is final that
covers the block, the path of the block's leaf in the anchored tree is added.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Any, Final, Protocol

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.client.anchors import Anchor
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.proof import ProvedTransaction
from services.lightnode.chain_store import ChainStore
from services.lightnode.errors import ChainBroken, NotOnChain
from services.lightnode.headers import HeaderChain
from services.lightnode.journal import InThread
from services.lightnode.recorder.marks import ON_CHAIN
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.settings import LightNodeDevice

MAX_DUE: Final = 10_000
"""Transactions whose proofs are asked for in advance; those beyond are asked for when a proof is wanted."""

_DROP_EVERY_S: Final = 600.0

_log = logging.getLogger(__name__)


class Transactions(Protocol):
    """A channel, as the SDK's Network has it."""

    async def get_transaction(self, tx_id: str) -> ProvedTransaction:
        """A transaction whose Merkle path leads to its block's header."""


class Anchors(Protocol):
    """The contract of anchors."""

    async def anchor(self, channel: str, size: int | None = None) -> Anchor:
        """The first final tree head of a channel with at least ``size`` blocks; CHAINCODE_REFUSED where none is."""


class Proofs:
    """The proofs of a node's events on its sections."""

    def __init__(
        self,
        sections: Mapping[str, Transactions],
        chains: Mapping[str, HeaderChain],
        anchors: Anchors | None,
        store: ChainStore,
        recorder: Recorder,
        *,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._sections = sections
        self._chains = chains
        self._anchors = anchors
        self._store = store
        self._recorder = recorder
        self._in_thread = in_thread
        self._due: deque[tuple[str, str]] = deque(maxlen=MAX_DUE)
        self._any = asyncio.Event()

    def is_due(self, channel: str, tx: str) -> None:
        """Ask for the proof of a transaction when there is time. Devices that share one say it one after the other."""
        if not self._due or self._due[-1] != (channel, tx):
            self._due.append((channel, tx))
            self._any.set()

    async def fill(self, random: Random) -> None:
        """Ask for the proofs that are due, one after the other, until this is cancelled."""
        backoff = Backoff(0.5, 30.0, random)
        while True:
            while not self._due:
                self._any.clear()
                await self._any.wait()
            channel, tx = self._due[0]
            try:
                await self._transaction(channel, tx)
            except GridLedgerError as error:
                _log.debug("a proof cannot be asked for now", extra={"tx": tx, "why": error.message})
                await asyncio.sleep(backoff.failed())
                self._due.rotate(-1)
            else:
                backoff.succeeded()
                if self._due and self._due[0] == (channel, tx):
                    self._due.popleft()

    async def keep_within(self, devices: Mapping[str, LightNodeDevice]) -> None:
        """Let go of proofs whose events the ring no longer has, from time to time, until this is cancelled; at first,
        ask for those that are missing."""
        for device in devices.values():
            for mark in self._recorder.device(device.device).marks[-MAX_DUE:]:
                if mark.tx is not None:
                    self.is_due(device.section, mark.tx)
        while True:
            await asyncio.sleep(_DROP_EVERY_S)
            for channel in self._sections:
                kept = [
                    mark.tx
                    for device in devices.values()
                    if device.section == channel
                    for mark in self._recorder.device(device.device).marks
                    if mark.tx is not None
                ]
                await self._in_thread(self._store.drop_proofs, channel, kept)

    async def of(self, channel: str, device: str, number: int) -> dict[str, Any]:
        """The proof of a record. :class:`NotOnChain` while the ledger has it not, or the headers do not reach it."""
        found = self._recorder.device(device).mark_of(number)
        if found is None or found[0].kind != ON_CHAIN or found[0].tx is None:
            why = "it waits for the ledger" if found is None else found[0].why or "it is not on the ledger"
            raise NotOnChain(f"there is no proof of this event: {why}")
        mark, seq = found
        tx = mark.tx or ""
        transaction = await self._transaction(channel, tx)
        chain = self._chains[channel]
        item = await self._in_thread(chain.header, transaction.block)
        if item is None:
            raise NotOnChain(
                f"there is no proof yet: this node has the headers of {chain.height} blocks of {channel}, and the "
                f"event is in block {transaction.block}; {chain.fault or 'ask again in a moment'}"
            )
        if item.header.text != transaction.header.text or transaction.code != TxValidationCode.VALID:
            raise ChainBroken(f"a peer's proof of transaction {tx} is not of the chain that this node follows")
        return {
            "device": device,
            "channel": channel,
            "seq": seq,
            "transaction": transaction.to_dict(),
            "commit_hash": item.commit_hash,
            "anchor": await self._anchored(chain, transaction.block),
        }

    async def _transaction(self, channel: str, tx: str) -> ProvedTransaction:
        kept = await self._in_thread(self._store.proof, channel, tx)
        if kept is not None:
            return ProvedTransaction.from_dict(jsontext.loads(kept))
        found = await self._sections[channel].get_transaction(tx)
        await self._in_thread(self._store.add_proof, channel, tx, jsontext.dumps(found.to_dict()))
        return found

    async def _anchored(self, chain: HeaderChain, block: int) -> dict[str, Any] | None:
        """The anchor that covers a block, with the path of its leaf; None while there is none or none can be asked
        for."""
        if self._anchors is None:
            return None
        try:
            anchor = await self._anchors.anchor(chain.channel, block + 1)
        except GridLedgerError as error:
            _log.debug("no anchor", extra={"channel": chain.channel, "block": block, "why": error.message})
            return None
        size, head = anchor.size, anchor.head
        if not block < size <= chain.height:
            return None
        if chain.tree.root(size).hex() != head.root:
            raise ChainBroken(
                f"{chain.channel} is anchored at {size} blocks with another tree than that of the headers which this "
                "node has: one of the two was changed"
            )
        record = {"channel": chain.channel, "size": size, **head._asdict()}
        record |= {"organisations": list(anchor.organisations), "time_us": anchor.time_us}
        path = [node.hex() for node in chain.tree.inclusion(block, size)]
        return {"record": record, "index": block, "path": path}
