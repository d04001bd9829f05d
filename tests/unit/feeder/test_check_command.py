"""``gridledger feeder check FILE``: what it prints, what it refuses, what it warns of; no network is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.feeder import check_command
from services.feeder.__main__ import main
from tests.support.scenario_files import HEAD

EVENTS = """\
noise: {v: 0.001}
events:
  - {at: 10, loads: {3: [52.8, 26.4]}}
  - {at: 20, until: 40, scale: {group: 2, factor: 1.3}}
  - {at: 45, outage: [4, 12]}
"""


def checked(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, *options: str
) -> tuple[int, list[str], list[str]]:
    """The exit code, and the lines on standard output and standard error."""
    path = folder / "mine.yaml"
    path.write_text(text)
    code = main(["check", str(path), *options])
    found = capsys.readouterr()
    return code, found.out.splitlines(), found.err.splitlines()


def test_a_scenario_is_told_in_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, errors = checked(tmp_path, capsys, HEAD + EVENTS)
    assert (code, errors) == (0, [])
    assert lines == [
        "test: a test",
        "  case30: 30 buses, 41 branches, 100 MVA; 189.2 MW, 107.2 MVAr of demand; profile corrected",
        "  3 groups: 1 (5 buses, below 0.88), 2 (14 buses, below 0.85), 3 (11 buses, below 0.9)",
        "  VVC: 3600 MVAr at 24 of 24 load buses",
        "  meters: noise v 0.001 angle 0.0 p 0.0 q 0.0, 0 gross errors, seed 1",
        "  60 s at 30 frames/s of each group: 5400 frames, 3 events",
        "      10.0 s  bus 3 at 52.8 + j26.4 MVA",
        "      20.1 s  the loads of group 2 times 1.3",
        "      45.0 s  branch 4-12 trips",
        lines[-2],
        f"{tmp_path / 'mine.yaml'}: the scenario fits its grid",
    ]
    assert lines[-2].startswith("  lowest voltage while nothing is injected: 0.9")
    assert lines[-2].endswith(", at 45 s")


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (HEAD.replace("title: a test", "titel: a test"), (), "title: is missing"),
        (HEAD + EVENTS.replace("group: 2", "group: 9"), (), "events.1.scale, line 8: there is no group 9"),
        (HEAD + EVENTS.replace("[4, 12]", "[4, 13]"), (), "events.2.outage, line 9: case30 has no branch 4-13"),
        (HEAD + EVENTS.replace("{3:", "{77:"), (), "events.0.loads, line 7: case30 has no bus 77"),
        (HEAD, ("--case", "case57"), "case, line 3: case57 has no scenario 'test': its file is for case30"),
        (HEAD, ("--profile", "published"), "profile: the scenario test runs in profile corrected only, not published"),
        (HEAD.replace("case: case30\n", ""), (), "case: is missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, options: tuple[str, ...], told: str
) -> None:
    code, lines, errors = checked(tmp_path, capsys, text, *options)
    assert (code, lines, len(errors)) == (1, [], 1)
    assert errors[0].startswith(f"error: {tmp_path / 'mine.yaml'}: {told}")


def test_a_grid_can_be_named_beside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD.replace("case: case30\n", "")
    code, lines, _ = checked(tmp_path, capsys, text, "--case", "case57", "--groups", "3")
    assert code == 0
    assert lines[1].startswith("  case57: 57 buses")
    assert lines[2].startswith("  3 groups: ")


def test_a_load_that_no_power_flow_carries_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, (warning,) = checked(tmp_path, capsys, HEAD + EVENTS.replace("52.8, 26.4", "5280, 2640"))
    assert code == 0
    assert lines[-2].endswith(", at 0 s")
    assert warning.startswith("warning: at 10 s, unless enough is injected by then: case30: the power flow does not")


def test_not_more_moments_are_solved_than_the_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_command, "MAX_SOLVED", 1)
    code, _, (warning,) = checked(tmp_path, capsys, HEAD + EVENTS)
    assert (code, warning) == (0, "warning: the power flow was solved for the first 1 moments, not from 40 s on")
