"""The chain of a paper network's channel, and a peer whose ledger follows it."""

from __future__ import annotations

from pathlib import Path

from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol.block import Block, HeaderSignature, SignedBlock
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.transaction import Transaction
from tests.support.paper.network import PaperNetwork

Envelope = Transaction | ConfigUpdate | bytes


class PaperChain:
    """The chain that the orderers make, from block 0 on: each call of :meth:`next` is one more block."""

    def __init__(self, paper: PaperNetwork) -> None:
        self.paper = paper
        self.blocks: list[Block] = [paper.genesis]

    def next(self, *envelopes: Envelope, after_us: int = 1000) -> SignedBlock:
        """The next block, ``after_us`` behind the one before, signed by orderer1."""
        tip = self.blocks[-1].header
        block = Block.build(
            channel=tip.channel,
            number=tip.number + 1,
            previous_hash=tip.hash,
            timestamp_us=tip.timestamp_us + after_us,
            envelopes=[item if isinstance(item, bytes) else item.to_bytes() for item in envelopes],
        )
        self.blocks.append(block)
        return signed_block(block, self.paper.orderers["orderer1"])


class PaperPeer:
    """A peer of the channel: its ledger, in ``folder``, and the chain that it follows."""

    def __init__(self, folder: Path, paper: PaperNetwork) -> None:
        self.chain = PaperChain(paper)
        self.ledger = Ledger.create(folder, paper.genesis, map_bytes=64 * 1024 * 1024)
        self.committer = BlockCommitter(self.ledger)

    def commit(self, *envelopes: Envelope, after_us: int = 1000) -> CommittedBlock:
        """Make the next block and commit it."""
        return self.committer.process([self.chain.next(*envelopes, after_us=after_us)])[0]


def signed_block(block: Block, orderer: SigningIdentity) -> SignedBlock:
    """The block as an orderer delivers it."""
    return SignedBlock(block, HeaderSignature(orderer.fingerprint, orderer.sign(block.header.text.encode())))
