"""docs/troubleshooting.md: each of its rows is provoked by a test, or has the words of what tells it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.troubleshooting import rows

ROOT = Path(__file__).parents[3]
ELSEWHERE = {
    "have a Python that is too old": "requirements/install.sh",
    "have a Python without ensurepip": "requirements/install.sh",
    "interrupt the set-up": "requirements/install.sh",
    "lose the connection while it downloads": "requirements/install.sh",
    "run what needs a package that is not installed": "gridledger/extras.py",
    "fill the disk": "gridledger/files.py",
    "send a malformed envelope": "tests/integration/test_plain_http.py",
}
"""Mistakes that need more than a small network, by the file that has the line's words; others test that it is told."""

TELLS_NOTHING = {"move the network's folder while it is stopped": "test_a_moved_folder_goes_on_with_its_chain"}
"""What is no mistake, by its test."""


def test_each_row_is_provoked_by_a_test() -> None:
    provoked = (ROOT / "tests/integration/test_clumsy_user.py").read_text()
    named = {did for did in rows() if f'    "{did}": ' in provoked}
    assert set(rows()) - named == set(ELSEWHERE) | set(TELLS_NOTHING)


def test_lines_told_elsewhere_are_in_the_code() -> None:
    for did, file in ELSEWHERE.items():
        code = re.sub(r'"\n\s*f?"', "", (ROOT / file).read_text())
        words = [part.removeprefix("error: ") for part in rows()[did].fixed_parts]
        assert [part for part in words if part not in code] == [], did


def test_what_tells_nothing_is_tested() -> None:
    tests = (ROOT / "tests/integration/test_command.py").read_text()
    assert [did for did, name in TELLS_NOTHING.items() if rows()[did].line or f"def {name}(" not in tests] == []


def test_the_line_is_known_by_what_does_not_vary() -> None:
    row = rows()["name a wrong channel"]
    assert row.tells("error: there is no channel 'shard9'; there are: shard1")
    assert not row.tells("error: there is no channel 'shard9'")
    assert not row.tells("error: there is no channel 'shard9'; there are: ")
