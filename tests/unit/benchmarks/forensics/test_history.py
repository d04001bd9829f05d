"""A history that is built through the committer goes on where it stopped, is searched, and its package is proved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.forensics import history, packages, search
from benchmarks.forensics.chains import SECTIONS, ledgers


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DEVICES", 8), ("A_CALL", 4), ("A_BLOCK", 2), ("SESSIONS_A_BLOCK", 2)):
        monkeypatch.setattr(history, name, value)


def test_a_history_goes_on_is_searched_and_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--folder", str(tmp_path), "--processes", "1"]
    assert history.main([*options, "--events", "16"]) == 0
    before = heights(tmp_path)
    assert history.main([*options, "--events", "400"]) == 0
    after = heights(tmp_path)
    assert before == dict.fromkeys(SECTIONS, 3)
    assert after == dict.fromkeys(SECTIONS, 2 + 25)
    assert search.main([*options, "--events", "400", "--rounds", "2"]) == 0
    report = json.loads((tmp_path / "search.json").read_bytes())
    assert report["questions"]["the week from its begin"]["rows"] >= 400
    assert report["questions"]["what is not there"]["rows"] == 0
    packages.main([*options, "--events", "400", "--of", "5"])
    report = json.loads((tmp_path / "package.json").read_bytes())
    for name in packages.QUESTIONS:
        told = report[name]
        assert (told["outcome"], told["broken"], told["events"]) == ("proved", None, 5)
    assert "MISSED" not in capsys.readouterr().err


def heights(folder: Path) -> dict[str, int]:
    opened = ledgers(folder, SECTIONS)
    found = {name: ledger.height for name, ledger in opened.items()}
    for ledger in opened.values():
        ledger.close()
    return found
