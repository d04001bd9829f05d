"""Messages as bytes: what another node sends may be anything."""

from __future__ import annotations

from typing import Any

import pytest

from services.orderer.raft.errors import MalformedBatch
from services.orderer.raft.interface import Membership, Snapshot
from services.orderer.raft.messages import MAX_NUMBER, Kind, Message, pack_batch_header, pack_message, unpack_batch
from tests.unit.orderer.raft.rig import entries


def packed(message: Message) -> bytes:
    return pack_batch_header("b") + pack_message("g", message)


@pytest.mark.parametrize("field", ["term", "index", "log_term", "commit", "hint"])
def test_a_term_or_index_beyond_2_48_is_malformed(field: str) -> None:
    for value in (MAX_NUMBER, 2**64 - 1):
        fields: dict[str, Any] = {"term": 1, field: value}
        with pytest.raises(MalformedBatch, match=r"below 2\^48"):
            unpack_batch(packed(Message(Kind.HEARTBEAT, "b", "a", **fields)), "a")


def test_entries_and_snapshots_beyond_2_48_are_malformed() -> None:
    last = Message(Kind.APPEND, "b", "a", 1, MAX_NUMBER - 1, 1, entries=entries((1,), MAX_NUMBER))
    wild = Snapshot(5, MAX_NUMBER, Membership(frozenset("a")), b"")
    for message in (last, Message(Kind.SNAPSHOT, "b", "a", 1, snapshot=wild)):
        with pytest.raises(MalformedBatch, match="below 2"):
            unpack_batch(packed(message), "a")
