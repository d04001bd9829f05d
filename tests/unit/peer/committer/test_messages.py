"""The messages between a peer's edge and its committer."""

from __future__ import annotations

import pytest

from gridledger.errors import MalformedMessage
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import ChaincodeEvent, CommittedBlock
from services.peer.committer.messages import (
    BlockCommitted,
    CommitterFault,
    CommitterReady,
    SourceChanged,
    read_report,
)

BLOCK = CommittedBlock(
    channel="c",
    number=3,
    hash="h",
    timestamp_us=5,
    commit_hash="x",
    tx_ids=("a", ""),
    codes=(Code.VALID, Code.NOT_VALIDATED),
    events=(ChaincodeEvent("c", "kv", "Put", {"k": [1, None]}, "a", block=3, index=0, timestamp_us=5),),
    config_changed=True,
)


def test_report_of_a_block_crosses_the_socket_with_its_size() -> None:
    frame = BlockCommitted(BLOCK, work_s=0.5, behind=2).to_bytes()
    assert read_report(frame) == BlockCommitted(BLOCK, work_s=0.5, behind=2, size=len(frame))


@pytest.mark.parametrize(
    "report", [CommitterReady({"c": 1}), SourceChanged("c", None, "down"), CommitterFault("broken", {"code": "X"})]
)
def test_other_reports_cross_the_socket(report: CommitterReady | SourceChanged | CommitterFault) -> None:
    assert read_report(report.to_bytes()) == report


@pytest.mark.parametrize(
    "frame",
    [b'{"report":"other"}', b'{"report":"ready"}', b'{"report":"source","x":1}', b'{"report":"committed"}'],
)
def test_report_that_cannot_be_read_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_report(frame)
