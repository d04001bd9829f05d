"""The demonstration's report, table and files: what they tell of the story, and that they hold for one that failed."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.demonstration.console import Console
from gridledger.demonstration.report import render_report
from gridledger.network.status import ChannelState, NetworkState, PeerState
from services.relay.demonstration import charts
from services.relay.demonstration.expectations import Evidence, judged
from services.relay.demonstration.files import Chain, write_captures, write_chain
from services.relay.demonstration.report import EXTRA, Results, ms_text, report_of, update_percentiles_ms, write_all
from services.relay.demonstration.summary import summary_of
from services.relay.demonstration.table import show_table
from tests.support.relay_story import CAST, RECORD, SILENCE, outcome, outcomes, stored
from tests.unit.relay.demonstration.test_expectations import LIES

DRAWINGS = dict.fromkeys(("voices", "updates", "measurements"), "<svg></svg>")


def results(**changed: Any) -> Results:
    evidence = Evidence(12, outcomes(), CAST, LIES, [], [SILENCE], [], "")
    told = Results(outcomes(), CAST, RECORD, judged(evidence), [SILENCE], [], 6.0, Chain(13, "ab" * 32))
    return replace(told, **changed)


def items() -> list[dict[str, Any]]:
    """ListCaptures', with texts."""
    return [
        {
            **{name: one[name] for name in ("minute", "server", "sha256", "time_us")},
            "status": one["verdict"]["status"],
            "record_sha256": one["record"] and one["record"]["sha256"],
            "text": one["record"]["text"] if one["record"] else one["text"],
        }
        for one in map(stored, range(1, 13))
    ]


def test_the_page_tells_the_story() -> None:
    page = render_report(report_of(results(), DRAWINGS), extra=EXTRA)
    for text in ("12 of 12", "All 10 expectations held", "5006, 5007", "disputed", "the peer of 5005 is cut off"):
        assert text in page
    assert page.count("<tr>") == 1 + 12 + 1 + 4 + 1 + 1  # minutes, disagreements, silences, each with its head
    assert page.count("<svg") == 3


def test_a_page_of_a_failure_says_so() -> None:
    failed = [(text, number != 2) for number, (text, _) in enumerate(results().expectations)]
    changed = results(expectations=failed, gaps=[(outcome(3).minute, outcome(4).minute)], outcomes=[outcome(1)])
    page = render_report(report_of(changed, DRAWINGS), extra=EXTRA)
    assert "1 of 10 expectations did not hold" in page
    assert "The ledger has gaps: 2026-07-26" in page
    assert page.count('<li class="bad">') == 1


def test_the_files_are_whole(tmp_path: Path) -> None:
    write_all(tmp_path, results())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)\s*=\s*["']\s*(?!#)[a-z]+:|url\(http|@import""", page)
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_drawings_hold_for_what_is_missing() -> None:
    untimed = replace(outcome(5), update_ms=None, last_ms=None)
    shown = charts.Shown([outcome(1), untimed, replace(outcome(9), breaches=())], CAST, {})
    for draw in (charts.voices_svg, charts.updates_svg, charts.measurements_svg):
        assert "<svg" in draw(shown)


def test_percentiles_are_of_the_minutes_that_count() -> None:
    timed = sorted(one.update_ms or 0.0 for one in outcomes() if one.timed)
    assert len(timed) == 9
    assert update_percentiles_ms(outcomes())["p50"] == pytest.approx(timed[4], abs=0.01)
    last = update_percentiles_ms(outcomes(), last=True)
    assert last["p99"] == pytest.approx(
        max(one.last_ms or 0.0 for one in outcomes() if one.timed and one.number != 11), abs=0.01
    )


def test_the_table_has_a_row_for_each_minute(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(Console(), results())
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if re.match(r"  +\d+  \d\d:\d\d  500\d", line)]
    assert len(rows) == 12
    assert " ".join(rows[3].split()) == "4 00:27 5006 35 ms 5004 5005 5007 confirmed server 5005 is killed (kill -9)"
    assert sum("against: " in line for line in lines) == 3
    assert sum(line.startswith("  ok  ") for line in lines) == 10


def test_times_are_written_as_people_read_them() -> None:
    assert [ms_text(ms) for ms in (None, -12.0, 41.4, 12_051.0)] == ["none", "before", "41 ms", "12,051 ms"]


def test_the_summary_is_for_programs() -> None:
    peers = {f"peer{server}": PeerState(80, "cd" * 32) for server in CAST.servers}
    state = NetworkState({"substation": ChannelState(peers)}, {}, [])
    summary = json.loads(json.dumps(summary_of(results(), 8.123, state, LIES)))
    assert summary["passed"] is True
    assert summary["ready_s"] == 8.12
    assert [one["verdict"] for one in summary["minutes"]].count("disputed") == 1
    assert summary["minutes"][11]["against"] == ["5007"]
    assert summary["lies"]["12"] == summary["minutes"][11]["sha256"] != summary["minutes"][11]["record_sha256"]
    assert summary["channels"]["substation"]["height"] == 80
    assert summary["update_ms"].keys() == {"p50", "p95", "p99"}


def test_captures_are_a_row_for_each_reading(tmp_path: Path) -> None:
    write_captures(tmp_path / "captures.csv", RECORD, items())
    with (tmp_path / "captures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * 6
    assert float(rows[0]["Vab"]) == outcome(1).readings[0].values[0]


def test_the_chain_is_verified_as_it_is_written(tmp_path: Path) -> None:
    chain = write_chain(tmp_path / "chain.json", RECORD, items())
    assert (chain.length, chain.fault) == (13, "")
    assert re.fullmatch("[0-9a-f]{64}", chain.head)
    twice = [*items(), items()[0]]
    assert "the capture is in the chain already" in write_chain(tmp_path / "chain.json", RECORD, twice).fault
