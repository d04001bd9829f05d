"""Commands that ask the case desk: what they ask, print and write, with a desk in memory."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gridledger.evidence.package import Package, Place, Roles, write_package
from services.case.__main__ import main
from services.case.block_rows import rows_of
from services.case.commands import export, package, search
from services.case.desk_client import RowsPage
from services.case.questions import Question
from services.case.rows import Row
from tests.support.case_blocks import PLACES
from tests.support.case_chains import Chains, event
from tests.support.contract_channel import START_US, S

LEFT_OUT = {"scope": 4, "not_valid": 0, "told_elsewhere": None, "undated": 1, "limit": 10_000, "counted_up_to": 10_000}


MISSING = {"channel": "section-plant", "device": "b-1", "seq": 7, "part": "rows", "code": "ROWS_GONE", "why": "gone"}


class FakeDesk:
    """Answers five rows, the last of which tells no time, two a page."""

    def __init__(self) -> None:
        told = [event(f"b-{i}", "alarm", START_US + i * S) for i in range(4)] + [event("b-9", "alarm", None)]
        block = Chains().add("section-plant", START_US, told)
        self.rows: list[Row] = rows_of(block.block, block.codes, PLACES)
        self.asked: list[tuple[str, str, Question, int]] = []
        self.findings: list[tuple[Any, ...]] = []
        self.disclose: bool | None = None

    async def pages(self, case: str, purpose: str, question: Question, most: int) -> AsyncIterator[RowsPage]:
        self.asked.append((case, purpose, question, most))
        shown = self.rows[:most]
        for begin in range(0, len(shown), 2):
            last = begin + 2 >= len(shown)
            bookmark = "1.2" if not last or len(shown) < len(self.rows) else None
            left_out = LEFT_OUT if begin == 0 else None
            read_to = {"section-plant": {"height": 1, "block_us": 7}}
            yield RowsPage(f"q{begin}", shown[begin : begin + 2], bookmark, left_out, read_to)

    async def package(self, case: str, question: Question, *, disclose: bool) -> tuple[str, bytes]:
        self.asked.append((case, "package", question, 0))
        self.disclose = disclose
        place = Place("section-plant", 0, 0)
        about = {"missing": [MISSING]} if question.parts else {}
        made = Package(Roles(("general", "anchors")), (place,), {}, about=about, verifier=b"PK")
        return "q", write_package(made)

    async def record_finding(self, *told: Any) -> dict[str, Any]:
        self.findings.append(told)
        return {"tx": "f" * 64}


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> FakeDesk:
    made = FakeDesk()

    @asynccontextmanager
    async def asked(_: argparse.Namespace) -> AsyncIterator[tuple[FakeDesk, FakeDesk]]:
        yield made, made

    for module in (search, export, package):
        monkeypatch.setattr(module, "asked_desk", asked)
    return made


def test_the_options_are_the_question(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--device",
        "b-2",
        "b-1",
        "b-2",
        "--kind",
        "alarm",
        "--from",
        "2026-11-30T15:00Z",
        "--text",
        "busbar volt*",
    ]
    assert main(["search", "c-1", *words, "--by", "block", "--not-valid", "--limit", "5", "--json"]) == 0
    ((case, purpose, question, most),) = desk.asked
    assert (case, purpose, most) == ("c-1", "search", 5)
    assert question == Question(
        devices=("b-1", "b-2"),
        kinds=("alarm",),
        from_us=1_796_050_800_000_000,
        words=("busbar", "volt*"),
        by="block",
        is_valid=False,
    )
    told = json.loads(capsys.readouterr().out)
    assert [row["device"] for row in told["items"]] == ["b-0", "b-1", "b-2", "b-3", "b-9"]
    assert (told["more"], told["left_out"], told["queries"]) == (False, LEFT_OUT, ["q0", "q2", "q4"])


@pytest.mark.parametrize("command", ["search", "timeline"])
def test_a_table_shows_rows_and_tells_what_it_does_not(
    command: str, desk: FakeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "c-1", "--limit", "3"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 4
    assert "b-0" in lines[1]
    assert "section-plant 0/0" in lines[1]
    assert "note: 4 rows beyond the case's scope" in said.err
    assert "note: at least 10000 rows behind these" in said.err
    assert "note: not counted, as there are too many to look at: rows whose block is of this time" in said.err
    desk.rows = [replace(desk.rows[4])]
    assert main([command, "c-1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("-  ")


def test_an_export_for_timesketch_has_what_tells_no_time_beside_it(
    desk: FakeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.jsonl"
    assert main(["export", "c-1", "--out", str(out)]) == 0
    assert [json.loads(line)["device"] for line in out.read_text().splitlines()] == ["b-0", "b-1", "b-2", "b-3"]
    side = json.loads((tmp_path / "t.jsonl.left-out.json").read_text())
    assert (side["rows"], side["undated"], side["more"], side["left_out"]) == (4, 1, False, LEFT_OUT)
    assert [row["device"] for row in side["undated_rows"]] == ["b-9"]
    assert side["queries"] == ["q0", "q2", "q4"]
    assert "4 rows, 1 without a time beside it" in capsys.readouterr().out
    assert main(["export", "c-1", "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_an_export_as_csv_has_all_rows(desk: FakeDesk, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    assert main(["export", "c-1", "--out", str(out), "--format", "csv", "--limit", "5"]) == 0
    assert len(out.read_text().splitlines()) == 6
    assert desk.asked[0][1:] == ("export", Question(), 5)


def test_a_package_is_recorded_as_a_finding(desk: FakeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "case.zip"
    assert main(["package", "c-1", "--title", "the opening", "--out", str(out), "--disclose", "--json"]) == 0
    digest = sha256(out.read_bytes()).hexdigest()
    assert desk.findings == [("c-1", digest, "the opening", [])]
    assert desk.disclose is True
    told = json.loads(capsys.readouterr().out)
    assert (told["sha256"], told["transactions"], told["disclosed"]) == (digest, 1, 0)
    assert main(["package", "c-1", "--title", "the opening", "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert len(desk.findings) == 1


def test_a_package_is_asked_for_with_parts_and_says_which_are_missing(
    desk: FakeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["package", "c-1", "--title", "rows", "--rows", "--bodies", "--rows", "--out"]
    assert main([*command, str(tmp_path / "a.zip"), "--json"]) == 0
    assert desk.asked[-1][2] == Question(parts=("bodies", "rows"))
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["rows"], told["files"], told["bodies"], told["missing"]) == (0, 0, 0, [MISSING])
    assert said.err == "note: rows of event 7 of b-1 are not in it: gone\n"
    assert main(["package", "c-1", "--title", "none", "--out", str(tmp_path / "b.zip")]) == 0
    assert desk.asked[-1][2].parts is None
    assert "rows          0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "c-1", "--limit", "0"], "a whole number from 1 to"),
        (["search", "c-1", "--desk", "http://x"], "an address such as https://"),
        (["search", "c-1", "--by", "heart"], "invalid choice"),
        (["export", "c-1"], "--out"),
        (["package", "c-1", "--out", "x.zip"], "--title"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_what_is_no_question_is_told_before_anything_is_asked(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "c-1", "--kind", "nonsense"]) == 1
    assert "kinds: there is no kind 'nonsense'" in capsys.readouterr().err
    assert not desk.asked
