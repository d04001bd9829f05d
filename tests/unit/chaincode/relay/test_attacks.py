"""What a malicious member can do, and what comes of it: nothing false is ever of record, nothing true is kept out."""

from __future__ import annotations

from gridledger.field.capture import text_hash
from tests.support.relay_channel import (
    HOUR,
    MINUTE,
    OPERATOR,
    RECORD,
    SERVERS,
    RelayChannel,
    S,
    after,
    client,
    recording,
    server,
    told,
)

TRUE, FALSE = told(MINUTE), told(MINUTE, seed=5)
AT = {"relay": "Rele_1", "minute": MINUTE}


def test_a_minute_made_up_ahead_of_time_is_outvoted_when_it_comes() -> None:
    channel = RelayChannel().register()
    over_us = (MINUTE + 1) * 60 * S
    channel.record("5007", FALSE, time_us=over_us - 120 * S)
    ready = over_us + 120 * S  # not 120 s after it was recorded: the minute was not over then
    channel.refused("Conclude", AT, "nothing to conclude yet", caller=server("5007"), time_us=ready - 1)
    for who in ("5004", "5005", "5006"):
        channel.attest(who, TRUE)
    assert channel.conclude("5007")["against"] == ["5007"]
    assert channel.get()["record"]["text"] == TRUE


def test_a_dispute_called_early_by_a_wrong_clock_is_settled() -> None:
    channel = RelayChannel().register()
    channel.record("5007", TRUE)
    assert channel.conclude("5007", time_us=channel.now_us + 300 * S)["status"] == "disputed"
    for who in ("5004", "5005"):
        channel.attest(who, TRUE)
    assert channel.conclude("5007")["status"] == "confirmed"
    assert channel.call("GetDisputes", {"relay": "Rele_1"})["items"] == []


def test_minutes_made_up_of_the_past_are_never_of_record() -> None:
    channel = RelayChannel().register(max_age_s=3600)
    now_us = after(MINUTE)
    for minute in range(MINUTE - 70, MINUTE):
        answer = channel.ask("RecordCapture", recording(told(minute, seed=9)), server("5007"), now_us)
        assert answer.successful == (minute > MINUTE - 60), minute
    channel.now_us = now_us + 600 * S
    assert channel.conclude("5007", MINUTE - 30)["status"] == "disputed"
    for who in ("5004", "5005", "5006"):
        channel.attest(who, told(MINUTE - 30), MINUTE - 30)
    assert channel.conclude("5007", MINUTE - 30)["against"] == ["5007"]
    items = channel.call("ListCaptures", {"relay": "Rele_1", "from": MINUTE - 70, "to": MINUTE})["items"]
    assert [item["minute"] for item in items if item["record_sha256"] is not None] == [MINUTE - 30]


def test_two_of_four_confirm_nothing_and_a_third_true_one_decides() -> None:
    channel = RelayChannel().register()
    channel.record("5006", FALSE)
    channel.attest("5007", FALSE)
    channel.attest("5004", TRUE)
    channel.attest("5005", TRUE)
    assert channel.conclude("5006")["status"] == "disputed"
    assert channel.get()["record"] is None


def test_an_organisation_has_one_voice_whatever_its_ca_issues() -> None:
    channel = RelayChannel().register()
    channel.record("5007", FALSE)
    false = {**AT, "sha256": text_hash(FALSE)}
    for name in ("5004", "5005", "5006", "5008"):
        channel.refused("AttestCapture", false, "relay.server", caller=server(name, "Server5007MSP"))
    channel.refused("AttestCapture", false, "5007 recorded this", caller=server("5007", "Server5007MSP"))
    assert channel.get()["attestations"] == []


def test_another_operator_cannot_take_a_relay_over() -> None:
    channel = RelayChannel().register()
    puppets = [{"id": "x", "mspid": "EvilMSP"}]
    evil = client("EvilMSP", relay_role="operator")
    channel.refused("UpdateRelay", RECORD | {"servers": puppets, "quorum": 1}, "belongs to", caller=evil)
    channel.refused("RegisterRelay", RECORD | {"servers": puppets, "quorum": 1}, "is registered by", caller=evil)


def test_an_operator_cannot_turn_a_dispute_by_an_update() -> None:
    channel = RelayChannel().register()
    channel.record("5006", FALSE)
    channel.attest("5007", FALSE)
    channel.call("UpdateRelay", RECORD | {"servers": RECORD["servers"][2:], "quorum": 2}, OPERATOR)
    channel.refused("Conclude", AT, "2 of 4 servers have spoken", caller=server("5006"))
    channel.attest("5004", TRUE)
    channel.attest("5005", TRUE)
    assert channel.conclude("5004")["status"] == "disputed"


def test_an_operator_cannot_loosen_the_rules_for_what_is_recorded() -> None:
    channel = RelayChannel().register()
    channel.record("5004", TRUE)
    channel.call("UpdateRelay", RECORD | {"name": "Relay 2"}, OPERATOR)
    renamed = FALSE.replace("Relay 1", "Relay 2")
    lie = {**AT, "sha256": text_hash(renamed), "text": renamed}
    channel.refused("AttestCapture", lie, "relay, line 2", caller=server("5007"))


def test_a_false_silence_is_ended_by_another_and_names_the_liar() -> None:
    channel = RelayChannel().register()
    channel.call("ReportSilence", {**AT, "reason": "no answer"}, server("5007"))
    channel.record("5004", TRUE)
    ended = channel.call("EndSilence", AT, server("5004"))
    assert (ended["server"], ended["ended_by"]) == ("5007", "5004")


def test_an_hour_is_not_closed_before_everything_is_told() -> None:
    channel = RelayChannel().register()
    for minute in range(MINUTE, MINUTE + 59):
        channel.confirm(minute)
    channel.now_us = after(MINUTE + 60)
    close = {"relay": "Rele_1", "hour": HOUR}
    channel.refused(
        "CloseHour", close, f"hour: {MINUTE + 59} (2026-11-30T02:59Z) is not recorded", caller=server("5007")
    )
    channel.record("5007", told(MINUTE + 59, seed=9))
    channel.refused(
        "CloseHour", close, f"hour: {MINUTE + 59} (2026-11-30T02:59Z) is not concluded", caller=server("5007")
    )
    for who in SERVERS[:3]:
        channel.attest(who, told(MINUTE + 59), MINUTE + 59)
    channel.conclude("5004", MINUTE + 59)
    assert channel.call("CloseHour", close, server("5007"))["confirmed"] == 60
