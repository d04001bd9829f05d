"""``gridledger relay demo``: what it refuses before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError
from services.relay.demonstration.command import main


@pytest.mark.parametrize(
    "arguments", [["--minute-s", "0.5"], ["--minute-s", "61"], ["--minutes", "401"], ["--minutes", "0"]]
)
def test_bounds_are_checked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "must be" in capsys.readouterr().err


def test_the_story_takes_twelve_minutes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the story takes 12 minutes"):
        main(["--minutes", "11", "--out", str(tmp_path / "out"), "--dir", str(tmp_path / "network")])
    assert not (tmp_path / "network").exists()
