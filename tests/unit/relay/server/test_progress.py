"""How far a server is with what a relay holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.relay.readers import Held
from services.relay.server.progress import Progress

HELD = [Held(f"name {n}", f"sha {n}", None, None) for n in range(6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relays" / "progress.json"


def test_what_is_done_is_not_left(path: Path) -> None:
    progress = Progress(path, 1)
    assert progress.left(HELD) == HELD
    progress.finish("sha 1", 11)
    assert progress.left(HELD) == [HELD[0], *HELD[2:]]
    assert progress.text_of(11) == "sha 1"
    assert progress.minute == 11


def test_a_mark_outlives_a_restart_up_to_the_first_that_is_left(path: Path) -> None:
    progress = Progress(path, 1)
    for n in (0, 1, 2, 4):
        progress.finish(f"sha {n}", n)
    progress.mark(HELD)
    later = Progress(path, 1)
    assert later.left(HELD) == HELD[3:]
    assert later.minute == 4
    assert later.left(HELD[4:]) == HELD[4:], "what the mark names is not held any more"


def test_a_mark_of_another_record_counts_for_nothing(path: Path) -> None:
    progress = Progress(path, 1)
    for n in range(6):
        progress.finish(f"sha {n}", n)
    progress.mark(HELD)
    assert Progress(path, 1).left(HELD) == []
    assert Progress(path, 2).left(HELD) == HELD


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"revision":1,"name":7}', b"\xff", b'{"revision":1,"name":"a"']
)
def test_a_file_that_cannot_be_read_counts_for_nothing(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert Progress(path, 1).left(HELD) == HELD


def test_captures_without_a_hash_are_known_by_their_minute(path: Path) -> None:
    held = [Held(str(n), None, n, None) for n in range(4)]
    progress = Progress(path, 1)
    progress.finish("any", 2)
    assert progress.left(held) == [held[0], held[1], held[3]]
