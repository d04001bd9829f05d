"""Writes the index of transactions: with each commit, or afterwards for a ledger that an earlier version wrote."""

from __future__ import annotations

from collections.abc import Sequence

from gridledger.ledger.codec import Table
from gridledger.ledger.genesis import genesis_entries
from gridledger.ledger.index import INDEX, IndexHead, entries_of, is_of_certificate
from gridledger.ledger.ledger import Ledger
from gridledger.ledger.snapshot import Snapshot
from gridledger.ledger.store import CommitBatch
from gridledger.ledger.validation import Judged, examine
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, is_config_block

MAX_BLOCKS = 64
MAX_BYTES = 1024 * 1024
"""What one step of building the index reads of a ledger: some 50 ms."""

_MAX_REMEMBERED = 8192


class IndexWriter:
    """The index of one ledger, for its one committer."""

    def __init__(self) -> None:
        self._written: set[bytes] = set()
        self._config: tuple[int, ChannelConfig] | None = None

    def add(self, batch: CommitBatch, blocks: Sequence[Judged], config_block: int) -> None:
        """Add the entries of blocks that are committed by this very batch, and that the index comes next to.
        ``config_block`` holds the configuration after them."""
        entries = batch.changes[Table.INDEX]
        for judged in blocks:
            entries.update(self._new(entries_of_judged(judged)))
        batch.put(Table.META, INDEX, IndexHead(blocks[-1].block.header.number + 1, config_block).to_bytes())

    def committed(self, batch: CommitBatch) -> None:
        """Remember which certificates stand in the index by now: each is written once."""
        if len(self._written) > _MAX_REMEMBERED:
            self._written.clear()
        self._written.update(key for key in batch.changes[Table.INDEX] if is_of_certificate(key))

    def build_some(self, ledger: Ledger) -> IndexHead:
        """Read the next blocks that the index lacks and commit their entries; how far it is now."""
        with ledger.snapshot() as snapshot:
            head = snapshot.index_head
            if head.height >= snapshot.height:
                return head
            batch = CommitBatch(head_before=snapshot.head.to_bytes())
            after = self._add_stored(batch, snapshot, head)
        batch.put(Table.META, INDEX, after.to_bytes())
        ledger.store.commit(batch)
        self.committed(batch)
        return after

    def _add_stored(self, batch: CommitBatch, snapshot: Snapshot, head: IndexHead) -> IndexHead:
        config_block, number, size = head.config_block, head.height, 0
        while number < snapshot.height and number < head.height + MAX_BLOCKS and size < MAX_BYTES:
            block, codes = snapshot.block(number), snapshot.metadata(number).codes
            if number == 0:
                entries = genesis_entries(block)
            else:
                config = self._config_of(snapshot, config_block)
                (invocations,) = examine([block], config).invocations()
                entries = entries_of(number, block.header.hash, codes, invocations)
                if is_config_block(block) and codes[0] is TxValidationCode.VALID:
                    config_block = number
            batch.changes[Table.INDEX].update(self._new(entries))
            size += sum(map(len, block.envelopes))
            number += 1
        return IndexHead(number, config_block)

    def _config_of(self, snapshot: Snapshot, number: int) -> ChannelConfig:
        kept = self._config
        if kept is None or kept[0] != number:
            kept = self._config = (number, ConfigUpdate.parse(snapshot.envelope(number, 0)).config)
        return kept[1]

    def _new(self, entries: dict[bytes, bytes]) -> dict[bytes, bytes]:
        written = self._written
        return {key: value for key, value in entries.items() if key not in written}


def entries_of_judged(judged: Judged) -> dict[bytes, bytes]:
    """All that the index has of a validated block."""
    header = judged.block.header
    return entries_of(header.number, header.hash, judged.codes, judged.invocations)
