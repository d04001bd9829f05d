"""Each file in transcripts/ says what a core does, message by message; a change of behaviour shows as its diff.

GRIDLEDGER_WRITE_TRANSCRIPTS=1 writes the files anew, for a person to read the diff and agree.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.orderer.raft import transcript

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    output = transcript.run(path)
    if os.environ.get("GRIDLEDGER_WRITE_TRANSCRIPTS"):
        path.write_text(output)
    assert output.splitlines() == path.read_text().splitlines()
