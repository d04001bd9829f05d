"""A channel in memory, for :class:`gridledger.client.testing.FakeGateway`: runs chaincode, validates, keeps a chain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.contract.api import Contract
from gridledger.contract.context import ClientIdentity, Context
from gridledger.contract.executor import SUCCESS, execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.state import MemoryState
from gridledger.errors import ConflictError, InputError, NotFoundError, SettingsError
from gridledger.protocol import merkle
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import ChaincodeEvent, CommittedBlock
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.proposal import SignedProposal
from gridledger.protocol.result import Result
from gridledger.protocol.search import TRANSACTION, FoundTransaction
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.transaction_status import Status

Function = Callable[..., Any]
ChaincodeSource = Path | str | Contract | type[Contract] | Mapping[str, Function]
"""A chaincode's folder, a contract (class or instance), or functions by name, each called as ``f(ctx, *args)``."""


class _Table(Contract):
    """Plain functions as a contract."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._table = dict(functions)

    def unknown_transaction(self, ctx: Context) -> Any:
        """Every call comes here: the class itself has no function."""
        name, args = ctx.stub.get_function_and_parameters()
        if name not in self._table:
            return super().unknown_transaction(ctx)
        return self._table[name](ctx, *args)


def chaincode_of(source: ChaincodeSource) -> Chaincode:
    """The functions of a source; :class:`SettingsError` where it is none."""
    if isinstance(source, Path | str):
        return load(Path(source))
    if isinstance(source, Mapping):
        return Chaincode([_Table(source)])
    made = source() if isinstance(source, type) else source
    if not isinstance(made, Contract):
        raise SettingsError(f"{source!r} is no chaincode: give a folder, a Contract, or functions by name")
    return Chaincode([made])


@dataclass(slots=True)
class _Running:
    """A chaincode with its world state."""

    chaincode: Chaincode
    state: MemoryState = field(default_factory=MemoryState)


class FakeLedger:
    """One channel with its chaincodes. Each transaction is a block of its own. ``clock_us`` gives the blocks' time."""

    def __init__(
        self, channel: str, sources: Mapping[str, ChaincodeSource], caller: ClientIdentity, clock_us: Callable[[], int]
    ) -> None:
        self.channel = channel
        self.verdicts: list[TxValidationCode] = []
        self.blocks: list[Block] = []
        self.events: list[CommittedBlock] = []
        self.grown = asyncio.Event()
        self._running = {name: _Running(chaincode_of(source)) for name, source in sources.items()}
        self._caller = caller
        self._clock_us = clock_us
        self._statuses: dict[str, Status] = {}
        self._append([], [], [], [])

    @property
    def info(self) -> ChainInfo:
        """How far the channel is."""
        newest, event = self.blocks[-1], self.events[-1]
        return ChainInfo(
            channel=self.channel,
            height=len(self.blocks),
            commit_hash=event.commit_hash,
            last_hash=newest.header.hash,
            timestamp_us=newest.header.timestamp_us,
            transactions=len(self._statuses),
            config_sequence=0,
            size_bytes=sum(len(envelope) for block in self.blocks for envelope in block.envelopes),
        )

    def running(self, chaincode: str) -> _Running:
        """A chaincode of the channel."""
        found = self._running.get(chaincode)
        if found is None:
            known = ", ".join(sorted(self._running)) or "none"
            raise NotFoundError(
                f"the channel {self.channel} has no chaincode {chaincode!r}; it has: {known}", code="CHAINCODE_UNKNOWN"
            )
        return found

    def run(self, signed: SignedProposal) -> Result:
        """What a proposal does; a refusal is CHAINCODE_REFUSED, as a gateway's."""
        proposal = signed.proposal
        running = self.running(proposal.chaincode)
        result = execute(running.chaincode, proposal, self._caller, running.state, signed.transient)
        if result.response.status != SUCCESS:
            response = {"status": result.response.status, "message": result.response.message}
            raise InputError(
                result.response.message,
                code="CHAINCODE_REFUSED",
                tx_id=proposal.tx_id,
                response=response,
                endorsers={"fake": result.response.message},
            )
        return result

    def check_new(self, tx_id: str) -> None:
        """Raise DUPLICATE_TXID for a transaction that is on the chain."""
        known = self._statuses.get(tx_id)
        if known is not None:
            raise ConflictError(
                f"this transaction is in block {known.block} already, {known.code.name}",
                code="DUPLICATE_TXID",
                outcome=known.to_dict(),
            )

    def commit(self, transaction: Transaction) -> Status:
        """Put a transaction on the chain; the status, which is the first one's where it comes again."""
        known = self._statuses.get(transaction.tx_id)
        if known is not None:
            return known
        code = self.verdicts.pop(0) if self.verdicts else self._validate(transaction.result)
        number, result, events = len(self.blocks), transaction.result, []
        if code == TxValidationCode.VALID:
            state = self.running(result.chaincode).state
            state.height = number
            state.commit(result, transaction.proposal.time_us)
            if result.event is not None:
                name, payload = result.event
                events.append(
                    ChaincodeEvent(
                        self.channel, result.chaincode, name, payload, transaction.tx_id, number, 0, self._clock_us()
                    )
                )
        self._append([transaction.to_bytes()], [transaction.tx_id], [code], events)
        status = Status(transaction.tx_id, code, number, self.events[-1].commit_hash)
        self._statuses[transaction.tx_id] = status
        return status

    def status(self, tx_id: str) -> Status:
        """A transaction's status; NotFoundError where it is not on the chain."""
        known = self._statuses.get(tx_id)
        if known is None:
            raise NotFoundError(
                f"there is no transaction {tx_id} on {self.channel}, or not yet", code="TRANSACTION_NOT_FOUND"
            )
        return known

    def proved(self, tx_id: str) -> ProvedTransaction:
        """A transaction with its proof."""
        status = self.status(tx_id)
        block = self.blocks[status.block]
        siblings = tuple(merkle.path(block.envelopes, 0))
        return ProvedTransaction(
            tx_id, status.block, 0, status.code, block.envelopes[0], block.header, 1, siblings, None
        )

    def found(self) -> list[FoundTransaction]:
        """All transactions as a search tells them, the newest first."""
        rows = []
        for status in reversed(self._statuses.values()):
            block = self.blocks[status.block]
            proposal = Transaction.parse(block.envelopes[0]).proposal
            certificate = proposal.certificate()
            rows.append(
                FoundTransaction(
                    tx_id=status.tx_id,
                    block=status.block,
                    index=0,
                    code=status.code,
                    timestamp_us=block.header.timestamp_us,
                    kind=TRANSACTION,
                    mspid=self._caller.get_mspid(),
                    creator=certificate.common_name,
                    certificate=certificate.fingerprint,
                    chaincode=proposal.chaincode,
                    function=proposal.function,
                    proposed_us=proposal.time_us,
                )
            )
        return rows

    def _validate(self, result: Result) -> TxValidationCode:
        state = self.running(result.chaincode).state
        for key, version in result.reads:
            stored = state.get("", key)
            if (None if stored is None else stored.version) != version:
                return TxValidationCode.MVCC_READ_CONFLICT
        for item in result.ranges:
            found = [(key, version) for key, _, version in state.range("", item.start, item.end)]
            if found != [tuple(read) for read in item.reads]:
                return TxValidationCode.PHANTOM_READ_CONFLICT
        return TxValidationCode.VALID

    def _append(
        self,
        envelopes: list[bytes],
        tx_ids: list[str],
        codes: list[TxValidationCode],
        events: list[ChaincodeEvent],
    ) -> None:
        number, now_us = len(self.blocks), self._clock_us()
        previous = self.blocks[-1].header.hash if self.blocks else ZERO_HASH
        block = Block.build(
            channel=self.channel, number=number, previous_hash=previous, timestamp_us=now_us, envelopes=envelopes
        )
        before = self.events[-1].commit_hash if self.events else ZERO_HASH
        commit_hash = hash_of(jsontext.dumps([before, number, block.header.hash, [int(code) for code in codes]]))
        self.blocks.append(block)
        self.events.append(
            CommittedBlock(
                channel=self.channel,
                number=number,
                hash=block.header.hash,
                timestamp_us=now_us,
                commit_hash=commit_hash,
                tx_ids=tuple(tx_ids),
                codes=tuple(codes),
                events=tuple(events),
            )
        )
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()
