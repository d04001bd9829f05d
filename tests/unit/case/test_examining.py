"""What rules and reports read from the desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.case.desk_client import RowsPage
from services.case.examining import Read, examined, read_case
from services.case.questions import RULES, Question
from services.case.rows import Row
from tests.support.told_rows import BEGIN_US, event

SCOPE: dict[str, Any] = {
    "channels": ["section-home"],
    "from_us": BEGIN_US,
    "to_us": BEGIN_US + 10**9,
    "devices": None,
    "operators": None,
    "kinds": None,
}


class FakeDesk:
    """Answers two pages, and keeps what it was asked."""

    def __init__(self, *pages: list[Row]) -> None:
        self._pages = pages
        self.asked: list[tuple[str, str, Question, int]] = []

    async def pages(self, case: str, purpose: str, question: Question, most: int) -> AsyncIterator[RowsPage]:
        self.asked.append((case, purpose, question, most))
        for number, rows in enumerate(self._pages):
            left_out = {"scope": 3, "undated": None, "counted_up_to": 10_000} if number == 0 else None
            yield RowsPage(f"{number:064x}", rows, None, left_out, {})


class FakeCases:
    """GetCase."""

    def __init__(self, **scope: Any) -> None:
        self._scope = {**SCOPE, **scope}

    async def get_case(self, case: str) -> dict[str, Any]:
        return {"case": case, "scope": self._scope}


def _read(desk: FakeDesk, question: Question, **scope: Any) -> Read:
    return asyncio.run(read_case(desk, FakeCases(**scope), "c-1", RULES, question, most=500))  # type: ignore[arg-type]


def test_all_pages_are_read_each_behind_a_query() -> None:
    desk = FakeDesk([event("d-1", 0)], [event("d-1", 1), event("d-1", 2)])
    read = _read(desk, Question())
    assert len(read.rows) == 3
    assert read.queries == [f"{0:064x}", f"{1:064x}"]
    assert read.left_out == {"scope": 3, "undated": None}
    assert desk.asked == [("c-1", RULES, Question(), 500)]
    assert not read.narrowed


@pytest.mark.parametrize(
    ("question", "scope"),
    [
        (Question(devices=("d-1",)), {}),
        (Question(kinds=("alarm",)), {}),
        (Question(words=("open",)), {}),
        (Question(), {"devices": ["d-1"]}),
        (Question(), {"kinds": ["alarm"]}),
    ],
)
def test_rows_of_some_devices_or_kinds_are_narrowed(question: Question, scope: dict[str, Any]) -> None:
    read = _read(FakeDesk([]), question, **scope)
    assert read.narrowed
    assert "device-silent" in examined(read).not_applied


def test_a_span_of_time_and_channels_narrow_nothing() -> None:
    assert not _read(FakeDesk([]), Question(channels=("section-home",), from_us=BEGIN_US)).narrowed
