"""Blocks whose transactions say what a test wants, valid or not, without any contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gridledger import jsontext
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.proposal import Proposal
from services.case.serving.index import Committed
from tests.support.case_blocks import APPLICATIONS, made_block
from tests.support.contract_channel import START_US

VALID = TxValidationCode.VALID
LOST = TxValidationCode.MVCC_READ_CONFLICT
CHAINCODES: Mapping[str, str] = {
    "general": "cases",
    "devices": "registry",
    "access": "access",
    **APPLICATIONS["forensics"]["sections"],
}


@dataclass(slots=True)
class Told:
    """One transaction: a function of the channel's contract with its argument, and what it answered."""

    function: str
    argument: Any
    answer: Any = None
    code: TxValidationCode = VALID
    time_us: int = START_US


@dataclass(slots=True)
class Chains:
    """Chains of several channels, block by block."""

    blocks: dict[str, list[Committed]] = field(default_factory=dict)

    def add(self, channel: str, at_us: int, told: Sequence[Told], envelopes: Sequence[bytes] = ()) -> Committed:
        """The channel's next block; ``envelopes`` stand in it behind the transactions, and are not valid."""
        chain = self.blocks.setdefault(channel, [])
        number = sum(map(len, self.blocks.values()))
        waiting = [(envelope(channel, each, f"{channel}{number}.{i}"), each.code) for i, each in enumerate(told)]
        waiting += [(each, TxValidationCode.BAD_PAYLOAD) for each in envelopes]
        before: Block | None = chain[-1].block if chain else None
        block = made_block(channel, before, waiting, at_us)
        chain.append(Committed(block, [code for _, code in waiting], sha256(block.header.hash.encode()).hexdigest()))
        return chain[-1]


def envelope(channel: str, told: Told, nonce: str) -> bytes:
    """The bytes of a transaction that nobody signed."""
    proposal = Proposal.build(
        channel=channel,
        chaincode=CHAINCODES[channel],
        sequence=1,
        function=told.function,
        args=(told.argument,),
        creator="AAAA",
        nonce=sha256(nonce.encode()).hexdigest(),
        time_us=told.time_us,
    )
    result = jsontext.dumps({"response": {"payload": told.answer}}).decode()
    return jsontext.dumps({"proposal": proposal.text, "result": result, "endorsements": "[]", "signature": ""})


def event(device: str, kind: str, said_us: Any, text: str = "", **more: Any) -> Told:
    """One event of a device."""
    body = jsontext.dumps({"text": text}).decode()
    return Told("LogEvent", {"device": device, "seq": 1, "kind": kind, "time_us": said_us, "body": body}, **more)


def opening(session: str, operator: str, terminal: str, *flagged: str, **more: Any) -> Told:
    """One opening of a session, which found ``flagged`` suspicious."""
    argument = {"session": session, "operator": operator, "terminal": terminal, "section": "plant", "reason": "shift"}
    suspicious = [{"why": "two-sessions", "session": other} for other in flagged]
    return Told("OpenSession", argument, {**argument, "suspicious": suspicious}, **more)
