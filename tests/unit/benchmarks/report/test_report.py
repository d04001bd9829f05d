"""The report: what it says, that nothing in it comes from elsewhere, and that no name can break out of its place."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.measure.results import BenchmarkReport, Latency
from benchmarks.report import write_report
from benchmarks.report.page import headlines, report_page
from tests.support.loads import made_load, made_report

HOSTILE = "</style><script>alert('x')</script>\"&$\\frac{$"
VOID = {"meta", "link", "br", "img", "hr", "input", "use", "path"}


class Page(HTMLParser):
    """Checks that tags nest, and gathers what refers to something else."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}:
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_page_is_well_formed_and_refers_to_nothing_outside():
    text = report_page(made_report())
    page = parsed(text)
    assert page.references, "the pictures refer to their own parts"
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "script" not in page.tags
    assert "@import" not in text
    assert "url(http" not in text


def test_hostile_names_stay_text():
    load = made_load(topology=HOSTILE, workload=HOSTILE, refused={HOSTILE: 3}, process=HOSTILE)
    report = BenchmarkReport(
        title=HOSTILE, machine={"processor": HOSTILE}, configuration={HOSTILE: [HOSTILE]}, loads=[load]
    )
    text = report_page(report)
    page = parsed(text)
    assert "script" not in page.tags
    assert "<script" not in text
    assert HOSTILE in page.text


def test_page_warns_of_a_generator_near_a_full_core():
    calm, busy = made_load(engine_cores=0.5), made_load(engine_cores=0.97)
    assert calm.warnings() == []
    assert calm.model_copy(update={"codes": {"ANSWERED": 400}}).warnings() == []
    assert "0.97 of a core" in busy.warnings()[0]
    assert "0.97 of a core" in parsed(report_page(made_report(busy))).text


def test_page_warns_of_a_backlog():
    load = made_load().model_copy(update={"sent": 1407, "ended": 407})
    assert load.warnings() == ["the backlog grew: 1,000 more transactions were sent than ended in the measured time."]
    assert "the backlog grew" in parsed(report_page(made_report(load))).text


def test_success_is_a_share_of_what_was_sent():
    # What was sent before the measured time and ended in it is in `valid`, and in the throughput, alone.
    load = made_load(valid=1399).model_copy(update={"sent": 1000, "codes": {"VALID": 990}, "refused": {"BUSY": 10}})
    assert load.success == 0.99
    assert "99\u00a0%" in parsed(report_page(made_report(load))).text


@pytest.mark.parametrize("slowest", [12.1, 90.0, 40_000.0])  # within a decade there are labels between the powers too
def test_ticks_of_the_latency_are_plain_numbers(slowest):
    latency = Latency(mean_ms=12.0, p50_ms=12.0, p95_ms=12.0, p99_ms=12.05, max_ms=slowest)
    text = parsed(report_page(made_report(made_load().model_copy(update={"latency": latency})))).text
    assert "mathdefault" not in text
    assert "$" not in text


def test_page_warns_of_a_generator_that_was_late():
    load = made_load()
    in_time, late = (load.model_copy(update={"generator_late_p99_ms": value}) for value in (99.0, 512.0))
    assert in_time.warnings() == []
    assert "512 ms late" in late.warnings()[0]
    assert "99.0 ms late" in parsed(report_page(made_report(in_time))).text


def test_headlines_are_the_peak_and_the_calm_load():
    loads = [
        made_load(tps=None, tx_s=700.0),
        made_load(tps=100.0, tx_s=100.0),
        made_load(tps=500.0, tx_s=500.0),
        made_load(workload="put", tps=None, tx_s=900.0),
    ]
    [head] = headlines(loads)
    assert (head["workload"], head["peak"], head["calm"]) == ("ComputeVSI", loads[0], loads[1])


def test_files(tmp_path: Path):
    report = made_report()
    write_report(made_report(*report.loads, *report.loads), tmp_path)
    write_report(report, tmp_path)
    assert BenchmarkReport.model_validate_json((tmp_path / "report.json").read_bytes()) == report
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {"throughput.png", "latency.png", *(f"load-{n + 1}.png" for n in range(len(report.loads)))}


def test_tables_hold_what_the_report_holds(tmp_path: Path):
    report = made_report(made_load(refused={HOSTILE: 3}), made_load(valid=0))
    write_report(report, tmp_path)

    def rows(name):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    loads = rows("loads.csv")
    assert [float(row["tx_s"]) for row in loads] == [load.tx_s for load in report.loads]
    assert loads[0]["p99_ms"] == "19.5"
    assert loads[1]["p99_ms"] == ""
    seconds = [row for row in rows("seconds.csv") if row["load"] == "1"]
    assert [int(row["valid"]) for row in seconds] == [second.valid for second in report.loads[0].seconds]
    assert {row["code"]: row["transactions"] for row in rows("codes.csv")}[HOSTILE] == "3"
    processes = [json.loads(report.loads[0].processes[0].model_dump_json()), rows("processes.csv")[0]]
    assert {name: str(value) for name, value in processes[0].items()}.items() <= processes[1].items()


def test_an_empty_report_is_a_page():
    assert (
        "Nothing was measured"
        in parsed(report_page(BenchmarkReport(title="t", machine={}, configuration={}, loads=[]))).text
    )
