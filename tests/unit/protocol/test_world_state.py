"""What a key has held, and its JSON form."""

from __future__ import annotations

import pytest

from gridledger.protocol.world_state import HistoryEntry


@pytest.mark.parametrize("value", [{"k": [1, None]}, 0, False, None])
def test_json_form_of_a_write_is_read_back(value: object) -> None:
    entry = HistoryEntry("t", value, block=3, index=1, timestamp_us=5)
    form = entry.to_dict()
    assert form == {"tx_id": "t", "value": value, "deleted": value is None, "block": 3, "index": 1, "timestamp": 5}
    assert HistoryEntry.from_dict(form) == entry
