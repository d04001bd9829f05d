"""Committing blocks: the one writer of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import chain, takewhile

from gridledger.identity.errors import IdentityError
from gridledger.ledger.batch import batch_of
from gridledger.ledger.blocks import pack_block
from gridledger.ledger.errors import BlockRejected
from gridledger.ledger.index import IndexHead
from gridledger.ledger.index_writer import IndexWriter
from gridledger.ledger.ledger import Ledger
from gridledger.ledger.metadata import Head
from gridledger.ledger.validation import (
    Judged,
    SignatureCheck,
    VerifyMany,
    examine,
    verify_one_by_one,
)
from gridledger.protocol.block import Block, SignedBlock
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import is_config_block
from gridledger.protocol.events import CommittedBlock

MAX_BLOCKS_PER_COMMIT = 64
MAX_BYTES_PER_COMMIT = 16 * 1024 * 1024
LEAST_SHARE = 12


class BlockCommitter:
    """Checks, validates and writes blocks in order.

    Not thread-safe; one per ledger, in one process. ``verify_many`` checks signatures: in this thread by
    :func:`~gridledger.ledger.validation.verify_one_by_one`, in several by :func:`verify_in_pool`.
    """

    def __init__(self, ledger: Ledger, *, verify_many: VerifyMany = verify_one_by_one) -> None:
        self.ledger = ledger
        self._verify_many = verify_many
        self._index = IndexWriter()

    def build_index(self) -> IndexHead:
        """Add to the index some of the blocks that it lacks; how far it is now. Such blocks there are only where an
        earlier version wrote the ledger: call again until the index is as high as the ledger. Until then
        :meth:`process` leaves the index to this.

        Raises StorageFull and StorageFailed; the ledger is then as it was.
        """
        return self._index.build_some(self.ledger)

    def process(self, blocks: Sequence[SignedBlock]) -> list[CommittedBlock]:
        """Commit the next blocks, the first of which has the ledger's height as its number.

        Takes as many as fit into one durable commit (``MAX_BLOCKS_PER_COMMIT``, ``MAX_BYTES_PER_COMMIT``; a config
        block alone) and answers those, at least one: call again with the rest. When this returns they are on the disk.

        Raises :class:`BlockRejected` where the first block does not continue the chain, and StorageFull or
        StorageFailed where it could not be written; the ledger is then as it was. A rejected block after good ones is
        reported when it comes first.
        """
        if not blocks:
            return []
        with self.ledger.snapshot() as snapshot:
            head, config = snapshot.head, self.ledger.config_of(snapshot)
            is_indexed = snapshot.index_head.height == head.height
            taken, signed = self._continuing(blocks, head, config)
            examination = examine([item.block for item in taken], config)
            outcomes = self._verify_many([*signed, *examination.checks])
            genuine = list(takewhile(bool, outcomes[: len(signed)]))
            if not genuine:
                raise BlockRejected(
                    f"block {head.height} is not signed by the orderer that it names",
                    number=head.height,
                    orderer=taken[0].signature.orderer,
                )
            # A block with a forged signature is dropped, and so are those that follow it; those before it stay good.
            judged = examination.judge(outcomes[len(signed) :], snapshot)[: len(genuine)]
        signatures = [item.signature for item in taken[: len(judged)]]
        batch, hashes = batch_of(head, judged, signatures, [pack_block(item.block) for item in judged])
        if is_indexed:
            config_block = next(
                (item.block.header.number for item in judged if item.config is not None), head.config_block
            )
            self._index.add(batch, judged, config_block)
        self.ledger.store.commit(batch)
        self._index.committed(batch)
        return [
            _committed(self.ledger.channel, item, commit_hash) for item, commit_hash in zip(judged, hashes, strict=True)
        ]

    def _continuing(
        self, blocks: Sequence[SignedBlock], head: Head, config: ChannelConfig
    ) -> tuple[list[SignedBlock], list[SignatureCheck]]:
        """The first blocks that continue the chain and fit into one commit, and the checks of their signatures."""
        taken: list[SignedBlock] = []
        checks: list[SignatureCheck] = []
        previous = (head.height - 1, head.header_hash, head.timestamp_us)
        room = MAX_BYTES_PER_COMMIT
        for item in blocks[:MAX_BLOCKS_PER_COMMIT]:
            header = item.block.header
            alone = is_config_block(item.block)
            room -= sum(map(len, item.block.envelopes))
            if taken and (alone or room < 0):
                break
            try:
                check_continues(item.block, self.ledger.channel, previous)
                checks.append(header_check(item, config))
            except BlockRejected:
                if not taken:
                    raise
                break
            taken.append(item)
            previous = (header.number, header.hash, header.timestamp_us)
            if alone:
                break
        return taken, checks


def check_continues(block: Block, channel: str, previous: tuple[int, str, int]) -> None:
    """Raise :class:`BlockRejected` unless the block follows ``previous``: (number, header hash, timestamp)."""
    header = block.header
    number, header_hash, timestamp_us = previous
    if header.channel != channel:
        raise BlockRejected(f"a block of channel {header.channel!r} was given to {channel!r}", number=header.number)
    if header.number != number + 1:
        raise BlockRejected(f"block {header.number} was given where {number + 1} follows", number=header.number)
    if header.previous_hash != header_hash:
        raise BlockRejected(
            f"block {header.number} does not continue the chain: this peer and the orderer hold different chains",
            number=header.number,
            expected=header_hash,
            found=header.previous_hash,
        )
    if header.timestamp_us < timestamp_us:
        raise BlockRejected(f"block {header.number} is dated before its predecessor", number=header.number)
    if not block.data_hash_holds():
        raise BlockRejected(
            f"the transactions of block {header.number} are not those in its header", number=header.number
        )


def header_check(item: SignedBlock, config: ChannelConfig) -> SignatureCheck:
    """The check of an orderer's signature; the orderer must be one of the channel's at the block's time."""
    header, signature = item.block.header, item.signature
    node = config.orderers_by_fingerprint.get(signature.orderer)
    if node is None:
        raise BlockRejected(
            f"block {header.number} is signed by no orderer of the channel",
            number=header.number,
            orderer=signature.orderer,
        )
    certificate = node.certificate_with(signature.orderer)
    try:
        identity = config.msps.identify(certificate, header.timestamp_us)
    except IdentityError as error:
        raise BlockRejected(
            f"block {header.number}: the orderer {node.name} is no member of the channel at the block's time: "
            f"{error.message}",
            number=header.number,
            orderer=signature.orderer,
        ) from None
    if (identity.mspid, identity.role) != (node.mspid, "orderer"):
        raise BlockRejected(
            f"block {header.number}: the certificate of {node.name} is not an orderer's",
            number=header.number,
            orderer=signature.orderer,
        )
    return SignatureCheck(certificate, signature.signature, header.text.encode())


def _committed(channel: str, judged: Judged, commit_hash: str) -> CommittedBlock:
    header = judged.block.header
    return CommittedBlock(
        channel=channel,
        number=header.number,
        hash=header.hash,
        timestamp_us=header.timestamp_us,
        commit_hash=commit_hash,
        tx_ids=tuple(judged.tx_ids),
        codes=tuple(judged.codes),
        events=tuple(judged.events),
        config_changed=judged.config is not None,
    )


def verify_in_pool(pool: Executor, parts: int) -> VerifyMany:
    """A ``verify_many`` that has up to ``parts`` threads check a share of the signatures each: this one, and workers of
    a pool. A share is no smaller than ``LEAST_SHARE``: handing over fewer costs more than it saves."""

    def verify_many(checks: Sequence[SignatureCheck]) -> list[bool]:
        share = max(LEAST_SHARE, -(-len(checks) // parts))
        shares = [checks[start : start + share] for start in range(0, len(checks), share)]
        elsewhere = [pool.submit(verify_one_by_one, item) for item in shares[1:]]
        outcomes = verify_one_by_one(shares[0]) if shares else []
        return outcomes + list(chain.from_iterable(future.result() for future in elsewhere))

    return verify_many
