"""docs/troubleshooting.md as its rows: what one did, the one line that one sees, and the exit code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.processes import REPOSITORY

PAGE = REPOSITORY / "docs" / "troubleshooting.md"
_ROW = re.compile(r"^\| ([a-z].*?) \| *(?:`(.*?)`)? *\| *(\d*) *\| \S.* \|$", re.MULTILINE)
_PLACE = re.compile(r"<[a-z]+>")


@dataclass(frozen=True, slots=True)
class Row:
    """One mistake. ``line`` has a ``<word>`` for each part that differs; it is empty where nothing is told."""

    did: str
    line: str
    exit_code: int | None

    @property
    def fixed_parts(self) -> list[str]:
        """What of the line is always the same, in order."""
        return [part for part in _PLACE.split(self.line) if part]

    def tells(self, said: str) -> bool:
        """Whether ``said`` is this line."""
        pattern = ".+".join(re.escape(part) for part in _PLACE.split(self.line))
        return re.fullmatch(pattern, said) is not None


def rows() -> dict[str, Row]:
    """The rows by what one did."""
    found = [Row(did, line, int(code) if code else None) for did, line, code in _ROW.findall(PAGE.read_text())]
    assert len({row.did for row in found}) == len(found), "a mistake stands twice on the page"
    return {row.did: row for row in found}
