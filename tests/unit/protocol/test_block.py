"""Blocks and their headers: read as they were written, and bound to their envelopes by the data hash."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import framing
from gridledger.errors import GridLedgerError
from gridledger.protocol.block import ZERO_HASH, Block, BlockHeader, HeaderSignature, SignedBlock


def block(*envelopes: bytes, number: int = 3) -> Block:
    return Block.build(channel="c", number=number, previous_hash=ZERO_HASH, timestamp_us=5, envelopes=envelopes)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_a_block_is_read_as_it_was_written(envelopes: list[bytes]) -> None:
    made = block(*envelopes)
    assert Block.from_bytes(made.to_bytes()) == made
    assert made.data_hash_holds()
    signed = SignedBlock(made, HeaderSignature("ab" * 32, b"signature"))
    assert SignedBlock.from_bytes(signed.to_bytes()) == signed


def test_a_header_names_its_block_and_no_other() -> None:
    names = {block(b"a").header.hash, block(b"b").header.hash, block(b"a", number=4).header.hash, block().header.hash}
    assert len(names) == 4
    assert block(b"a").header.hash == block(b"a").header.hash


def test_other_envelopes_do_not_fit_the_header() -> None:
    made = block(b"a", b"b")
    for envelopes in ((b"b", b"a"), (b"a",), (b"a", b"b", b"c"), ()):
        assert not replace(made, envelopes=envelopes).data_hash_holds()


@pytest.mark.parametrize("data", [b"", framing.pack([b"\xff"]), framing.pack([b"{}"]), b"\0\0\0\x05abc", b"text"])
def test_what_is_no_block_is_refused(data: bytes) -> None:
    with pytest.raises(GridLedgerError) as caught:
        Block.from_bytes(data)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"number": True},
        {"kind": "block"},
        {"channel": ""},
        {"data_hash": "0" * 65},
        {"timestamp": "5"},
        {"x": 1},
    ],
)
def test_what_is_no_header_is_refused(change: dict[str, object]) -> None:
    message = {**json.loads(block().header.text), **change}
    with pytest.raises(GridLedgerError):
        BlockHeader.parse(json.dumps(message))


def test_what_is_delivered_has_a_block_and_a_signature() -> None:
    made = block(b"a").to_bytes()
    for data in (framing.pack([made]), framing.pack([made, b"{}", b""]), framing.pack([made, b'{"orderer":"x"}'])):
        with pytest.raises(GridLedgerError):
            SignedBlock.from_bytes(data)
