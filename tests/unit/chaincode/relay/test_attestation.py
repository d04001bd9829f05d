"""AttestCapture and Conclude: one voice a server, the quorum's text is the one of record, disputes and their end."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.field.capture import text_hash
from tests.support.relay_channel import MINUTE, SERVERS, RelayChannel, S, recording, server, told

TRUE, FALSE, OTHER = told(MINUTE), told(MINUTE, seed=5), told(MINUTE, seed=6)
AT = {"relay": "Rele_1", "minute": MINUTE}
KEY = f"{MINUTE:010d}"
PATIENCE_S = 120


@pytest.fixture
def channel() -> RelayChannel:
    """A channel with a capture of 5004's."""
    channel = RelayChannel().register()
    channel.record("5004", TRUE)
    return channel


def test_an_attestation_touches_a_key_of_its_own(channel: RelayChannel) -> None:
    assert channel.attest("5005", TRUE) == {**AT, "server": "5005", "match": True}
    assert channel.last is not None
    assert list(channel.last.writes) == [f"attest/Rele_1/{KEY}/5005"]
    assert sorted(channel.last.reads) == [
        f"attest/Rele_1/{KEY}/5005", f"capture/Rele_1/{KEY}", "revision/Rele_1/00000001"
    ]  # fmt: skip
    assert channel.attest("5006", FALSE) == {**AT, "server": "5006", "match": False}
    assert channel.get()["attestations"] == [
        {"server": "5005", "sha256": text_hash(TRUE), "match": True, "time_us": channel.now_us},
        {"server": "5006", "sha256": text_hash(FALSE), "match": False, "time_us": channel.now_us, "text": FALSE},
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"minute": MINUTE + 1}, "minute: no capture of Rele_1 is recorded for 29933401 (2026-11-30T02:01Z)"),
        ({"relay": "Rele_2"}, "minute: no capture of Rele_2"),
        ({"sha256": "F" * 64}, "sha256: must be 64 hexadecimal digits"),
        ({"text": TRUE}, "text: stands on the ledger already"),
        ({"sha256": text_hash(FALSE)}, "text: is missing"),
        ({"sha256": text_hash(FALSE), "text": OTHER}, "sha256: must be that of the text"),
        ({"sha256": text_hash(FALSE), "text": told(MINUTE + 1)}, "minute: 29933400 (2026-11-30T02:00Z) does not fit"),
        ({"sha256": text_hash(FALSE), "text": FALSE.replace("Relay 1", "Relay 2")}, "relay, line 2: must be that"),
        ({"sha256": text_hash(FALSE), "text": FALSE.replace("Vab;1", "Vab;x", 1)}, "Vab, line 7: must be a number"),
        ({"match": True}, "match: is no field"),
    ],
)
def test_a_refused_attestation_names_the_field(channel: RelayChannel, changes: dict[str, Any], why: str) -> None:
    argument = {**AT, "sha256": text_hash(TRUE)} | changes
    assert channel.refused("AttestCapture", argument, caller=server("5005")).startswith(why)


def test_a_voice_is_never_changed(channel: RelayChannel) -> None:
    own = {**AT, "sha256": text_hash(TRUE)}
    channel.refused("AttestCapture", own, "5004 recorded this capture", caller=server("5004"))
    channel.attest("5005", TRUE)
    again = {**AT, "sha256": text_hash(FALSE), "text": FALSE}
    message = f"ALREADY_ATTESTED by 5005 at 2026-11-30T02:01:00Z, sha256 {text_hash(TRUE)}"
    assert channel.refused("AttestCapture", again, caller=server("5005")) == message


def test_a_quorum_confirms_and_the_rest_may_follow(channel: RelayChannel) -> None:
    channel.attest("5006", TRUE)
    message = channel.refused("Conclude", AT, "nothing to conclude yet", caller=server("5007"))
    assert "2 of 4 servers have spoken, no text has the quorum of 3" in message
    channel.attest("5005", TRUE)
    expected = {**AT, "status": "confirmed", "sha256": text_hash(TRUE), "by": "5004"}
    found = channel.conclude("5007")
    assert found == {**expected, "for": ["5004", "5005", "5006"], "against": []}
    assert channel.last is not None
    assert channel.last.event == {"name": "CaptureConfirmed", "payload": found}
    assert list(channel.last.writes) == [f"verdict/Rele_1/{KEY}"]
    assert f"capture/Rele_1/{KEY}" in channel.last.reads
    channel.refused("Conclude", AT, "concluded already: confirmed", caller=server("5004"))
    channel.attest("5007", FALSE)
    assert channel.conclude() == {**expected, "for": ["5004", "5005", "5006"], "against": ["5007"]}
    channel.refused("Conclude", AT, "concluded already: confirmed", caller=server("5004"))


def test_a_lying_winner_is_outvoted_and_named() -> None:
    channel = RelayChannel().register()
    channel.record("5006", FALSE)
    for who in ("5004", "5005", "5007"):
        channel.attest(who, TRUE)
    found = channel.conclude("5006")
    assert (found["status"], found["sha256"], found["by"]) == ("confirmed", text_hash(TRUE), "5004")
    assert (found["for"], found["against"]) == (["5004", "5005", "5007"], ["5006"])
    got = channel.get()
    assert (got["server"], got["sha256"], got["text"]) == ("5006", text_hash(FALSE), FALSE)
    assert {name: got["record"][name] for name in ("sha256", "server", "text")} == {
        "sha256": text_hash(TRUE), "server": "5004", "text": TRUE
    }  # fmt: skip
    assert got["record"]["readings"] != got["readings"]


def test_all_have_spoken_and_no_text_has_a_quorum(channel: RelayChannel) -> None:
    channel.attest("5005", TRUE)
    channel.attest("5006", FALSE)
    channel.refused("Conclude", AT, "nothing to conclude yet: 3 of 4", caller=server("5004"))
    channel.attest("5007", FALSE)
    found = channel.conclude()
    assert found == {
        **AT,
        "status": "disputed",
        "sha256": None,
        "by": None,
        "for": ["5004", "5005"],
        "against": ["5006", "5007"],
    }
    assert channel.last is not None
    assert channel.last.event == {"name": "CaptureDisputed", "payload": found}
    disputes = channel.call("GetDisputes", {"relay": "Rele_1"})
    assert [(item["minute"], item["status"], item["against"]) for item in disputes["items"]] == [
        (MINUTE, "disputed", ["5006", "5007"])
    ]
    assert channel.get()["record"] is None


def test_silence_counts_a_period_and_a_minute_later(channel: RelayChannel) -> None:
    channel.now_us = channel.stored(f"capture/Rele_1/{KEY}")["time_us"] + PATIENCE_S * S - 1
    channel.refused("Conclude", AT, "nothing to conclude yet: 1 of 4", caller=server("5005"))
    channel.now_us += 1
    found = channel.conclude("5005")
    assert (found["status"], found["for"], found["against"]) == ("disputed", ["5004"], [])


def test_a_later_voice_settles_a_dispute(channel: RelayChannel) -> None:
    channel.now_us += PATIENCE_S * S
    channel.attest("5005", FALSE)
    channel.conclude()
    since = channel.stored(f"dispute/Rele_1/{KEY}")
    assert since == {"since_us": channel.now_us}
    channel.now_us += 86_400 * S
    channel.attest("5006", TRUE)
    assert channel.conclude()["for"] == ["5004", "5006"]
    assert channel.stored(f"dispute/Rele_1/{KEY}") == since
    channel.attest("5007", TRUE)
    found = channel.conclude()
    assert (found["status"], found["for"], found["against"]) == ("confirmed", ["5004", "5006", "5007"], ["5005"])
    assert f"dispute/Rele_1/{KEY}" not in channel.stored_keys()
    assert channel.call("GetDisputes", {"relay": "Rele_1"})["items"] == []


def test_only_servers_attest_and_conclude(channel: RelayChannel) -> None:
    attestation = {**AT, "sha256": text_hash(TRUE)}
    for function, argument in (("AttestCapture", attestation), ("Conclude", AT)):
        for caller in (server("5005", "Server5006MSP"), server("5008"), server("5005", "CustomersMSP")):
            channel.refused(function, argument, caller=caller)


def test_one_server_alone_confirms_by_its_word() -> None:
    channel = RelayChannel().register(servers=[{"id": "5004", "mspid": "Server5004MSP"}], quorum=1)
    channel.record("5004", TRUE)
    assert channel.conclude()["for"] == ["5004"]


def test_a_voice_between_endorsement_and_order_is_a_conflict(channel: RelayChannel) -> None:
    channel.attest("5005", TRUE)
    channel.attest("5006", TRUE)
    verdict = channel.endorse("Conclude", AT, server("5004"), channel.now_us, 1)
    channel.attest("5007", FALSE)
    assert not channel.order(verdict, channel.now_us)
    assert channel.conclude()["against"] == ["5007"]


def test_servers_that_attest_at_once_do_not_conflict(channel: RelayChannel) -> None:
    argument = {**AT, "sha256": text_hash(TRUE)}
    results = [channel.endorse("AttestCapture", argument, server(who), channel.now_us, 1) for who in SERVERS[1:]]
    assert [channel.order(result, channel.now_us) for result in results] == [True, True, True]


def test_of_two_that_record_at_once_the_first_counts() -> None:
    channel = RelayChannel().register()
    results = [channel.endorse("RecordCapture", recording(TRUE), server(who), channel.now_us, 1) for who in SERVERS]
    assert [channel.order(result, channel.now_us) for result in results] == [True, False, False, False]
    assert channel.get()["server"] == "5004"
