"""How far a channel is on a peer, and its JSON form."""

from __future__ import annotations

from gridledger.protocol.chain_info import ChainInfo


def test_json_form_is_read_back() -> None:
    info = ChainInfo("c", 3, "x", "h", 5, transactions=7, config_sequence=2, size_bytes=9)
    assert info.to_dict() == {
        "channel": "c",
        "height": 3,
        "last_hash": "h",
        "commit_hash": "x",
        "timestamp": 5,
        "transactions": 7,
        "config_sequence": 2,
        "bytes": 9,
    }
    assert ChainInfo.from_dict(info.to_dict()) == info
