"""Numbers and loads as text."""

from __future__ import annotations

from benchmarks.report import wording


def test_numbers_as_text() -> None:
    assert wording.number(1234.5, 1) == "1\u202f234.5"
    assert wording.number(None) == wording.number(float("nan")) == wording.NONE
    assert [wording.milliseconds(value) for value in (8.421, 84.21, 842.1)] == ["8.42", "84.2", "842"]
    assert wording.share(0.99999) == "99.9\u00a0%", "what failed is not rounded away"
    assert wording.share(1.0) == "100\u00a0%"
