"""docs/http.md shows the script that is tested."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_shows_the_script_as_it_is() -> None:
    shown = (DOCS / "http.md").read_text().partition("```sh\n")[2].partition("```")[0]
    assert shown == (DOCS / "examples/transaction.sh").read_text()


def test_the_script_is_about_thirty_lines() -> None:
    lines = (DOCS / "examples/transaction.sh").read_text().splitlines()
    assert len(lines) <= 45
