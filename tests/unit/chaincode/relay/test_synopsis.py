"""CloseHour and GetStatistics: what an hour's texts of record come to."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

import pytest

from gridledger.field.capture import MAX_BYTES, MEASURES, parse_capture, text_hash
from tests.support.call_count import calls_of
from tests.support.captures import SUBSTATION
from tests.support.relay_channel import HOUR, MINUTE, RelayChannel, S, after, client, local, server, told

CLOSE = {"relay": "Rele_1", "hour": HOUR}
STATISTICS = {"relay": "Rele_1", "from_hour": HOUR, "to_hour": HOUR + 1}
MAX_AGE_S = 7_776_000


def closed(channel: RelayChannel, hour: int = HOUR) -> Any:
    """CloseHour once all is told."""
    return channel.call("CloseHour", {"relay": "Rele_1", "hour": hour}, server("5004"), after((hour + 1) * 60))


@pytest.fixture
def channel() -> RelayChannel:
    """A channel with a whole hour: minute 7 disputed, minute 9 lied about by its winner."""
    channel = RelayChannel().register()
    for minute in range(MINUTE, MINUTE + 60):
        if minute - MINUTE not in (7, 9):
            channel.confirm(minute, seed=minute)
    channel.now_us = after(MINUTE + 60)
    channel.record("5004", told(MINUTE + 7))
    for seed, who in enumerate(("5005", "5006", "5007"), 1):
        channel.attest(who, told(MINUTE + 7, seed=seed), MINUTE + 7)
    channel.conclude(minute=MINUTE + 7)
    channel.record("5007", told(MINUTE + 9, seed=1))
    for who in ("5004", "5005", "5006"):
        channel.attest(who, told(MINUTE + 9, seed=MINUTE + 9), MINUTE + 9)
    channel.conclude(minute=MINUTE + 9)
    return channel


def test_the_synopsis_is_of_the_texts_of_record(channel: RelayChannel) -> None:
    found = closed(channel)
    assert channel.last is not None
    assert channel.last.event == {"name": "HourClosed", "payload": found}
    assert list(channel.last.writes) == [f"hour/Rele_1/{HOUR:08d}"]
    texts = {minute: told(minute, seed=minute) for minute in range(MINUTE, MINUTE + 60) if minute != MINUTE + 7}
    captures = [parse_capture(given) for given in texts.values()]
    rows = [reading.values for capture in captures for reading in capture.readings]
    assert (found["captures"], found["confirmed"], found["disputed"], found["gaps"]) == (60, 59, 1, [])
    assert (found["readings"], len(rows)) == (354, 354)
    assert found["faults"] == sum(capture.faults for capture in captures)
    for index, measure in enumerate(MEASURES):
        values = [row[index] for row in rows]
        got = found["measures"][measure]
        assert (got["min"], got["max"]) == (min(values), max(values))
        assert got["mean"] == pytest.approx(float(sum(map(Fraction, values)) / len(values)), rel=1e-15)
    outside = [row[6] for row in rows if not 59.5 <= row[6] <= 60.5]
    assert 0 < len(outside) < 354
    assert (
        found["measures"]["F"] | {"limited": 354, "breaches": len(outside), "outside": len(outside) / 354}
        == (found["measures"]["F"])
    )
    assert (found["measures"]["P"]["limited"], found["measures"]["P"]["outside"]) == (0, None)
    assert found["frequency_deviation_hz"]["max"] == max(abs(row[6] - 60) for row in rows)
    unbalance = [100 * max(abs(v - sum(row[:3]) / 3) for v in row[:3]) / (sum(row[:3]) / 3) for row in rows]
    assert found["unbalance_percent"]["max"] == pytest.approx(max(unbalance))
    assert found["unbalance_percent"]["mean"] == pytest.approx(sum(unbalance) / 354)
    assert found["energy_mwh"] == pytest.approx(sum(row[8] for row in rows) / 6 / 60)
    assert found["energy_mvarh"] == pytest.approx(sum(row[9] for row in rows) / 6 / 60)
    lines = [f"{m} {text_hash(texts[m]) if m in texts else '-'}\n" for m in range(MINUTE, MINUTE + 60)]
    assert found["sha256"] == sha256("".join(lines).encode()).hexdigest()


def test_an_hour_is_closed_once(channel: RelayChannel) -> None:
    found = closed(channel)
    message = "hour: closed already by 5004 at 2026-11-30T03:01:00Z"
    assert channel.refused("CloseHour", CLOSE, caller=server("5005"), time_us=after(MINUTE + 120)) == message
    assert channel.call("GetStatistics", STATISTICS)["hours"] == [found]
    channel.attest("5007", told(MINUTE + 5, seed=MINUTE + 5), MINUTE + 5)
    channel.conclude(minute=MINUTE + 5)
    assert channel.call("GetStatistics", STATISTICS)["hours"] == [found], "one voice more changes nothing in it"


def test_a_dispute_that_is_settled_later_opens_the_hour_again() -> None:
    channel = RelayChannel().register()
    for minute in range(MINUTE, MINUTE + 59):
        channel.confirm(minute, seed=minute)
    given = told(MINUTE + 59)
    channel.now_us = after(MINUTE + 60)
    channel.record("5004", given)
    channel.conclude(minute=MINUTE + 59, time_us=channel.now_us + 120 * S)
    assert closed(channel)["disputed"] == 1
    for who in ("5005", "5006"):
        channel.attest(who, given, MINUTE + 59)
    channel.conclude(minute=MINUTE + 59)
    assert channel.call("GetStatistics", STATISTICS)["open_hours"] == [HOUR]
    again = closed(channel)
    assert (again["confirmed"], again["disputed"]) == (60, 0)


def test_an_hour_with_gaps_is_closed_later_and_opened_when_they_fill() -> None:
    channel = RelayChannel().register()
    channel.confirm(MINUTE + 2, seed=1)
    waited_us = ((HOUR + 1) * 3600 + 3600) * S
    message = channel.refused("CloseHour", CLOSE, caller=server("5004"), time_us=waited_us)
    assert message == (
        f"hour: {MINUTE} (2026-11-30T02:00Z) is not recorded; with gaps it can be closed after 2026-11-30T04:00:00Z"
    )
    found = channel.call("CloseHour", CLOSE, server("5004"), waited_us + S)
    assert found["gaps"] == [[MINUTE, MINUTE + 2], [MINUTE + 3, MINUTE + 60]]
    channel.record("5006", told(MINUTE), time_us=waited_us + 2 * S)
    assert channel.call("GetStatistics", STATISTICS)["open_hours"] == [HOUR]
    channel.refused(
        "CloseHour",
        CLOSE,
        f"{MINUTE} (2026-11-30T02:00Z) is not concluded",
        caller=server("5004"),
        time_us=waited_us + 3 * S,
    )
    channel.conclude(time_us=waited_us + 200 * S)
    again = channel.call("CloseHour", CLOSE, server("5004"), waited_us + 201 * S)
    assert (again["captures"], again["confirmed"], again["disputed"]) == (2, 1, 1)
    assert again["gaps"] == [[MINUTE + 1, MINUTE + 2], [MINUTE + 3, MINUTE + 60]]


def test_hours_without_a_capture_are_closed_since_the_registration() -> None:
    channel = RelayChannel().register()
    now_us = ((HOUR + 3) * 3600) * S
    empty = channel.call("CloseHour", {"relay": "Rele_1", "hour": HOUR + 1}, server("5004"), now_us + S)
    assert (empty["captures"], empty["readings"], empty["measures"]) == (0, 0, {})
    assert (empty["unbalance_percent"], empty["energy_mwh"]) == (None, 0.0)
    for hour in (HOUR, HOUR - 1):
        close = {"relay": "Rele_1", "hour": hour}
        channel.refused(
            "CloseHour", close, "it began before Rele_1 was registered", caller=server("5004"), time_us=now_us
        )
    found = channel.call("GetStatistics", {"relay": "Rele_1", "from_hour": HOUR, "to_hour": HOUR + 2})
    assert (found["open_hours"], found["total"]["gap_minutes"], found["total"]["measures"]) == ([HOUR], 60, {})


def test_what_nobody_can_conclude_is_closed_when_it_is_too_old() -> None:
    channel = RelayChannel().register()
    channel.record("5004", told(MINUTE))
    too_old_us = ((HOUR + 1) * 3600 + MAX_AGE_S + 120) * S
    channel.refused("CloseHour", CLOSE, "is not concluded", caller=server("5004"), time_us=too_old_us)
    found = channel.call("CloseHour", CLOSE, server("5004"), too_old_us + S)
    assert (found["captures"], found["confirmed"], found["disputed"]) == (1, 0, 0)
    channel.conclude(time_us=too_old_us + 2 * S)
    assert channel.call("GetStatistics", STATISTICS)["open_hours"] == [HOUR]


def test_a_dead_busbar_has_no_unbalance() -> None:
    channel = RelayChannel().register(period_s=3600)
    dead = re.sub(";(V..);[0-9.]+", r";\1;0.0", told(MINUTE))
    channel.record("5004", dead, time_us=after(MINUTE, period_s=3600))
    for who in ("5005", "5006"):
        channel.attest(who, dead)
    channel.now_us = after(MINUTE, period_s=3600)
    channel.conclude()
    found = closed(channel)
    assert (found["unbalance_percent"], found["measures"]["Vab"]["mean"]) == ({"mean": 0.0, "max": 0.0}, 0.0)


def test_a_capture_that_comes_meanwhile_is_a_conflict() -> None:
    channel = RelayChannel().register()
    for minute in range(MINUTE, MINUTE + 60):
        channel.confirm(minute, seed=minute)
    now_us = after(MINUTE + 60)
    result = channel.endorse("CloseHour", CLOSE, server("5004"), now_us, 1)
    channel.attest("5007", told(MINUTE, seed=3), MINUTE)
    channel.conclude(minute=MINUTE)
    assert not channel.order(result, now_us)


def test_the_total_is_that_of_all_readings() -> None:
    channel = RelayChannel().register(period_s=1800)
    rows = []
    for hour in (HOUR, HOUR + 1, HOUR + 2):
        for half in (0, 30):
            minute, count = hour * 60 + half, 1 + (hour + half) % 4
            given = told(minute, seed=minute, readings=count)
            rows += [reading.values for reading in parse_capture(given).readings]
            now_us = after(minute, period_s=1800)
            channel.record("5004", given, time_us=now_us)
            for who in ("5005", "5006"):
                channel.attest(who, given, minute, now_us)
            channel.conclude(minute=minute, time_us=now_us)
        closed(channel, hour)
    found = channel.call("GetStatistics", {"relay": "Rele_1", "from_hour": HOUR, "to_hour": HOUR + 3})
    total = found["total"]
    assert (total["captures"], total["readings"], found["open_hours"]) == (6, len(rows), [])
    for index, measure in enumerate(MEASURES):
        values = [row[index] for row in rows]
        assert total["measures"][measure]["mean"] == pytest.approx(sum(values) / len(values))
        assert total["measures"][measure]["max"] == max(values)
    assert total["energy_mwh"] == pytest.approx(sum(hour["energy_mwh"] for hour in found["hours"]))
    assert total["frequency_deviation_hz"]["mean"] == pytest.approx(sum(abs(row[6] - 60) for row in rows) / len(rows))


def test_only_servers_close_and_fields_are_named() -> None:
    channel = RelayChannel().register()
    channel.refused("CloseHour", CLOSE, "relay.role", caller=client("Server5004MSP"))
    channel.refused("CloseHour", CLOSE | {"hour": -1}, "hour: must lie", caller=server("5004"))
    span = {"relay": "Rele_1", "from_hour": HOUR, "to_hour": HOUR + 337}
    channel.refused("GetStatistics", span, "to_hour: must lie within from_hour and 336 hours")


def largest(minute: int, value: str) -> str:
    """As many readings as a minute can have, and empty lines up to the bound."""
    time = local(minute)
    values = "".join(f";{measure};{'0.123456789' if measure == 'FP' else value}" for measure in MEASURES)
    rows = [f"Time Stamp;{time + timedelta(seconds=s):%d %m %Y %H %M %S}{values}" for s in range(71)]
    head = f"{time:%d %m %Y %H %M}\nRelay 1\n{SUBSTATION}\n\nOpenings caused by faults: 1.0\n"
    given = "\n".join([head, *rows])
    return given + "\n" * (MAX_BYTES - len(given.encode()))


def test_the_largest_hour_costs_a_part_of_a_call_s_time() -> None:
    channel = RelayChannel().register(limits={measure: [-1.0, 1.0] for measure in MEASURES})
    for minute in range(MINUTE, MINUTE + 60):
        now_us = after(minute)
        channel.record("5004", largest(minute, "2.5"), time_us=now_us)
        for who in ("5005", "5006", "5007"):
            channel.attest(who, largest(minute, "123456789.123456789"), minute, now_us)
        channel.conclude(minute=minute, time_us=now_us)
    calls = calls_of(lambda: closed(channel))
    assert closed_readings(channel) == 60 * 71
    assert calls < 500_000, "0.12 s of a core; a call may take 5 s"


def closed_readings(channel: RelayChannel) -> int:
    (hour,) = channel.call("GetStatistics", STATISTICS)["hours"]
    return int(hour["readings"])
