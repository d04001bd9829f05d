"""Blocks of the contracts ``dvs`` and ``alarms`` in memory, as a peer's stream of full blocks gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.context import EVERY_ATTRIBUTE
from gridledger.contract.executor import execute
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import BlockEvent, FullBlockEvent
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Response, Result
from gridledger.protocol.transaction import Transaction
from tests.support.contract_channel import chaincode

OPERATOR = ClientIdentity("x509::/CN=alice::/CN=ca", "Org1MSP", "client", {"alarms.role": "operator"})


class GridChain:
    """A channel whose chaincodes are the project's own; each call is a transaction of the next block."""

    def __init__(self, channel: str = "shard1", now_us: int = 1_767_225_600_000_000) -> None:
        self.channel, self.now_us = channel, now_us
        self._states = {name: MemoryState() for name in ("dvs", "alarms")}
        self._waiting: list[tuple[bytes, str, TxValidationCode]] = []
        self._nonces = count(1)
        self._number = 0
        self.payload: Any = None

    def call(self, name: str, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> str:
        """A valid transaction; its id."""
        proposal = self.proposal(name, function, [argument])
        result = execute(chaincode(name), proposal, caller, self._states[name])
        assert result.response.status == 200, result.response.message
        self._states[name].commit(result, self.now_us)
        self.payload = result.response.payload
        return self.put(proposal, result)

    def write(self, name: str, function: str, args: Sequence[Any], payload: Any) -> str:
        """A valid transaction of any chaincode: whatever it was called with and answers."""
        proposal = self.proposal(name, function, args)
        response = Response(200, "", payload)
        result = Result.build(tx_id=proposal.tx_id, channel=self.channel, chaincode=name, sequence=1, response=response)
        return self.put(proposal, result)

    def put(self, proposal: Proposal, result: Result, code: TxValidationCode = TxValidationCode.VALID) -> str:
        """A transaction as it is."""
        envelope = Transaction(proposal, result, (), "[]", b"").to_bytes()
        self._waiting.append((envelope, proposal.tx_id, code))
        return proposal.tx_id

    def raw(self, envelope: bytes, code: TxValidationCode = TxValidationCode.VALID) -> None:
        """Any bytes as an envelope."""
        self._waiting.append((envelope, "", code))

    def block(self) -> FullBlockEvent:
        """The next block, with all that was called since."""
        envelopes = [envelope for envelope, _, _ in self._waiting]
        made = Block.build(
            channel=self.channel,
            number=self._number,
            previous_hash=ZERO_HASH,
            timestamp_us=self.now_us,
            envelopes=envelopes,
        )
        event = BlockEvent(
            self.channel,
            self._number,
            made.header.hash,
            self.now_us,
            ZERO_HASH,
            tuple(tx_id for _, tx_id, _ in self._waiting),
            tuple(code for _, _, code in self._waiting),
        )
        self._number += 1
        self._waiting.clear()
        return FullBlockEvent(event, made)

    def proposal(self, name: str, function: str, args: Sequence[Any]) -> Proposal:
        """A proposal with a nonce of its own."""
        return Proposal.build(
            channel=self.channel,
            chaincode=name,
            sequence=1,
            function=function,
            args=args,
            creator=self.channel,
            nonce=sha256(str(next(self._nonces)).encode()).hexdigest(),
            time_us=self.now_us,
        )


def at(frame: Mapping[str, Any], time_us: int, **changes: Any) -> dict[str, Any]:
    """A frame at another time."""
    return {**frame, "time": time_us, **changes}
