"""A node's record of the channels that it joined and left."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.channel_record import FILE, ChannelRecord
from gridledger.errors import CorruptionError


def test_a_record_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    record = ChannelRecord(tmp_path)
    record.join("joined", b"genesis", b"config", raft_id="orderer1")
    record.leave("left")
    record.forget("left")
    record.leave("leaving", member=True)
    again = ChannelRecord(tmp_path)
    assert again.channels(["settled", "left", "leaving"]) == ["joined", "settled"]
    assert again.leaving() == ["leaving"]
    assert (again.genesis("joined"), again.config_block("joined")) == (b"genesis", b"config")
    assert dict(again.entry("joined")) == {"state": "joined", "raft_id": "orderer1"}
    assert again.entry("settled")["state"] == ""


def test_a_channel_that_comes_back_has_only_its_new_config_block(tmp_path: Path) -> None:
    record = ChannelRecord(tmp_path)
    record.join("shard2", b"genesis", b"config")
    record.leave("shard2")
    record.forget("shard2")
    record.join("shard2", b"genesis", None)
    assert ChannelRecord(tmp_path).config_block("shard2") is None


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    ChannelRecord(tmp_path).join("shard2", b"genesis", None)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes().replace(b"joined", b"LEFT.."))
    with pytest.raises(CorruptionError, match="checksum"):
        ChannelRecord(tmp_path)
