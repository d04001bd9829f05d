"""ReportSilence and EndSilence: one open silence a relay, and the history of all."""

from __future__ import annotations

import pytest

from tests.support.relay_channel import MINUTE, OPERATOR, RelayChannel, S, client, server

AT = {"relay": "Rele_1", "minute": MINUTE}
WHY = {**AT, "reason": "no answer for 2 periods"}


@pytest.fixture
def channel() -> RelayChannel:
    """A channel with the relay registered."""
    return RelayChannel().register()


def test_a_silence_is_reported_once_and_ended_once(channel: RelayChannel) -> None:
    opened = channel.call("ReportSilence", WHY, server("5004"))
    silence = {"from": MINUTE, "reason": "no answer for 2 periods", "server": "5004", "time_us": channel.now_us}
    assert opened == {"relay": "Rele_1", **silence, "until": None, "ended_by": None}
    assert channel.last is not None
    assert channel.last.event == {"name": "RelaySilent", "payload": opened}
    assert channel.call("GetRelay", {"relay": "Rele_1"})["silence"]["from"] == MINUTE
    message = f"ALREADY_REPORTED by 5004 at 2026-11-30T02:01:00Z, from {MINUTE} (2026-11-30T02:00Z)"
    again = WHY | {"minute": MINUTE - 1}
    assert channel.refused("ReportSilence", again, caller=server("5005"), time_us=channel.now_us + S) == message
    channel.now_us += 120 * S
    ended = channel.call("EndSilence", AT | {"minute": MINUTE + 2}, server("5006"))
    assert ended == {"relay": "Rele_1", **silence, "until": MINUTE + 2, "ended_by": "5006"}
    assert channel.last is not None
    assert channel.last.event == {"name": "RelayBack", "payload": ended}
    assert channel.call("GetRelay", {"relay": "Rele_1"})["silence"] is None
    channel.refused("EndSilence", AT, "relay: no silence of Rele_1 is open", caller=server("5004"))
    assert channel.refused("ReportSilence", WHY, caller=server("5005")) == message
    channel.call("ReportSilence", WHY | {"minute": MINUTE + 3}, server("5005"))
    page = channel.call("GetSilences", {"relay": "Rele_1", "limit": 1})
    assert page == {"items": [{**silence, "until": MINUTE + 2, "ended_by": "5006"}], "bookmark": f"{MINUTE + 3:010d}"}
    rest = channel.call("GetSilences", {"relay": "Rele_1", "bookmark": page["bookmark"]})
    assert ([item["from"] for item in rest["items"]], rest["bookmark"]) == ([MINUTE + 3], None)


def test_of_two_that_report_at_once_the_first_counts(channel: RelayChannel) -> None:
    results = [channel.endorse("ReportSilence", WHY, server(who), channel.now_us, 1) for who in ("5004", "5005")]
    assert [channel.order(result, channel.now_us) for result in results] == [True, False]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"relay": "Rele_2"}, "relay: Rele_2 is not registered"),
        ({"reason": ""}, "reason: must be a string of 1 to 256"),
        ({"reason": "a\nb"}, "reason: has a character that nobody sees: U+000A"),
        ({"minute": MINUTE + 10}, f"minute: {MINUTE + 10} (2026-11-30T02:10Z) is 540 s after the proposal's time"),
        ({"minute": MINUTE - 129_600}, "more than max_age_s before"),
        ({"minute": "1"}, "minute: must be an integer"),
    ],
)
def test_a_refusal_names_the_field(channel: RelayChannel, changes: dict[str, object], why: str) -> None:
    channel.refused("ReportSilence", WHY | changes, why, caller=server("5004"))


def test_a_silence_does_not_end_before_it_began(channel: RelayChannel) -> None:
    channel.call("ReportSilence", WHY, server("5004"))
    channel.refused("EndSilence", AT | {"minute": MINUTE - 1}, "minute: must not be before", caller=server("5004"))
    channel.refused("EndSilence", AT | {"minute": MINUTE + 9}, "after the proposal's time", caller=server("5004"))


def test_only_servers_report(channel: RelayChannel) -> None:
    for caller in (client("Server5004MSP"), OPERATOR, server("5008"), server("5004", "Server5005MSP")):
        channel.refused("ReportSilence", WHY, caller=caller)
        channel.refused("EndSilence", AT, caller=caller)
