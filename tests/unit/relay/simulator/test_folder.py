"""The folder of captures: names, the day that is kept, the log, and a relay that is started again."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.relay.simulator import folder as folder_module
from services.relay.simulator.folder import KEPT, CaptureFolder, Complete

START = datetime(2026, 11, 30, 2, 24)


def complete(folder: CaptureFolder, minutes: int = 0, text: str = "x", other: bytes | None = None) -> Complete:
    time = START + timedelta(minutes=minutes)
    folder.begin("header\n")
    folder.append("row\n")
    return folder.complete(time, 100 + minutes, text.encode(), other=other, completed_us=5, real_us=6)


def test_a_capture_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    folder.begin("header\n")
    folder.append("row\n")
    assert [path.name for path in (tmp_path / "captures").iterdir()] == ["CAPTURING.txt"]
    assert (tmp_path / "captures/CAPTURING.txt").read_text() == "header\nrow\n"
    complete(folder)
    assert [path.name for path in (tmp_path / "captures").iterdir()] == ["30 11 2026 02 24.txt"]


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    names = [complete(folder, text=text).name for text in "abc"]
    assert names == ["30 11 2026 02 24.txt", "30 11 2026 02 24 (2).txt", "30 11 2026 02 24 (3).txt"]


def test_the_newest_1440_are_kept(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    for minute in range(KEPT + 3):
        complete(folder, minute)
    files = {path.name for path in (tmp_path / "captures").iterdir()}
    assert len(files) == KEPT
    assert files == {capture.name for capture in folder}
    assert next(iter(folder)).minute == 103


def test_the_log_has_a_line_for_each_rename(tmp_path: Path) -> None:
    done = complete(CaptureFolder(tmp_path))
    line = json.loads((tmp_path / "renames.jsonl").read_text())
    assert line == {"name": done.name, "minute": 100, "sha256": done.sha256, "renamed_us": 6, "completed_us": 5}


def test_a_relay_started_again_has_what_it_had(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    for minute in range(3):
        complete(folder, minute, other=b"two-faced" if minute == 1 else None)
    with (tmp_path / "renames.jsonl").open("a") as file:
        file.write('{"name": "cut sho')
    (tmp_path / "captures" / "30 11 2026 02 26.txt").unlink()
    assert list(CaptureFolder(tmp_path)) == list(folder)[:2]


def test_a_line_cut_short_loses_no_other_capture(tmp_path: Path) -> None:
    folder = CaptureFolder(tmp_path)
    for minute in range(3):
        complete(folder, minute)
    log = tmp_path / "renames.jsonl"
    os.truncate(log, log.stat().st_size - 20)
    for minute in (3, 4):
        complete(CaptureFolder(tmp_path), minute)
    assert [capture.minute for capture in CaptureFolder(tmp_path)] == [100, 101, 103, 104]
    assert [json.loads(line)["minute"] for line in log.read_text().splitlines()] == [100, 101, 103, 104]


def test_a_complete_capture_always_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    folder = CaptureFolder(tmp_path)
    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        complete(folder)
    assert "30 11 2026 02 24.txt" in (tmp_path / "renames.jsonl").read_text()
    assert list(CaptureFolder(tmp_path)) == []


@pytest.mark.parametrize(
    "line",
    ["[]", "1", '{"minute": 1, "completed_us": 2}', '{"name": "x", "minute": "1", "completed_us": 2}',
     '{"name": "../x", "minute": 1, "completed_us": 2}', '{"name": "x", "minute": 1, "completed_us": 2, "other": 3}'],
)  # fmt: skip
def test_a_line_that_is_no_entry_is_left_out(line: str, tmp_path: Path) -> None:
    complete(CaptureFolder(tmp_path))
    for name in ("x", "captures/x"):
        (tmp_path / name).write_text("no capture")
    with (tmp_path / "renames.jsonl").open("a") as file:
        file.write(line + "\n")
    assert [capture.minute for capture in CaptureFolder(tmp_path)] == [100]


def test_the_log_is_cut_in_half_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_RENAMES", 10)
    folder = CaptureFolder(tmp_path)
    for minute in range(11):
        complete(folder, minute)
    lines = (tmp_path / "renames.jsonl").read_text().splitlines()
    assert [json.loads(line)["minute"] for line in lines] == [106, 107, 108, 109, 110]
