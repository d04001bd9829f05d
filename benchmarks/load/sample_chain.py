"""A chain of signed blocks made in memory, without a network, in which everything is valid."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

from gridledger.identity.signer import SigningIdentity, generate_key
from gridledger.protocol import (
    Block,
    ChaincodeDefinition,
    ChannelConfig,
    ConfigUpdate,
    Endorsement,
    HeaderSignature,
    Node,
    Organisation,
    Proposal,
    Read,
    Response,
    Result,
    SignedBlock,
    Transaction,
    Write,
    endorsement_text,
    endorsements_text,
    signing_text,
)
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.fields import hash_of, to_base64
from services.ca.authority import DAY_US, Authority

CHANNEL, CHAINCODE = "shard1", "dvs"


class SampleChain:
    """The channel of some organisations with a peer each, all of which must endorse, and the blocks of its orderer."""

    def __init__(self, organisations: int) -> None:
        self._now_us = time.time_ns() // 1000
        self._nonces = itertools.count(1)
        authorities = {
            f"Org{number}MSP": Authority.create("root", "sample", now_us=self._now_us, lifetime_us=DAY_US)
            for number in range(1, organisations + 1)
        }
        self._peers = [self._issue(authority, mspid, "peer") for mspid, authority in authorities.items()]
        mspid, authority = next(iter(authorities.items()))
        ordering = Authority.create("root", "sample", now_us=self._now_us, lifetime_us=DAY_US)
        self._client = self._issue(authority, mspid, "client")
        self._orderer = self._issue(ordering, "OrdererMSP", "orderer")
        config = ChannelConfig(
            channel=CHANNEL,
            sequence=0,
            organisations={
                "OrdererMSP": Organisation("OrdererMSP", (ordering.root.pem,), kind="orderer"),
                **{mspid: Organisation(mspid, (ca.root.pem,)) for mspid, ca in authorities.items()},
            },
            peers={peer.mspid: _node(peer.mspid, peer) for peer in self._peers},
            orderers={"orderer": _node("orderer", self._orderer)},
            chaincodes={CHAINCODE: ChaincodeDefinition(CHAINCODE, 1, "1.0", "0" * 64, f"OutOf({organisations}, all)")},
        )
        self.genesis = self._block(0, ZERO_HASH, [ConfigUpdate.build(config).to_bytes()])

    def _issue(self, authority: Authority, mspid: str, role: str) -> SigningIdentity:
        key = generate_key()
        certificate = authority.issue(key.public_key(), role, role, now_us=self._now_us, lifetime_us=DAY_US)
        return SigningIdentity(certificate, key, mspid)

    def _block(self, number: int, previous_hash: str, envelopes: Sequence[bytes]) -> Block:
        return Block.build(
            channel=CHANNEL,
            number=number,
            previous_hash=previous_hash,
            timestamp_us=self._now_us + number,
            envelopes=envelopes,
        )

    def envelope(
        self, function: str, argument: Any, *, reads: Sequence[str], writes: dict[str, Any], answer: Any
    ) -> bytes:
        """A transaction, endorsed by every peer and signed by the client. ``reads``: keys that are not there yet."""
        proposal = Proposal.build(
            channel=CHANNEL,
            chaincode=CHAINCODE,
            sequence=1,
            function=function,
            args=[argument],
            creator=to_base64(self._client.certificate.der),
            nonce=f"{next(self._nonces):032x}",
            time_us=self._now_us,
        )
        result = Result.build(
            tx_id=proposal.tx_id,
            channel=CHANNEL,
            chaincode=CHAINCODE,
            sequence=1,
            reads=[Read(key, None) for key in reads],
            writes=[Write(key, value) for key, value in writes.items()],
            response=Response(200, "", answer),
        )
        endorsements = tuple(
            Endorsement(peer.fingerprint, peer.sign(endorsement_text(peer.fingerprint, result.hash)))
            for peer in self._peers
        )
        text = endorsements_text(endorsements)
        signature = self._client.sign(signing_text(proposal.tx_id, result.hash, hash_of(text)))
        return Transaction(proposal, result, endorsements, text, signature).to_bytes()

    def blocks(self, envelopes: Sequence[bytes], size: int) -> list[SignedBlock]:
        """The blocks after the genesis block, with ``size`` of the envelopes each, signed by the orderer."""
        blocks, tip = [], self.genesis.header
        for start in range(0, len(envelopes), size):
            block = self._block(tip.number + 1, tip.hash, envelopes[start : start + size])
            tip = block.header
            signature = HeaderSignature(self._orderer.fingerprint, self._orderer.sign(tip.text.encode()))
            blocks.append(SignedBlock(block, signature))
        return blocks


def _node(name: str, identity: SigningIdentity) -> Node:
    return Node(name, identity.mspid, "https://localhost:7000", identity.certificate)
