"""The commands that read the ledger, on the contract in memory: text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import MagicMock

import pytest

from gridledger.errors import UnavailableError
from gridledger.transport.node_client import ConnectionFailed
from services.relay.__main__ import main
from services.relay.commands import captures, gaps, reaching, show, statistics, status
from services.relay.commands.reaching import gaps_of, latest_minute, opened, pages_of_captures, relay_named
from tests.support.relay_channel import HOUR, MINUTE, OPERATOR, RECORD, RelayChannel, after, server, told
from tests.support.relay_commands import ledger_on, on_ledger

SPAN = ("--from", "2026-11-30T02:00Z", "--to", "2026-11-30T02:05Z")


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> RelayChannel:
    """Minute 0 confirmed, 1 missing, 2 disputed, 3 open with a voice against."""
    channel = RelayChannel().register()
    on_ledger(monkeypatch, channel)
    for module in (captures, gaps, show, statistics, status):
        if hasattr(module, "minute_now"):
            monkeypatch.setattr(module, "minute_now", lambda: MINUTE + 5)
    channel.confirm(MINUTE, seed=1)
    for minute, seeds in ((MINUTE + 2, (1, 2, 3, 4)), (MINUTE + 3, (1, 2))):
        channel.record("5004", told(minute, seed=seeds[0]), time_us=after(minute))
        for who, seed in zip(("5005", "5006", "5007"), seeds[1:], strict=False):
            channel.attest(who, told(minute, seed=seed), minute, after(minute))
    channel.conclude(minute=MINUTE + 2, time_us=after(MINUTE + 2))
    channel.now_us = after(MINUTE + 3)
    return channel


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """A command's output."""
    assert main(list(arguments)) == code
    return capsys.readouterr().out


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """The same for programs."""
    return json.loads(run(capsys, *arguments, "--json", code=code))


@pytest.mark.usefixtures("channel")
def test_captures_are_listed_with_their_status(capsys: pytest.CaptureFixture[str]):
    lines = run(capsys, "captures", *SPAN).splitlines()
    assert lines[0].split() == ["minute", "server", "faults", "breaches", "status", "sha256"]
    assert [line.split()[0] for line in lines[1:]] == ["2026-11-30T02:00Z", "2026-11-30T02:02Z", "2026-11-30T02:03Z"]
    assert [line.split()[4] for line in lines[1:]] == ["confirmed", "disputed", "open"]
    answer = run_json(capsys, "captures", *SPAN)
    assert (answer["relay"], len(answer["items"]), answer["more"]) == ("Rele_1", 3, False)


@pytest.mark.usefixtures("channel")
def test_captures_without_a_range_end_with_the_last(capsys: pytest.CaptureFixture[str]):
    answer = run_json(capsys, "captures")
    assert [item["minute"] for item in answer["items"]] == [MINUTE, MINUTE + 2, MINUTE + 3]


@pytest.mark.usefixtures("channel")
def test_a_limit_tells_where_to_go_on(capsys: pytest.CaptureFixture[str]):
    assert main(["captures", *SPAN, "--limit", "2"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == "note: there are more; go on with --from 2026-11-30T02:03Z\n"


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("minute", ["2026-11-30T02:00Z", str(MINUTE)])
def test_show_tells_text_voices_and_verdict(minute: str, capsys: pytest.CaptureFixture[str]):
    out = run(capsys, "show", minute)
    assert f"2026-11-30T02:00Z ({MINUTE})" in out
    assert "confirmed, for: 5004, 5005, 5006" in out
    assert told(MINUTE, seed=1).splitlines()[-1] in out
    assert run_json(capsys, "show", minute)["minute"] == MINUTE


@pytest.mark.usefixtures("channel")
def test_show_latest_is_the_last_capture(capsys: pytest.CaptureFixture[str]):
    answer = run_json(capsys, "show", "latest")
    assert answer["minute"] == MINUTE + 3
    assert [item["match"] for item in answer["attestations"]] == [False]


@pytest.mark.usefixtures("channel")
def test_show_names_who_is_against(capsys: pytest.CaptureFixture[str]):
    assert "disputed, for: 5004, against: 5005, 5006, 5007" in run(capsys, "show", str(MINUTE + 2))


def test_show_tells_the_text_of_record(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    channel.record("5007", told(MINUTE + 1, seed=66), time_us=after(MINUTE + 1))
    for who in ("5004", "5005", "5006"):
        channel.attest(who, told(MINUTE + 1, seed=5), MINUTE + 1, after(MINUTE + 1))
    channel.conclude(minute=MINUTE + 1, time_us=after(MINUTE + 1))
    out = run(capsys, "show", str(MINUTE + 1))
    assert "confirmed, for: 5004, 5005, 5006, against: 5007" in out
    assert told(MINUTE + 1, seed=5).splitlines()[-1] in out
    assert told(MINUTE + 1, seed=66).splitlines()[-1] not in out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("500")] == ["NO"] * 3


@pytest.mark.usefixtures("channel")
def test_a_minute_without_capture_is_a_refusal(capsys: pytest.CaptureFixture[str]):
    assert main(["show", str(MINUTE + 1)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("arguments", [["show", "soon"], ["captures", "--from", "2026-11-30T02:00"], ["gaps", "x"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.usefixtures("channel")
def test_gaps_are_ranges_and_a_sum(capsys: pytest.CaptureFixture[str]):
    assert main(["gaps", *SPAN]) == 0
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["2026-11-30T02:01Z", "2026-11-30T02:02Z", "1"],
        ["2026-11-30T02:04Z", "2026-11-30T02:05Z", "1"],
    ]
    assert err == "2 of 5 minutes without a capture of Rele_1\n"
    assert run_json(capsys, "gaps", *SPAN)["gaps"] == [[MINUTE + 1, MINUTE + 2], [MINUTE + 4, MINUTE + 5]]


@pytest.mark.usefixtures("channel")
def test_gaps_end_before_what_may_be_on_its_way(capsys: pytest.CaptureFixture[str]):
    answer = run_json(capsys, "gaps", "--from", str(MINUTE))
    assert (answer["to"], answer["gaps"]) == (MINUTE + 4, [[MINUTE + 1, MINUTE + 2]])


@pytest.mark.usefixtures("channel")
def test_disputes_name_the_servers(capsys: pytest.CaptureFixture[str]):
    (line,) = run(capsys, "disputes").splitlines()[1:]
    assert line.split() == ["2026-11-30T02:02Z", "5004", "5005,", "5006,", "5007"]
    (item,) = run_json(capsys, "disputes")["items"]
    assert (item["minute"], item["against"]) == (MINUTE + 2, ["5005", "5006", "5007"])


def test_status_tells_what_is_open(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    silence = {"relay": "Rele_1", "minute": MINUTE + 4, "reason": "no answer"}
    channel.call("ReportSilence", silence, server("5004"), after(MINUTE + 6))
    out = run(capsys, "status")
    assert "Rele_1 (Relay 1, Bogotá Electrical Substation - U.D.)" in out
    assert "2026-11-30T02:03Z by 5004, open" in out
    assert "since 2026-11-30T02:04Z: no answer" in out
    (state,) = run_json(capsys, "status")["relays"]
    assert state["recent"] == {"captures": 3, "missing": 0, "open": 1}
    assert (state["disputes"], state["last"]["minute"]) == (1, MINUTE + 3)


def test_status_of_a_relay_without_captures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    on_ledger(monkeypatch, RelayChannel().register())  # half a second into minute MINUTE + 1
    monkeypatch.setattr(status, "minute_now", lambda: MINUTE + 4)
    assert "no capture yet; the first comes within two periods" in run(capsys, "status")
    assert run_json(capsys, "status")["relays"][0]["unread_min"] is None
    monkeypatch.setattr(status, "minute_now", lambda: MINUTE + 5)
    assert "no capture in the 3 min since it was registered: its servers do not reach it" in run(capsys, "status")


def test_an_update_is_no_registration(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    channel.call("UpdateRelay", RECORD | {"quorum": 4}, OPERATOR, after(MINUTE + 3))
    assert run_json(capsys, "gaps")["from"] == MINUTE + 2


@pytest.mark.usefixtures("channel")
def test_gaps_begin_with_the_registration(capsys: pytest.CaptureFixture[str]):
    assert main(["gaps"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err.splitlines()[0] == "0 of 2 minutes without a capture of Rele_1"
    assert err.splitlines()[1] == "note: from its registration on, 2026-11-30T02:02Z"


@pytest.mark.usefixtures("channel")
def test_a_limit_alone_is_of_the_newest(capsys: pytest.CaptureFixture[str]):
    """The span is widened over gaps; the oldest comes first."""
    assert [item["minute"] for item in run_json(capsys, "captures", "--limit", "1")["items"]] == [MINUTE + 3]
    two = run_json(capsys, "captures", "--limit", "2")["items"]
    assert [item["minute"] for item in two] == [MINUTE + 2, MINUTE + 3]
    three = run_json(capsys, "captures", "--limit", "3")["items"]
    assert [item["minute"] for item in three] == [MINUTE, MINUTE + 2, MINUTE + 3]


async def test_no_peer_that_answers_is_told_in_short(monkeypatch: pytest.MonkeyPatch):
    @asynccontextmanager
    async def unreachable(*_: Any) -> AsyncIterator[None]:
        yield None

    monkeypatch.setattr(reaching, "application_of", lambda _: ("substation", "relay"))
    monkeypatch.setattr(reaching, "SigningIdentity", MagicMock())
    monkeypatch.setattr(reaching, "peers_of", lambda *_: [])
    monkeypatch.setattr(reaching, "load_profile", lambda _: MagicMock(peers={}))
    monkeypatch.setattr(reaching, "relay_ledger", unreachable)
    with pytest.raises(UnavailableError) as told:
        async with opened(MagicMock()):
            raise ConnectionFailed("no gateway can be reached: peer1 refuses; peer2 refuses. See which")
    assert told.value.message == "no peer answers; 'gridledger status' says which run. The first failure: peer1 refuses"


@pytest.mark.usefixtures("channel")
def test_a_table_without_hours_says_when_one_closes(capsys: pytest.CaptureFixture[str]):
    assert main(["statistics"]) == 0
    assert "a server closes an hour once each of its minutes is concluded" in capsys.readouterr().err


def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["show", "04:05"])
    err = capsys.readouterr().err
    assert err.startswith("error: argument MINUTE: ")
    assert err.count("\n") == 1


def test_status_without_a_relay_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    on_ledger(monkeypatch, RelayChannel())
    assert "gridledger relay register FILE" in run(capsys, "status")
    assert main(["captures"]) == 1
    assert "no relay is registered" in capsys.readouterr().err


def test_one_of_several_relays_must_be_named(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    channel.call("RegisterRelay", RECORD | {"relay": "Rele_2"}, OPERATOR)
    assert main(["captures", *SPAN]) == 1
    assert "name one with --relay: Rele_1, Rele_2" in capsys.readouterr().err
    assert run_json(capsys, "captures", *SPAN, "--relay", "Rele_2")["items"] == []


def test_statistics_of_a_closed_hour(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    for minute in range(MINUTE + 60, MINUTE + 120):
        channel.confirm(minute, seed=minute)
    closing = {"relay": "Rele_1", "hour": HOUR + 1}
    channel.call("CloseHour", closing, server("5004"), after(MINUTE + 120))
    span = ("--from", "2026-11-30T02:00Z", "--to", "2026-11-30T04:00Z")
    assert main(["statistics", *span]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:4] for line in out.splitlines() if line.startswith("2026")] == [
        ["2026-11-30T03:00Z", "60", "60", "0"]
    ]
    assert any(line.split()[:2] == ["Vab", "kV"] for line in out.splitlines())
    assert err == "1 of 2 hours are not closed\n"
    answer = run_json(capsys, "statistics", *span)
    assert (answer["open_hours"], answer["total"]["captures"]) == ([HOUR], 60)


@pytest.mark.usefixtures("channel")
def test_statistics_are_of_whole_hours(capsys: pytest.CaptureFixture[str]):
    assert main(["statistics", "--from", "2026-11-30T02:01Z"]) == 1
    assert capsys.readouterr().err == "error: --from: 2026-11-30T02:01Z is no whole hour\n"


def test_faults_tell_who_has_each(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    statement = {
        "relay": "Rele_1",
        "sha256": "ab" * 32,
        "station": "Bogotá",
        "device": "R1",
        "trigger_time": "2026-11-30T02:00:01",
        "samples": 10,
        "channels": 4,
        "bytes": 999,
        "revision_year": 1999,
    }
    for who in ("5004", "5006"):
        channel.call("RecordFault", statement, server(who))
    (line,) = run(capsys, "faults").splitlines()[1:]
    assert "Bogotá" in line
    assert "5004, 5006" in line


async def test_the_latest_minute_is_found_however_far_back(channel: RelayChannel):
    ledger = ledger_on(channel)
    assert await latest_minute(ledger, "Rele_1", MINUTE + 4) == MINUTE + 3
    assert await latest_minute(ledger, "Rele_1", MINUTE + 3) == MINUTE + 2
    assert await latest_minute(ledger, "Rele_1", MINUTE + 5_000_000) == MINUTE + 3
    assert await latest_minute(ledger, "Rele_1", MINUTE) is None


async def test_pages_hold_every_capture_once(channel: RelayChannel):
    pages = [page async for page in pages_of_captures(ledger_on(channel), "Rele_1", MINUTE, MINUTE + 9, limit=1)]
    assert [[item["minute"] for item in page] for page in pages] == [[MINUTE], [MINUTE + 2], [MINUTE + 3]]


async def test_gaps_of_pages_are_joined(channel: RelayChannel, monkeypatch: pytest.MonkeyPatch):
    answers = [
        {"gaps": [[1, 3], [4, 5]], "captures": 1, "bookmark": "x"},
        {"gaps": [[5, 9]], "captures": 0, "bookmark": None},
    ]
    ledger = ledger_on(channel)

    async def get_gaps(*_: Any, bookmark: str | None = None) -> Any:
        return answers[0 if bookmark is None else 1]

    monkeypatch.setattr(ledger, "get_gaps", get_gaps)
    assert [gap async for gap in gaps_of(ledger, "Rele_1", 1, 9)] == [(1, 3), (4, 9)]
    assert await relay_named(ledger, None) == "Rele_1"
