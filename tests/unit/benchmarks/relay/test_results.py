"""Results that are kept, tables, and what misses a bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.relay import tables
from benchmarks.relay.__main__ import _judge, _missed, main
from benchmarks.relay.results import Results

LATENCY = {"mean_ms": 40.0, "p50_ms": 40.4, "p95_ms": 90.0, "p99_ms": 99.6, "max_ms": 120.2}
RUN: dict[str, Any] = {
    "servers": 4,
    "minute_s": 3.0,
    "delay_ms": 0.0,
    "minutes": 200,
    "lost": [],
    "own_peer": LATENCY,
    "last_peer": LATENCY,
    "first_third": LATENCY,
    "last_third": LATENCY,
    "invalid_share": 0.025,
    "server_over_time": [{"at_s": 60.0, "cores": 0.05, "mib": 80.0}],
    "processes": {"relay server": {"count": 4, "cores": 0.05, "begin_mib": 79.0, "end_mib": 81.0, "most_mib": 82.0}},
}


async def test_a_finished_run_is_not_measured_again(tmp_path: Path):
    measured: list[int] = []

    async def measure() -> dict[str, Any]:
        measured.append(1)
        return {"lost": []}

    path = tmp_path / "x" / "update.json"
    for anew, expected in ((False, 1), (False, 1), (True, 2)):
        run = await Results(path, anew=anew).of({"servers": 4, "lengths": (1, 2)}, measure)
        assert run == {"configuration": {"servers": 4, "lengths": [1, 2]}, "lost": []}
        assert len(measured) == expected
    await Results(path).of({"servers": 8}, measure)
    assert len(measured) == 3


async def test_a_run_of_another_commit_is_measured_again(tmp_path: Path):
    async def measure() -> dict[str, Any]:
        return {"lost": [1]}

    path = tmp_path / "update.json"
    path.write_text('{"machine": {"commit": "another"}, "runs": [{"configuration": {}, "lost": []}]}')
    assert (await Results(path).of({}, measure))["lost"] == [1]


def test_the_update_table_has_the_article_beside_it():
    rows = [{"nodes": nodes, "length": length, "update": LATENCY} for nodes, length in ((4, 1000), (8, 0))]
    text = tables.update_table([RUN], rows)
    assert "| article at 0 captures: p50 / p99 ms | article at 1,000 captures: p50 / p99 ms |" in text.splitlines()[0]
    assert text.splitlines()[2] == "| 4 | 200 | 0 | 40 | 100 | 120 | 40 | 100 | 120 | 2.5 % |  /  | 40 / 100 |"
    assert tables.update_table([RUN | {"own_peer": None}], []).splitlines()[2].startswith("| 4 | 200 | 0 |  |  |  | 40")


def test_the_other_tables_are_markdown():
    assert tables.period_table([RUN]).splitlines()[2] == "| 3 | 4 | 200 | 0 | 40 | 100 | 120 | 40 | 40 |"
    assert "| 60 | 5.0 | 80 |" in tables.use_table(RUN)
    assert "| relay server | 4 | 5.0 | 79 | 81 |" in tables.use_table(RUN)
    report = {
        "lengths": [
            {"length": 10_000, "minutes": 100, "own_peer": LATENCY, "last_peer": LATENCY, "server_cores": 0.051}
            | {"server_mib": 80.2}
        ],
        "ratios": [{"of": 10_000, "to": 100, "ratio": 1.0123, "interval": [0.95, 1.05]}],
    }
    text = tables.length_table(report)
    assert "| 10,000 | 100 | 40 | 100 | 120 | 40 | 100 | 120 | 5.1 | 80 |" in text
    assert text.endswith("of 10,000 and 100 captures: 1.012, 95 % interval 0.950 to 1.050.")
    row = {"nodes": 4, "length": 1000, "minutes": 20, "update": LATENCY}
    assert tables.article_table([row]).splitlines()[2] == "| 4 | 1,000 | 20 | 40 | 100 | 120 |"


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, ""),
        ({"lost": [1]}, "4 servers: 1 minutes are not on every peer"),
        ({"own_peer": LATENCY | {"p99_ms": 250.0}}, "4 servers: p99 250 ms is not below 250 ms"),
        ({"own_peer": LATENCY | {"p99_ms": 250.0}, "delay_ms": 100.0}, ""),
        ({"own_peer": LATENCY | {"p99_ms": 900.0}, "servers": 15}, ""),
        ({"own_peer": LATENCY | {"p99_ms": 9000.0}, "servers": 8}, ""),
    ],
)
def test_a_bar_that_is_missed_is_told(changes: dict[str, Any], missed: str, capsys: pytest.CaptureFixture[str]):
    assert _missed(RUN | changes) == missed
    assert _judge([_missed(RUN | changes)]) == (1 if missed else 0)
    assert capsys.readouterr().err == (f"MISSED: {missed}\n" if missed else "")


@pytest.mark.parametrize("arguments", [[], ["update", "--servers", "16"], ["length", "--lengths", "200000"]])
def test_wrong_usage_starts_nothing(arguments: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
