"""``case rules --batches`` and ``case enf reference``: what rows of batches say, with a desk in memory."""

from __future__ import annotations

import argparse
import cmath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from services.case.__main__ import main
from services.case.commands import enf_reference, rules
from services.case.replay.pmus import MovingGrid, WrongClock, placed
from services.case.rows import Row
from tests.support.batch_file import in_folder
from tests.support.told_rows import BEGIN_US, event
from tests.unit.case.commands.test_rules_and_report import _Cases
from tests.unit.case.test_examining import FakeDesk

BUSES = {"pmu-12": 12, "pmu-14": 14, "pmu-15": 15, "pmu-16": 16}
SECONDS, BATCH_S = 80, 20
WRONG = WrongClock("pmu-12", 20.0, 1.0)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What the desk has."""
    there: list[Row] = []

    @asynccontextmanager
    async def asked(options: argparse.Namespace) -> AsyncIterator[tuple[Any, Any]]:
        yield FakeDesk(there), _Cases()

    monkeypatch.setattr(rules, "asked_desk", asked)
    monkeypatch.setattr(enf_reference, "asked_desk", asked)
    return there


def _spoofed(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """A placement, and batches of four PMUs, the clock of one of which runs away."""
    grid = MovingGrid(
        placed("case30", BUSES), SECONDS, 3, frequency=lambda _: 50.0, wrong=WrongClock("pmu-12", 20.0, 1.0)
    )
    told = []
    for pmu in BUSES:
        for seq, begin in enumerate(range(0, SECONDS, BATCH_S), 1):
            columns: dict[str, list[Any]] = {"time_us": []}
            for second in range(begin, begin + BATCH_S):
                columns["time_us"].append(BEGIN_US + second * 1_000_000)
                for name, phasor in zip(grid.channels(pmu), grid.phasors(pmu, second), strict=True):
                    columns.setdefault(f"{name}_mag", []).append(abs(phasor))
                    columns.setdefault(f"{name}_ang", []).append(cmath.phase(phasor))
            told.append(in_folder(folder, pmu, seq, columns))
    return grid.placement.model_dump(), told


def test_the_rule_about_clocks_goes_by_the_files_of_batches(
    tmp_path: Path, rows: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    placement, batches = _spoofed(tmp_path / "files")
    rows += batches
    (tmp_path / "placement.json").write_bytes(jsontext.dumps(placement))
    given = ["--placement", str(tmp_path / "placement.json"), "--batches", str(tmp_path / "files")]
    assert main(["rules", "c-1", *given, "--json"]) == 0
    (found,) = jsontext.loads(capsys.readouterr().out)["findings"]
    assert (found["rule"], found["subject"]) == ("gps-spoofing", {"device": "pmu-12"})

    (tmp_path / "files" / "pmu-12" / "00000001.parquet").unlink()
    assert main(["rules", "c-1", *given, "--json"]) == 0
    assert "1 batches have no file, the first pmu-12/1" in capsys.readouterr().err


def test_a_reference_has_what_a_device_told_in_events_and_in_batches(
    tmp_path: Path, rows: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = in_folder(tmp_path / "files", "pmu-1", 7, {"time_us": [BEGIN_US + 2_000_000], "frequency": [50.25]})
    own = event("pmu-1", 1, "frequency", body={"frequency_hz": 49.99})
    rows += [batch, own, event("pmu-1", 0, "frequency", body={"frequency_hz": "none"})]
    rows.append(event("pmu-2", 0.5, "frequency", body={"frequency_hz": 48.0}))
    out = tmp_path / "reference.csv"
    asked = ["enf", "reference", "c-1", "--device", "pmu-1", "--out", str(out)]
    assert main([*asked, "--batches", str(tmp_path / "files"), "--json"]) == 0
    begin = BEGIN_US // 1_000_000
    lines = [f"{begin}.000000,", f"{begin + 1}.000000,49.99", f"{begin + 2}.000000,50.25"]
    assert out.read_text() == "\n".join(["time_s,frequency_hz", *lines, ""])
    told = jsontext.loads(capsys.readouterr().out)
    assert told == jsontext.loads((tmp_path / "reference.csv.sources.json").read_bytes())
    assert [each["tx"] for each in told["batches"]] == [batch.tx_id]
    assert own.tx_id in [each["tx"] for each in told["events"]]
    assert len(told["events"]) == 2

    assert main(asked) == 1
    assert "is there already" in capsys.readouterr().err
    out.unlink()
    assert main(asked) == 0
    assert "1 batches of pmu-1 are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("devices", "told"), [([], "names the one device"), (["--device", "pmu-9"], "no frequency of pmu-9")]
)
def test_a_reference_of_nobody_is_refused(
    tmp_path: Path, rows: list[Row], capsys: pytest.CaptureFixture[str], devices: list[str], told: str
) -> None:
    rows.append(event("pmu-1", 1, "frequency", body={"frequency_hz": 49.99}))
    assert main(["enf", "reference", "c-1", *devices, "--out", str(tmp_path / "r.csv")]) == 1
    assert told in capsys.readouterr().err
