"""Whatever comes in the place of a message is read, or refused by an error of ours; nothing else is ever raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given

from gridledger import framing, jsontext
from gridledger.client import ca as ca_answers
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import generate_key
from gridledger.protocol.block import Block, HeaderSignature, SignedBlock
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, parse_envelope
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, FullBlockEvent
from gridledger.protocol.merkle import path
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.proposal import EndorseRequest, SignedProposal
from gridledger.protocol.result import EndorsedResult, RangeRead, Read, Version
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryEntry
from gridledger.transport.call_frames import read_answer, read_call, write_answer, write_call
from services.orderer.chain import entry_of, read_entry
from services.peer.endorser.endorser import ProposalResponse
from services.peer.endorser.remote import read_request, read_response, write_request, write_response
from tests.support.fuzzing import damaged, odd, tries, trying
from tests.support.paper import NOW_US, PaperChain, PaperNetwork

PAPER = PaperNetwork()
CHAIN = PaperChain(PAPER)
SIGNED = PAPER.signed_proposal("put", {"a": [1, 2.5, None]}, transient={"secret": 1})
TRANSACTION = PAPER.transaction(
    {"a": 1, "b": None}, reads=[Read("a", None)], ranges=[RangeRead("a", "c", (Read("b", Version(1, 2)),))]
)
BLOCK = CHAIN.next(TRANSACTION, PAPER.transaction({"c": 1}))
UPDATE = PAPER.update()
EVENT = BlockEvent("shard1", 1, "0" * 64, NOW_US, "0" * 64, ("a" * 64, ""), (TxValidationCode.VALID,) * 2)
PROOF = ProvedTransaction(
    tx_id=TRANSACTION.tx_id,
    block=1,
    index=0,
    code=TxValidationCode.VALID,
    envelope=BLOCK.block.envelopes[0],
    header=BLOCK.block.header,
    count=2,
    siblings=tuple(path(BLOCK.block.envelopes, 0)),
    signature=BLOCK.signature,
)
IDENTITY = {
    "mspid": "Org1MSP",
    "root": PAPER.organisations["Org1MSP"].root,
    "certificate": PAPER.client.certificate.pem,
}
KEY = generate_key()


def wholly(update: ConfigUpdate) -> None:
    """Read all of an update that is read late."""
    for item in update.signatures:
        assert item.certificate
    assert update.config


BYTES: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "signed proposal": (SignedProposal.from_bytes, SIGNED.to_bytes()),
    "endorse request": (EndorseRequest.from_bytes, EndorseRequest(SIGNED, ("Org1MSP",)).to_bytes()),
    "transaction": (parse_envelope, TRANSACTION.to_bytes()),
    "creator": (lambda data: Transaction.parse(data).proposal.certificate(), TRANSACTION.to_bytes()),
    "config update": (lambda data: wholly(ConfigUpdate.parse(data)), UPDATE.to_bytes()),
    "block": (Block.from_bytes, BLOCK.block.to_bytes()),
    "delivered block": (SignedBlock.from_bytes, BLOCK.to_bytes()),
    "header signature": (HeaderSignature.from_bytes, BLOCK.signature.to_bytes()),
    "full block event": (FullBlockEvent.from_bytes, FullBlockEvent(EVENT, BLOCK.block).to_bytes()),
    "entry": (read_entry, entry_of(NOW_US, [b"one", b"two"])),
    "call": (read_call, write_call(7, 1, SIGNED.to_bytes())[4:]),
    "answer": (read_answer, write_answer(7, b"{}")[4:]),
    "frames": (lambda data: framing.unpack(data, max_frames=10), framing.pack([b"a", b"bc", b""])),
    "frame buffer": (lambda data: framing.FrameBuffer(100).feed(data), framing.pack([b"a", b"bc", b""])),
    "endorsement request": (read_request, write_request(3, SIGNED)),
    "endorsement": (
        read_response,
        write_response(ProposalResponse(TRANSACTION.result.text, TRANSACTION.endorsements[0], 9)),
    ),
}
JSON: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "config": (lambda value: ChannelConfig.parse(jsontext.dumps(value).decode()), json.loads(PAPER.config.text)),
    "endorsed result": (
        EndorsedResult.from_dict,
        EndorsedResult(TRANSACTION.result.text, TRANSACTION.endorsements, ("peer1", "peer2")).to_dict(),
    ),
    "chain info": (ChainInfo.from_dict, ChainInfo("shard1", 2, "0" * 64, "0" * 64, NOW_US, 3, 0, 4096).to_dict()),
    "block event": (BlockEvent.from_dict, EVENT.to_dict()),
    "chaincode event": (
        lambda value: ChaincodeEvent.from_dict("shard1", value),
        ChaincodeEvent("shard1", "kv", "e", {"a": 1}, "a" * 64, 1, 0, NOW_US).to_dict(),
    ),
    "status": (Status.from_dict, Status("a" * 64, TxValidationCode.VALID, 1, "0" * 64).to_dict()),
    "write of a key": (HistoryEntry.from_dict, HistoryEntry("a" * 64, 5, 1, 0, NOW_US).to_dict()),
    "proved transaction": (lambda value: ProvedTransaction.from_dict(value).holds(), PROOF.to_dict()),
    "registered identity": (
        lambda value: ca_answers._read_registered(jsontext.dumps(value)),
        {"id": "c1", "role": "client", "attributes": {"group": "2"}, "revoked_us": None},
    ),
    "revoked serials": (lambda value: ca_answers._serials(jsontext.dumps(value)), {"revoked": ["1f", "2e"]}),
    "issued identity": (lambda value: ca_answers._identity(jsontext.dumps(value), KEY, None), IDENTITY),
}


@pytest.mark.parametrize("name", BYTES)
@tries(100)
def test_bytes_in_the_place_of_a_message(name: str, count: int) -> None:
    read, sound = BYTES[name]
    read(sound)

    @trying(count)
    @given(damaged(sound))
    def holds(changed: bytes) -> None:
        with suppress(GridLedgerError):
            read(changed)

    holds()


@pytest.mark.parametrize("name", JSON)
@tries(100)
def test_odd_values_in_the_place_of_a_message(name: str, count: int) -> None:
    read, written = JSON[name]
    sound = json.loads(jsontext.dumps(written))

    @trying(count)
    @given(odd(sound))
    def holds(changed: str) -> None:
        with suppress(GridLedgerError):
            read(json.loads(changed))

    if name != "issued identity":  # its key is another
        read(sound)
    holds()
