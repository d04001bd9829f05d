"""Whatever an envelope holds, the committer gives it a code and goes on: an exception would stop every peer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.snapshot import Snapshot
from gridledger.ledger.validation import validate
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.fields import hash_of, to_base64
from gridledger.protocol.result import Event, RangeRead, Read, Version
from gridledger.protocol.transaction import signing_text
from tests.support.examples import examples
from tests.support.fuzzing import ODD, altered, paths, written
from tests.support.paper import NOW_US, PaperNetwork

PAPER = PaperNetwork()
SOUND = PAPER.transaction(
    {"a": {"b": [1, 2.5, None]}},
    reads=[Read("a", None), Read("b", Version(1, 2))],
    ranges=[RangeRead("a", "c", (Read("b", Version(1, 2)),))],
    event=Event("e", {"k": 1}),
)


def judge(envelope: bytes) -> Code:
    block = Block.build(
        channel="shard1",
        number=1,
        previous_hash="0" * 64,
        timestamp_us=NOW_US,
        envelopes=[envelope, SOUND.to_bytes()],
    )
    with Snapshot(MemoryStore().reader()) as reads:
        (judged,) = validate([block], config=PAPER.config, reads=reads)
    assert len(judged.codes) == len(judged.tx_ids) == len(judged.indexed) == 2
    return judged.codes[0]


MANY = settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXTS = {
    "proposal": SOUND.proposal.text,
    "result": SOUND.result.text,
    "endorsements": SOUND.endorsements_text,
}


@MANY
@given(st.data(), st.sampled_from(sorted(TEXTS)), ODD, st.booleans(), st.booleans())
def test_a_text_with_something_odd_in_it(data: st.DataObject, which: str, new: Any, remove: bool, sign: bool) -> None:
    message = json.loads(TEXTS[which])
    path = data.draw(st.sampled_from(paths(message)))
    text = written(altered(message, path, new, remove))
    envelope = json.loads(SOUND.to_bytes()) | {which: text}
    if sign:
        # The client signs it, odd as it is: what comes behind the signature check is reached as well.
        hashes = (hash_of(envelope["proposal"]), hash_of(envelope["result"]), hash_of(envelope["endorsements"]))
        envelope["signature"] = to_base64(PAPER.client.sign(signing_text(*hashes)))
    assert judge(written(envelope).encode()) is not Code.VALID


@MANY
@given(st.data(), ODD, st.booleans())
def test_an_envelope_with_something_odd_in_it(data: st.DataObject, new: Any, remove: bool) -> None:
    message = json.loads(SOUND.to_bytes())
    path = data.draw(st.sampled_from(paths(message)))
    judge(written(altered(message, path, new, remove)).encode())


@MANY
@given(st.data(), ODD, st.booleans())
def test_a_config_update_with_something_odd_in_it(data: st.DataObject, new: Any, remove: bool) -> None:
    update = PAPER.update()
    config = json.loads(update.config.text)
    path = data.draw(st.sampled_from(paths(config)))
    text = written({"kind": "config_update", "config": written(altered(config, path, new, remove))})
    envelope = written({"config_update": text, "signatures": []}).encode()
    assert judge(envelope) in (Code.BAD_PAYLOAD, Code.INVALID_CONFIG_TRANSACTION)
    envelope = written(
        {"config_update": altered(json.loads(update.text), (), new, remove=False), "signatures": new}
    ).encode()
    assert judge(envelope) is Code.BAD_PAYLOAD


@MANY
@given(st.binary(max_size=60))
def test_bytes_in_the_place_of_an_envelope(envelope: bytes) -> None:
    for start in (b"", b'{"config_update":', b'{"proposal":', SOUND.to_bytes()[:200]):
        assert judge(start + envelope) is not Code.VALID


def test_a_signature_of_any_shape() -> None:
    for signature in (
        b"",
        b"\0",
        b"0" * 72,
        b"\x30\x06\x02\x01\x01\x02\x01\x01",
        b"\x30\x06\x02\x01\x00\x02\x01\x00",
        b"0" * 8192,
    ):
        assert judge(replace(SOUND, signature=signature).to_bytes()) is Code.BAD_CREATOR_SIGNATURE
