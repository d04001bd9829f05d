"""What a ledger keeps about itself and its blocks: read as it was written, and what is damaged is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import framing
from gridledger.errors import CorruptionError, OtherFormat
from gridledger.ledger.metadata import BlockMetadata, Head
from gridledger.protocol.block import HeaderSignature
from gridledger.protocol.codes import TxValidationCode as Code

signatures = st.none() | st.builds(HeaderSignature, st.just("ab" * 32), st.binary(min_size=1, max_size=72))


def test_a_head_is_read_as_it_was_written() -> None:
    head = Head(7, 5, "a" * 64, "b" * 64, 3, 2**40)
    assert Head.from_bytes(head.to_bytes()) == head
    with pytest.raises(OtherFormat, match="format 9, which another version"):
        Head.from_bytes(head.to_bytes().replace(b'"format":2', b'"format":9'))


@given(
    st.lists(st.sampled_from(Code), max_size=5), signatures, st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6)
)
def test_metadata_are_read_as_they_were_written(
    codes: list[Code], signature: HeaderSignature | None, ends: list[int]
) -> None:
    written = BlockMetadata(tuple(codes), "c" * 64, signature, ends[0], tuple(ends[1:]))
    assert BlockMetadata.from_bytes(written.to_bytes()) == written


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        framing.pack([b"", b"\0" * 32, b"", b""]),
        framing.pack([bytes([77]), b"\0" * 32, b"", b"", b"\0" * 4]),
        BlockMetadata((), "c" * 64, None, 0, ()).to_bytes()[:-1],
    ],
)
def test_damaged_metadata_are_told(data: bytes) -> None:
    with pytest.raises(CorruptionError, match="metadata cannot be read"):
        BlockMetadata.from_bytes(data)
