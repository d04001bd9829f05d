"""The report: one page that needs no other file, in which nothing from outside is markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gridledger import extras
from gridledger.demonstration.report import Cell, Figure, Report, Section, Table, render_report, write_report
from gridledger.extras import MissingExtra

SVG = '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>'


def report(**changed: object) -> Report:
    members: dict[str, object] = {
        "title": "One record of each minute",
        "subtitle": "four servers",
        "verdict": "all held",
        "is_good": True,
        "figures": [Figure("37 ms", "median update", "the article: 10 s", "good")],
        "sections": [
            Section("Measurements", "by minute", svg=SVG),
            Section("Minutes", table=Table(("minute", "hash"), [[Cell("02:24", "good"), Cell("ab12", mono=True)]])),
        ],
        "expectations": [("each minute once", True), ("peers agree", False)],
    }
    return Report(**{**members, **changed})  # type: ignore[arg-type]


def test_the_page_needs_no_other_file() -> None:
    page = render_report(report(), extra="relay")
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://""", page)
    assert page.count("<svg") == 1
    assert "<?xml" not in page
    assert "<!DOCTYPE" not in page


def test_what_it_is_given_stands_in_the_page() -> None:
    page = render_report(report(), extra="relay")
    for text in ("One record of each minute", "37 ms", "the article: 10 s", "<em>02:24</em>", 'class=" mono">ab12'):
        assert text in page
    assert '<li class="bad">peers agree</li>' in page
    assert "<li>each minute once</li>" in page


def test_what_comes_from_outside_is_no_markup() -> None:
    evil = "<script>alert(1)</script>\" onload='x"
    table = Table((evil,), [[Cell(evil, title=evil)]])
    page = render_report(report(title=evil, verdict=evil, sections=[Section(evil, evil, table=table)]), extra="relay")
    assert "<script" not in page
    assert "onload='" not in page


def test_a_verdict_that_is_bad_looks_so() -> None:
    assert '<div class="verdict bad">' in render_report(report(is_good=False), extra="relay")
    assert '<div class="verdict good">' in render_report(report(), extra="relay")


def test_the_file_is_the_page(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", report(), extra="relay")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_report(report(), extra="relay")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"the report needs .* pip install 'gridledger\[relay\]'"):
        render_report(report(), extra="relay")
