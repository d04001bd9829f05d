"""What nodes tell of themselves, read by a client that believes none of them."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.client.node_status import ChannelAtNode, NodeStatus, read_node_status
from gridledger.errors import MalformedMessage
from tests.unit.client.paper_gateway import PaperGateway

ORDERER = {
    "node": "orderer1",
    "mspid": "OrdererMSP",
    "version": "0.2.0",
    "certificate_not_after_us": 7,
    "channels": {
        "shard1": {
            "channel": "shard1",
            "height": 3,
            "last_hash": "ab",
            "leader": None,
            "term": 4,
            "config_sequence": 1,
            "standing": "voter",
        }
    },
}


async def test_a_status_is_read() -> None:
    peer = PaperGateway()
    peer.answers["/status"] = ORDERER
    node: Any = peer
    status = await read_node_status(node)
    assert (status.node, status.version, status.certificate_not_after_us) == ("orderer1", "0.2.0", 7)
    assert status.channels == {"shard1": ChannelAtNode(3, 1, None, "voter", last_hash="ab", term=4)}
    told = {**ORDERER["channels"]["shard1"], "queued": 5, "behind": 2, "indexed": 3, "commit_hash": "cd"}  # type: ignore[index]
    more = NodeStatus.from_dict({**ORDERER, "channels": {"shard1": told}, "commit_waiters": 9, "settings": {}})
    there = more.channels["shard1"]
    assert (there.queued, there.behind, there.indexed, there.commit_hash, more.commit_waiters) == (5, 2, 3, "cd", 9)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {**ORDERER, "version": 1},
        {**ORDERER, "channels": None},
        {**ORDERER, "channels": {"c": {}}},
        {**ORDERER, "certificate_not_after_us": "7"},
        {**ORDERER, "commit_waiters": "many"},
    ],
)
def test_what_is_no_status_is_one_error(wrong: Any) -> None:
    with pytest.raises(MalformedMessage):
        NodeStatus.from_dict(wrong)
