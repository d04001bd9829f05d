"""How blocks lie in the store: what is compressed is read back by the standard library, whole or by the envelope."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gridledger.ledger.blocks import (
    SEGMENT_BYTES,
    pack_block,
    place_of,
    read_block,
    read_header,
    read_segment,
    write_block,
)
from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.metadata import BlockMetadata
from gridledger.ledger.store import CommitBatch
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode

NUMBER = 7
noise = st.builds(
    lambda size, seed: random.Random(seed).randbytes(size), st.integers(0, 3 * SEGMENT_BYTES), st.integers()
)
repeated = st.builds(lambda text, times: text * times, st.binary(max_size=40), st.integers(0, 4000))


@given(st.lists(st.binary(max_size=200) | noise | repeated, max_size=6))
def test_blocks_are_read_back_as_they_were(envelopes: list[bytes]) -> None:
    block = Block.build(
        channel="shard1", number=NUMBER, previous_hash=ZERO_HASH, timestamp_us=1, envelopes=tuple(envelopes)
    )
    packed = pack_block(block)
    store, batch = MemoryStore(), CommitBatch(head_before=None)
    write_block(batch, NUMBER, packed)
    store.commit(batch)
    codes = (TxValidationCode.VALID,) * len(envelopes)
    metadata = BlockMetadata(codes, ZERO_HASH, None, packed.header_end, packed.envelope_ends)
    with store.reader() as reader:
        assert read_block(reader, NUMBER) == block.to_bytes()
        assert read_header(reader, NUMBER, metadata) == block.header.text.encode()
        for index, envelope in enumerate(envelopes):
            segment, begin, end = place_of(NUMBER, metadata, index)
            assert read_segment(reader, NUMBER, segment)[begin:end] == envelope
