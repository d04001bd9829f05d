"""What a run came to, from the relay's renames and the peers' events."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.relay.outcome import Rename, invalid_share, outcome_of, read_renames, updates_of
from benchmarks.relay.watching import Arrivals

OWN = {"5004": "peer5004", "5005": "peer5005"}
RENAMES = [Rename(100, 1_000_000), Rename(101, 2_000_000), Rename(102, 3_000_000)]
SEEN = {
    100: Arrivals("5004", {"peer5004": 1_050_000, "peer5005": 1_080_000}),
    101: Arrivals("5005", {"peer5004": 2_090_000, "peer5005": 2_030_000}),
    102: Arrivals("5005", {"peer5004": 3_090_000}),
}


def test_an_update_ends_on_the_winners_own_peer_and_on_the_last():
    updates = updates_of(RENAMES, SEEN, OWN)
    told = [(update.minute, update.server, update.own_s, update.last_s) for update in updates]
    assert told == [(100, "5004", 0.05, 0.08), (101, "5005", 0.03, 0.09)]


def test_an_outcome_tells_lost_minutes_winners_and_invalid_ones():
    codes = {
        "RecordCapture": Counter(VALID=3, MVCC_READ_CONFLICT=1),
        "AttestCapture": Counter(VALID=4),
    }
    outcome = outcome_of(RENAMES, updates_of(RENAMES, SEEN, OWN), codes)
    assert outcome["lost"] == [102]
    assert outcome["winners"] == {"5004": 1, "5005": 1}
    assert outcome["own_peer"]["mean_ms"] == pytest.approx(40.0)
    assert outcome["last_peer"]["max_ms"] == pytest.approx(90.0)
    assert (outcome["invalid_share"], outcome["invalid_share_of_captures"]) == (1 / 8, 1 / 4)
    assert outcome["updates_ms"][0] == [100, "5004", 50.0, 80.0]
    json.dumps(outcome)


def test_nothing_on_the_chain_is_nothing_invalid():
    assert invalid_share({}) == 0.0
    assert outcome_of(RENAMES, [], {})["own_peer"] is None


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path):
    log = tmp_path / "renames.jsonl"
    assert read_renames(log) == []
    line = json.dumps({"name": "x.txt", "minute": 7, "sha256": "", "renamed_us": 5})
    log.write_text(f"{line}\n{line[:20]}")
    assert read_renames(log) == [Rename(7, 5)]
