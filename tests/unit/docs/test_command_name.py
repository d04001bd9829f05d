"""The pages call the command by the name under which a terminal finds it once the environment is activated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = [README, REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
ACTIVATE = ". .venv/bin/activate"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "install.md"], ids=lambda page: page.name)
def test_a_page_names_no_file_of_the_environment(page: Path) -> None:
    assert ".venv/bin/" not in page.read_text().replace(ACTIVATE, "")


def test_readme_activates_the_environment_before_it_needs_it() -> None:
    text = README.read_text()
    first = re.search(r"^    gridledger ", text, re.MULTILINE)
    assert first is not None
    assert 0 < text.find(ACTIVATE) < first.start()
