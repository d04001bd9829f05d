"""``case rules`` and ``case report``, with a desk that answers from memory."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from services.case.__main__ import main
from services.case.commands import report, rules
from services.case.rows import Row
from tests.support.told_rows import BEGIN_US, command, event, opened
from tests.unit.case.test_examining import SCOPE, FakeDesk

BY = {"mspid": "InvestigatorsMSP", "id": "x509::CN=olha", "certificate": "a" * 64}
ROWS = [opened("s-1", 0), *(command(f"b-{n}", n) for n in range(1, 9)), event("d-1", 20)]


class _Cases:
    async def get_case(self, case: str) -> dict[str, Any]:
        more = {"by": BY, "opened_us": BEGIN_US, "tx": "1" * 64, "status": "approved", "approved": None, "closed": None}
        return {"case": case, "purpose": "why", "scope": SCOPE, **more}

    async def queries(self, case: str) -> AsyncIterator[dict[str, Any]]:
        yield {"case": case, "text": "{}", "by": BY, "time_us": BEGIN_US, "tx": "2" * 64}

    async def findings(self, case: str) -> AsyncIterator[dict[str, Any]]:
        for each in list[dict[str, Any]]():
            yield each


@pytest.fixture(autouse=True)
def desk(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def asked(options: argparse.Namespace) -> AsyncIterator[tuple[Any, Any]]:
        rows: list[Row] = ROWS
        yield FakeDesk(rows), _Cases()

    monkeypatch.setattr(rules, "asked_desk", asked)
    monkeypatch.setattr(report, "asked_desk", asked)


def test_findings_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "c-1"]) == 0
    out, err = capsys.readouterr()
    assert "many-openings: 8 devices were opened within 7.0 s" in out
    assert "1 findings in 10 rows" in out
    assert "gps-spoofing was not applied" in err


def test_parameters_of_a_file_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.json"
    file.write_text('{"many-openings": {"devices": 9}}')
    assert main(["rules", "c-1", "--parameters", str(file), "--json"]) == 0
    told = jsontext.loads(capsys.readouterr().out)
    assert told["findings"] == []
    assert told["parameters"]["many-openings"]["devices"] == 9
    assert told["left_out"] == {"scope": 3, "undated": None}


@pytest.mark.parametrize(
    ("option", "text", "told"),
    [
        ("--parameters", '{"nothing": {}}', "no rule 'nothing'"),
        ("--parameters", '{"clock": 3}', "clock must be an object of numbers"),
        ("--parameters", '{"clock": {"limit_s": true}}', "clock must be an object of numbers"),
        ("--parameters", "[]", "no object"),
        ("--feeders", '{"f-1": "m-1"}', "f-1 must be a list of devices"),
        ("--placement", "{}", "give both, or neither"),
    ],
)
def test_files_that_are_no_such_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str, told: str
) -> None:
    file = tmp_path / "p.json"
    file.write_text(text)
    assert main(["rules", "c-1", option, str(file)]) == 1
    assert told in capsys.readouterr().err


def test_the_report_is_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.html"
    assert main(["report", "c-1", "--out", str(out), "--json"]) == 0
    told = jsontext.loads(capsys.readouterr().out)
    assert told == {"case": "c-1", "report": str(out), "rows": 10, "findings": 1, "package": "none"}
    page = out.read_text()
    assert "8 devices were opened" in page
    assert "InvestigatorsMSP/olha" in page


def test_a_package_is_told_with_its_hash_and_one_that_is_none_as_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "case.zip"
    package.write_bytes(b"PK")
    out = tmp_path / "report.html"
    assert main(["report", "c-1", "--out", str(out), "--package", str(package), "--json"]) == 0
    assert jsontext.loads(capsys.readouterr().out)["package"] == "not verified"
    assert main(["report", "c-1", "--out", str(out), "--package", str(tmp_path / "none.zip")]) == 1
    assert "none.zip" in capsys.readouterr().err
