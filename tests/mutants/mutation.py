"""A mutation: one place of one file written differently."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_TESTS = (
    ("services/orderer/raft/", ("tests/unit/orderer/raft", "tests/simulation")),
    ("services/orderer/", ("tests/unit/orderer", "tests/simulation")),
    ("services/peer/gateway/", ("tests/unit/peer/gateway",)),
    ("services/peer/committer/", ("tests/unit/peer/committer",)),
    ("gridledger/ledger/", ("tests/unit/ledger", "tests/unit/peer/committer")),
    ("gridledger/protocol/", ("tests/unit/protocol",)),
    ("gridledger/identity/", ("tests/unit/identity", "tests/unit/ledger")),
)


@dataclass(frozen=True, slots=True)
class Mutation:
    """``path`` is relative to the tree; ``says`` is what is wrong with the code afterwards, in words.

    ``old`` occurs once in the file; ``new`` takes its place.
    """

    path: str
    says: str
    old: str
    new: str

    def applied(self, source: str) -> str:
        """The file's text with the mistake in it; ValueError unless ``old`` occurs exactly once."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.path}: {self.old!r} occurs {source.count(self.old)} times, once was expected")
        return source.replace(self.old, self.new)

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests that must see it, the quick ones first."""
        return next(tests for prefix, tests in _TESTS if self.path.startswith(prefix))

    def changed_lines(self, source: str) -> tuple[str, ...]:
        """The lines that differ, as a diff writes them, without their places: what a survivor is known by."""
        diff = difflib.unified_diff(source.splitlines(), self.applied(source).splitlines(), lineterm="", n=0)
        return tuple(
            line[0] + " " + line[1:].strip() for line in diff if line[0] in "+-" and line[:3] not in ("+++", "---")
        )
