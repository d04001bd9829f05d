"""``compare``: an operator's report with planted differences, beside the ledger."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridledger.field.capture import MEASURES, UNITS, parse_capture
from services.relay.__main__ import main
from tests.support.relay_channel import MINUTE, RECORD, RelayChannel, after, told
from tests.support.relay_commands import on_ledger

HEAD = "from,to,measure,statistic,value,unit"
TEN = "2026-11-30T02:00Z,2026-11-30T02:10Z"


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> RelayChannel:
    """Ten minutes, all confirmed."""
    channel = RelayChannel().register()
    on_ledger(monkeypatch, channel)
    for minute in range(MINUTE, MINUTE + 10):
        channel.confirm(minute, seed=minute)
    return channel


def values(measure: str, minutes: range = range(MINUTE, MINUTE + 10)) -> list[float]:
    """What the relay told of a measure."""
    index = MEASURES.index(measure)
    captures = [parse_capture(told(minute, seed=minute)) for minute in minutes]
    return [reading.values[index] for capture in captures for reading in capture.readings]


def true_report() -> list[str]:
    """A report that the ledger bears out, by numpy."""
    lines = []
    for measure in MEASURES:
        found = np.array(values(measure))
        for name, value in (
            ("min", found.min()),
            ("mean", found.mean()),
            ("max", found.max()),
            ("p95", np.percentile(found, 95)),
        ):
            lines.append(f"{TEN},{measure},{name},{value:.3f},{UNITS[measure]}")
    for measure, (low, high) in RECORD["limits"].items():
        outside = np.array([not low <= value <= high for value in values(measure)])
        lines.append(f"{TEN},{measure},share_outside,{100 * outside.mean():.2f},%")
    return lines


def compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], *arguments: str, code: int
) -> tuple[str, str]:
    path = tmp_path / "report.csv"
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    assert main(["compare", str(path), *arguments]) == code
    out, err = capsys.readouterr()
    return out, err


def compare_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], *arguments: str, code: int
) -> Any:
    return json.loads(compare(tmp_path, capsys, lines, "--json", *arguments, code=code)[0])


@pytest.mark.usefixtures("channel")
def test_a_true_report_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, err = compare(tmp_path, capsys, true_report(), code=0)
    assert (out, err) == ("", "42 of 42 rows agree with the ledger\n")


@pytest.mark.usefixtures("channel")
def test_each_planted_difference_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = true_report()
    planted = {3: 0.5, 17: -0.5, 40: 5.0}
    for index, change in planted.items():
        cells = lines[index].split(",")
        lines[index] = ",".join([*cells[:4], f"{float(cells[4]) + change:.3f}", cells[5]])
    out, err = compare(tmp_path, capsys, lines, code=1)
    assert [line.split(":")[0] for line in out.splitlines()] == [f"line {index + 2}" for index in planted]
    assert err == "39 of 42 rows agree with the ledger\n"
    answer = compare_json(tmp_path, capsys, lines, code=1)
    first = answer["differences"][0]
    assert (first["measure"], first["statistic"], first["unit"]) == ("Vab", "p95", "kV")
    assert first["report"] - first["ledger"] == pytest.approx(0.5, abs=0.001)


@pytest.mark.usefixtures("channel")
def test_a_tolerance_may_be_wider(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mean = statistics.fmean(values("F"))
    lines = [f"{TEN},F,mean,{mean + 0.04:.3f},Hz"]
    compare(tmp_path, capsys, lines, code=1)
    compare(tmp_path, capsys, lines, "--tolerance", "Vab=0.05", code=1)
    compare(tmp_path, capsys, lines, "--tolerance", "Vab=1", "--tolerance", "F=0.05", code=0)


def test_gaps_and_disputes_of_a_window_are_told(
    channel: RelayChannel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for number, who in enumerate(("5004", "5005", "5006", "5007")):
        given = told(MINUTE + 12, seed=number)
        if number == 0:
            channel.record(who, given, time_us=after(MINUTE + 12))
        else:
            channel.attest(who, given, MINUTE + 12, after(MINUTE + 12))
    channel.conclude(minute=MINUTE + 12, time_us=after(MINUTE + 12))
    channel.record("5004", told(MINUTE + 13, seed=MINUTE + 13), time_us=after(MINUTE + 13))
    of_record = values("Vab", range(MINUTE + 13, MINUTE + 14))
    row = f"2026-11-30T02:10Z,2026-11-30T02:20Z,Vab,max,{max(of_record)},kV"
    out, err = compare(tmp_path, capsys, [row], code=0)
    assert out == ""
    assert [line.partition("Z: ")[2] for line in err.splitlines()[:-1]] == [
        "gap: no capture from 2026-11-30T02:10Z to 2026-11-30T02:12Z",
        "gap: no capture from 2026-11-30T02:14Z to 2026-11-30T02:20Z",
        "disputed and left out: 2026-11-30T02:12Z",
        "1 of 1 captures are not confirmed yet",
    ]
    (window,) = compare_json(tmp_path, capsys, [row], code=0)["windows"]
    assert (window["captures"], window["disputed"], window["unconfirmed"]) == (1, [MINUTE + 12], 1)


@pytest.mark.usefixtures("channel")
def test_a_window_without_readings_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = "2026-11-30T05:00Z,2026-11-30T06:00Z,F,mean,60,Hz"
    out, _ = compare(tmp_path, capsys, [row], code=1)
    assert out.endswith("report 60 Hz, the ledger has no reading\n")


@pytest.mark.usefixtures("channel")
def test_bad_rows_are_told_and_the_others_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = [f"{TEN},Vab,max,{max(values('Vab'))},kV", f"{TEN},Vab,middle,1,kV"]
    _, err = compare(tmp_path, capsys, lines, code=1)
    assert err.splitlines()[0] == "1 of 2 rows agree with the ledger; 1 cannot be used"
    assert err.splitlines()[1].startswith("error: line 3: statistic: 'middle' is none of")
    answer = compare_json(tmp_path, capsys, lines, code=1)
    assert [(item["line"], item["field"]) for item in answer["bad"]] == [(3, "statistic")]


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("tolerance", ["F", "F=x", "F=-1", "Vxx=1", "F=inf"])
def test_a_wrong_tolerance_is_wrong_usage(tolerance: str, tmp_path: Path):
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(tmp_path / "report.csv"), "--tolerance", tolerance])
    assert ended.value.code == 2


def test_a_missing_report_is_told_in_one_line(capsys: pytest.CaptureFixture[str]):
    assert main(["compare", "no-such.csv"]) == 1
    assert capsys.readouterr().err == "error: no-such.csv: No such file or directory\n"
