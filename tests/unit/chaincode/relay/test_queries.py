"""Queries: pages and their bookmarks, gaps, and bounds on what one call answers."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from gridledger.field.capture import text_hash
from tests.support.relay_channel import FAULT, MINUTE, OPERATOR, RECORD, RelayChannel, S, after, recording, server, told

SPAN = {"relay": "Rele_1", "from": MINUTE, "to": MINUTE + 100}
MOST_BYTES = 1024 * 1024


@pytest.fixture
def channel() -> RelayChannel:
    """Minutes 0 to 9 without 3, 4 and 8; minute 1 open, minute 2 outvoted, the others confirmed."""
    channel = RelayChannel().register()
    for number in (0, 5, 6, 7, 9):
        channel.confirm(MINUTE + number, seed=number)
    channel.now_us = after(MINUTE + 10)
    channel.record("5005", told(MINUTE + 1))
    channel.record("5007", told(MINUTE + 2, seed=1))
    for who in ("5004", "5005", "5006"):
        channel.attest(who, told(MINUTE + 2, seed=2, readings=3), MINUTE + 2)
    channel.conclude(minute=MINUTE + 2)
    return channel


def pages(channel: RelayChannel, function: str, argument: dict[str, Any]) -> list[list[Any]]:
    """The items of all pages."""
    found, bookmark = [], None
    while True:
        page = channel.call(function, argument | {"bookmark": bookmark})
        found.append(page["items"])
        bookmark = page["bookmark"]
        if bookmark is None:
            return found


def test_captures_are_listed_with_their_status(channel: RelayChannel) -> None:
    items = channel.call("ListCaptures", SPAN)["items"]
    assert [item["minute"] - MINUTE for item in items] == [0, 1, 2, 5, 6, 7, 9]
    assert [item["status"] for item in items] == ["confirmed", "open", *["confirmed"] * 5]
    assert [items[1]["record_sha256"], items[2]["record_sha256"]] == [
        None, text_hash(told(MINUTE + 2, seed=2, readings=3))
    ]  # fmt: skip
    assert (items[2]["server"], items[2]["sha256"]) == ("5007", text_hash(told(MINUTE + 2, seed=1)))
    assert (items[2]["readings"], items[2]["faults"]) == (3, 2.0)
    assert list(items[0]) == [
        *("minute", "server", "sha256", "faults", "readings", "breaches", "status", "record_sha256", "time_us")
    ]


def test_texts_are_those_of_record(channel: RelayChannel) -> None:
    items = channel.call("ListCaptures", SPAN | {"texts": True})["items"]
    assert items[2]["text"] == told(MINUTE + 2, seed=2, readings=3)
    assert items[1]["text"] == told(MINUTE + 1)
    channel.refused("ListCaptures", SPAN | {"texts": 1}, "texts: must be true or false")


def test_pages_join_to_the_whole(channel: RelayChannel) -> None:
    whole = channel.call("ListCaptures", SPAN)["items"]
    parts = pages(channel, "ListCaptures", SPAN | {"limit": 3})
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [item for part in parts for item in part] == whole
    for bookmark in ("", "12", 7, "000000000x", "\u0660" * 10):
        channel.refused("ListCaptures", SPAN | {"bookmark": bookmark}, "bookmark: must be the bookmark")
    channel.refused("ListCaptures", SPAN | {"limit": 0}, "limit: must lie")
    channel.refused("ListCaptures", SPAN | {"to": MINUTE - 1}, "to: must not be before from")


def test_gaps_are_what_nothing_covers(channel: RelayChannel) -> None:
    gaps = [[MINUTE + 3, MINUTE + 5], [MINUTE + 8, MINUTE + 9], [MINUTE + 10, MINUTE + 100]]
    assert channel.call("GetGaps", SPAN) == {"gaps": gaps, "captures": 7, "bookmark": None}
    assert channel.call("GetGaps", SPAN | {"to": MINUTE}) == {"gaps": [], "captures": 0, "bookmark": None}


def test_gaps_of_longer_periods_look_back() -> None:
    channel = RelayChannel().register(period_s=300)
    for minute in (MINUTE, MINUTE + 10):
        channel.record("5004", told(minute), time_us=after(minute, period_s=300))
    span = {"relay": "Rele_1", "from": MINUTE + 3, "to": MINUTE + 16}
    found = channel.call("GetGaps", span)
    assert found == {"gaps": [[MINUTE + 5, MINUTE + 10], [MINUTE + 15, MINUTE + 16]], "captures": 1, "bookmark": None}


def test_gaps_of_a_long_span_come_in_pages(channel: RelayChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = channel.call("GetGaps", SPAN)
    for module in [one for one in sys.modules.values() if hasattr(one, "GAPS_READ")]:
        monkeypatch.setattr(module, "GAPS_READ", 2)
    gaps, captures, bookmark = [], 0, None
    for _ in range(10):
        page = channel.call("GetGaps", SPAN | {"bookmark": bookmark})
        gaps += page["gaps"]
        captures += page["captures"]
        bookmark = page["bookmark"]
        if bookmark is None:
            break
    assert {"gaps": gaps, "captures": captures, "bookmark": None} == whole


def test_what_is_not_there_is_named(channel: RelayChannel) -> None:
    for function, argument, why in [
        ("GetRelay", {"relay": "x"}, "relay: x is not registered"),
        ("GetCapture", {"relay": "x", "minute": 1}, "relay: x is not registered"),
        (
            "GetCapture",
            {"relay": "Rele_1", "minute": 1},
            "minute: no capture of Rele_1 is recorded for 1 (1970-01-01T00:01Z)",
        ),
        ("GetAttestation", {"relay": "Rele_1", "minute": MINUTE, "server": "5007"}, "server: 5007 has not attested"),
        ("GetGaps", SPAN | {"relay": "x"}, "relay: x is not registered"),
        ("GetDisputes", {"relay": "x"}, "relay: x is not registered"),
        ("GetFaults", {"relay": "x"}, "relay: x is not registered"),
        ("GetSilences", {"relay": "x"}, "relay: x is not registered"),
    ]:
        channel.refused(function, argument, why)


def test_relays_are_listed_by_their_ids() -> None:
    channel = RelayChannel()
    ids = sorted(f"Rele_{number}" for number in range(12))
    for relay in reversed(ids):
        channel.call("RegisterRelay", RECORD | {"relay": relay}, OPERATOR)
    assert [item["relay"] for part in pages(channel, "ListRelays", {"limit": 5}) for item in part] == ids
    assert channel.call("ListRelays", {})["items"][0] == channel.stored("relay/Rele_0")


def test_the_largest_capture_is_answered_within_a_value() -> None:
    servers = [{"id": f"s{number}", "mspid": f"M{number}"} for number in range(64)]
    limits = {name: [-2.0, -1.5] for name in ("Vab", "Vbc", "Vca", "Ia", "Ib", "Ic", "F", "P", "Q")}
    channel = RelayChannel().register(period_s=3600, servers=servers, quorum=33, limits=limits)
    channel.now_us = after(MINUTE, period_s=3600)
    for seed, one in enumerate(servers):
        given = told(MINUTE, seed=seed, readings=361)
        own = given.rstrip("\n") + "\n" * (65_536 - len(given.rstrip("\n").encode()))
        function, argument = (
            "AttestCapture",
            {"relay": "Rele_1", "minute": MINUTE, "sha256": text_hash(own), "text": own},
        )
        if seed == 0:
            source = {"protocol": "text", "sha256": text_hash(own)}
            function, argument = "RecordCapture", {"relay": "Rele_1", "text": own, "source": source}
        channel.call(function, argument, server(one["id"], one["mspid"]))
    got = channel.get()
    assert len(json.dumps(got, ensure_ascii=False).encode()) < MOST_BYTES
    assert ["text" in attestation for attestation in got["attestations"]].count(True) == 6
    one = channel.call("GetAttestation", {"relay": "Rele_1", "minute": MINUTE, "server": "s63"})
    assert text_hash(one["text"]) == one["sha256"]
    page = channel.call("ListCaptures", SPAN | {"texts": True})
    assert len(page["items"]) == 1


def test_pages_end_before_they_grow_too_large() -> None:
    channel = RelayChannel().register()
    channel.now_us = after(MINUTE + 100)
    for minute in range(MINUTE, MINUTE + 30):
        given = told(minute)
        channel.record("5004", given + "\n" * (65_000 - len(given)))
    parts = pages(channel, "ListCaptures", SPAN | {"texts": True, "limit": 500})
    assert len(parts) > 1
    assert sum(map(len, parts)) == 30
    assert all(len(json.dumps(part).encode()) < MOST_BYTES for part in parts)


def test_a_relay_shows_nothing_of_one_whose_id_begins_alike() -> None:
    channel = RelayChannel()
    ids = ["Rele_1", "Rele_10", "Rele_1-0", "Rele_1_0", "Rele_1a"]
    for relay in ids:
        channel.call("RegisterRelay", RECORD | {"relay": relay}, OPERATOR)
        at = {"relay": relay, "minute": MINUTE}
        channel.call("RecordCapture", recording(told(MINUTE), relay=relay), server("5004"))
        channel.call("Conclude", at, server("5004"), channel.now_us + 120 * S)
        channel.call("ReportSilence", at | {"reason": relay}, server("5004"))
        channel.call("RecordFault", FAULT | {"relay": relay, "device": relay}, server("5004"))
    for relay in ids:
        assert len(channel.call("GetDisputes", {"relay": relay})["items"]) == 1
        assert [one["reason"] for one in channel.call("GetSilences", {"relay": relay})["items"]] == [relay]
        assert [one["device"] for one in channel.call("GetFaults", {"relay": relay})["items"]] == [relay]
        assert len(channel.call("ListCaptures", SPAN | {"relay": relay})["items"]) == 1
