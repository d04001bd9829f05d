"""The demonstration's report, drawings and files: what they tell, also where something failed or is missing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gridledger.demonstration.console import Console
from gridledger.demonstration.report import render_report
from gridledger.network.status import NetworkState
from services.vault.demonstration import charts
from services.vault.demonstration.book import Book, Collusion, Recovery, Speed, StoredShare, failed
from services.vault.demonstration.demo import DemoOptions
from services.vault.demonstration.files import summary_of, write_storage
from services.vault.demonstration.report import EXTRA, report_of, write_all

READ = {
    "object": "m3-readings",
    "version": 1,
    "granted_us": 1_700_000_000_000_000,
    "reader": {"mspid": "BreakerMSP<b>", "certificate": "ab" * 32},
    "purpose": "repair",
}


@pytest.fixture
def book() -> Book:
    told = Book(Console())
    told.step = "A step"
    told.expect("all is well", True, "seen")
    told.stored = [
        StoredShare("m3-readings", "M3", "sealed", 5, 9, "m3-head", 100_000, 20_160, 20_160),
        StoredShare("m3-study", "M3", "article", 5, 9, "m3-head", 100_000, 25_806, 25_806),
    ]
    told.recoveries = [Recovery("M5", 2, 3, dead, (1, 3, 3, 1)[dead], (1, 3, 0, 0)[dead]) for dead in range(4)]
    told.speeds = [Speed("sealed", 5, 9, 700.0, 900.0), Speed("article", 5, 9, 8.0, 1.7)]
    told.collusion = Collusion(("a", "b"), 3, 9001, ("114.020 kV",), (), "114.020 kV", 0.4)
    told.reads = [READ]
    told.tried = [("0", "is 0 in the field")]
    return told


DRAWINGS = dict.fromkeys(charts.DRAWINGS, "<svg></svg>")


def drawn(book: Book) -> dict[str, str]:
    return {name: charts.svg(draw, book) for name, draw in charts.DRAWINGS.items()}


def test_the_page_tells_the_verdict_the_steps_and_the_reads(book: Book) -> None:
    page = render_report(report_of(book, drawn(book)), extra=EXTRA)
    assert "All 1 expectations held" in page
    assert page.count("<svg") == 5
    assert "BreakerMSP&lt;b&gt;" in page
    assert "114.020 kV" in page
    assert "20.2 %" in page
    assert "8 sets of dead holders" not in page
    assert ">8<" in page


def test_a_step_that_failed_is_on_the_page_and_in_the_verdict(book: Book) -> None:
    book.expect("the other thing holds", False, "it did not")
    report = report_of(book, DRAWINGS)
    assert not report.is_good
    assert report.verdict == "1 of 2 expectations did not hold"
    assert not book.is_good
    assert failed(book.expectations) == "not: the other thing holds"


def test_a_demonstration_that_ended_early_still_has_a_page(tmp_path: Path) -> None:
    empty = Book(Console())
    assert not empty.is_good
    write_all(tmp_path, empty)
    assert "did not come to its end" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == sorted(f"{name}.png" for name in charts.DRAWINGS)


def test_one_that_broke_the_law_of_recovery_is_told(book: Book) -> None:
    book.recoveries[2] = Recovery("M5", 2, 3, 2, 3, 1)
    figure = next(each for each in report_of(book, DRAWINGS).figures if each.label == "sets of dead holders tried")
    assert (figure.note, figure.tone) == ("not all", "bad")


def test_the_table_of_storage_has_a_row_for_each_share(book: Book, tmp_path: Path) -> None:
    write_storage(tmp_path / "storage.csv", book.stored)
    with (tmp_path / "storage.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["profile"], row["disk"], row["of_data"]) for row in rows] == [
        ("sealed", "20160", "0.201600"),
        ("article", "25806", "0.258060"),
    ]


def test_the_summary_has_all_that_was_seen(book: Book, tmp_path: Path) -> None:
    options = DemoOptions(seed=1, periods=2, out=tmp_path, folder=tmp_path)
    summary = summary_of(book, 1.0, NetworkState({}, {}, []), options)
    assert summary["passed"]
    assert summary["speed_mb_s"]["sealed"] == {"split": 700.0, "join": 900.0}
    assert summary["ids_tried"] == [{"id": "0", "answer": "is 0 in the field"}]
