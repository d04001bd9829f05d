"""The messages between a peer's edge and its committer."""

from __future__ import annotations

import pytest

from gridledger.errors import MalformedMessage
from services.peer.committer.messages import Committed, EventRecord, Failed, Ready, Source, parse


def test_reports_cross_the_socket_as_they_are() -> None:
    committed = Committed(
        channel="c",
        number=3,
        header_hash="h",
        timestamp_us=5,
        commit_hash="x",
        tx_ids=("a", ""),
        codes=(0, 254),
        events=(EventRecord(0, "a", "kv", "Put", {"k": [1, None]}),),
        config=True,
        work_s=0.5,
        behind=2,
    )
    frame = committed.to_bytes()
    read = parse(frame)
    assert isinstance(read, Committed)
    assert read.size == len(frame)
    assert parse(read.to_bytes()) == read
    for report in (Ready({"c": 1}), Source("c", None, "down"), Failed("broken", {"code": "X"})):
        assert parse(report.to_bytes()) == report
    for rubbish in (b'{"report":"other"}', b'{"report":"ready"}', b'{"report":"source","x":1}'):
        with pytest.raises(MalformedMessage):
            parse(rubbish)
