"""Blocks of the channels of an investigation: the real contracts on states in memory, in blocks that nobody signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.executor import execute
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.transaction import Transaction
from services.case.block_rows import Places, rows_of
from services.case.rows import Row
from tests.support.contract_channel import START_US, S, certificate, chaincode

APPLICATIONS: Mapping[str, Any] = {
    "forensics": {
        "channel": "general",
        "chaincode": "cases",
        "devices": {"channel": "devices", "chaincode": "registry"},
        "access": {"channel": "access", "chaincode": "access"},
        "sections": {"section-plant": "events", "section-home": "events"},
        "authority": "Authority",
    },
    "anchors": {"channel": "general", "chaincode": "anchors"},
}
PLACES = Places.of(APPLICATIONS)
VALID = TxValidationCode.VALID
_NONCES = count(1)


class CaseChannel:
    """One channel: transactions are told one by one, a block takes those that wait."""

    def __init__(self, channel: str, name: str) -> None:
        self.channel, self.name = channel, name
        self.state = MemoryState()
        self.blocks: list[tuple[Block, list[TxValidationCode]]] = []
        self._chaincode = chaincode(name)
        self._waiting: list[tuple[bytes, TxValidationCode]] = []
        self._clock_us = START_US

    def tell(
        self,
        function: str,
        argument: Any,
        caller: ClientIdentity,
        *,
        time_us: int = START_US,
        code: TxValidationCode = VALID,
        by: str = "somebody",
    ) -> Any:
        """One transaction; what it answers. One that is not valid changes nothing."""
        proposal = Proposal.build(
            channel=self.channel,
            chaincode=self.name,
            sequence=1,
            function=function,
            args=(argument,),
            creator=caller.certificate or certificate(by, 5),
            nonce=sha256(str(next(_NONCES)).encode()).hexdigest(),
            time_us=time_us,
        )
        result = execute(self._chaincode, proposal, caller, self.state)
        assert result.response.status == 200, result.response.message
        if code == VALID:
            self.state.commit(result, time_us)
        self._waiting.append((Transaction(proposal, result, (), "[]", b"").to_bytes(), code))
        return result.response.payload

    def put(self, envelope: bytes, code: TxValidationCode = TxValidationCode.BAD_PAYLOAD) -> None:
        """Have the next block take any bytes."""
        self._waiting.append((envelope, code))

    def block(self, at_us: int | None = None) -> list[Row]:
        """Make the next block; its rows. Without a time it is a millisecond behind the one before."""
        self._clock_us = at_us if at_us is not None else self._clock_us + S // 1000
        waiting, self._waiting = self._waiting, []
        block = made_block(self.channel, self.blocks[-1][0] if self.blocks else None, waiting, self._clock_us)
        codes = [code for _, code in waiting]
        self.blocks.append((block, codes))
        return rows_of(block, codes, PLACES)


def made_block(
    channel: str, before: Block | None, waiting: Sequence[tuple[bytes, TxValidationCode]], at_us: int
) -> Block:
    """The block of these envelopes that follows ``before``."""
    return Block.build(
        channel=channel,
        number=0 if before is None else before.header.number + 1,
        previous_hash=ZERO_HASH if before is None else before.header.hash,
        timestamp_us=at_us,
        envelopes=[envelope for envelope, _ in waiting],
    )
