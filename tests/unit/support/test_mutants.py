"""The deliberate mistakes in tests/mutants still have their places in the code."""

from __future__ import annotations

import pytest

from tests.mutants.mutation import ROOT, Mutation
from tests.mutants.survivors import SURVIVORS
from tests.mutants.written import WRITTEN


@pytest.mark.parametrize("mutation", WRITTEN, ids=lambda mutation: mutation.says)
def test_a_written_mistake_can_still_be_made(mutation: Mutation) -> None:
    source = (ROOT / mutation.path).read_text()
    assert mutation.applied(source) != source
    assert all((ROOT / tests).exists() for tests in mutation.tests)


def test_each_survivors_lines_are_still_in_the_code() -> None:
    for path, lines in SURVIVORS:
        code = {line.strip() for line in (ROOT / path).read_text().splitlines()}
        assert [line[2:] for line in lines if line[0] == "-" and line[2:] not in code] == [], path
