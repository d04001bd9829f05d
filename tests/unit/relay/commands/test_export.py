"""Exports: the article's chain, CSV, Parquet, written page by page."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gridledger.errors import InputError
from gridledger.field.capture import MEASURES, parse_capture, text_hash
from services.relay.__main__ import main
from services.relay.article import verify_chain
from services.relay.commands import export
from services.relay.commands.table_files import COLUMNS
from tests.support.relay_channel import MINUTE, RelayChannel, after, told
from tests.support.relay_commands import on_ledger

SPAN = ("--from", str(MINUTE), "--to", str(MINUTE + 5))
LIE = told(MINUTE + 1, seed=99)


@pytest.fixture(autouse=True)
def channel(monkeypatch: pytest.MonkeyPatch) -> RelayChannel:
    """Four minutes; a lie won the second, and was outvoted; the fourth is open. Two captures a page."""
    channel = RelayChannel().register()
    on_ledger(monkeypatch, channel)
    monkeypatch.setattr(export, "_PAGE", 2)
    monkeypatch.setattr(
        "services.relay.commands.article_file.next_proof", {1: 533, 533: 45293, 45293: 21391, 21391: 8018}.__getitem__
    )
    for minute in (MINUTE, MINUTE + 2):
        channel.confirm(minute, seed=minute)
    channel.record("5007", LIE, time_us=after(MINUTE + 1))
    for who in ("5004", "5005", "5006"):
        channel.attest(who, told(MINUTE + 1), MINUTE + 1, after(MINUTE + 1))
    channel.conclude(minute=MINUTE + 1, time_us=after(MINUTE + 1))
    channel.record("5005", told(MINUTE + 3), time_us=after(MINUTE + 3))
    return channel


def texts() -> list[str]:
    """The texts that count."""
    return [told(MINUTE, seed=MINUTE), told(MINUTE + 1), told(MINUTE + 2, seed=MINUTE + 2), told(MINUTE + 3)]


def expected_rows() -> list[tuple[object, ...]]:
    """A row for each reading."""
    servers, states = ("5004", "5007", "5004", "5005"), ("confirmed", "confirmed", "confirmed", "open")
    rows: list[tuple[object, ...]] = []
    for index, text in enumerate(texts()):
        capture = parse_capture(text)
        for reading in capture.readings:
            behind = (capture.faults, servers[index], states[index], text_hash(text))
            rows.append(("Rele_1", MINUTE + index, reading.time, *reading.values, *behind))
    return rows


def test_csv_has_a_row_for_each_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "captures.csv"
    assert main(["export", "--csv", "-o", str(path), *SPAN]) == 0
    assert f"{path}: 4 captures of Rele_1" in capsys.readouterr().out
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == COLUMNS
    assert rows == [[str(cell) for cell in row] for row in expected_rows()]


def test_parquet_has_the_same_with_types(tmp_path: Path):
    path = tmp_path / "captures.parquet"
    assert main(["export", "--parquet", "-o", str(path), *SPAN]) == 0
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 2
    table = file.read()
    assert table.column_names == list(COLUMNS)
    assert [tuple(row.values()) for row in table.to_pylist()] == expected_rows()
    assert str(table.schema.field("time").type) == "timestamp[ms]"
    assert {str(table.schema.field(name).type) for name in MEASURES} == {"double"}


def test_the_articles_chain_verifies(tmp_path: Path):
    path = tmp_path / "chain.json"
    assert main(["export", "--article", "-o", str(path), *SPAN]) == 0
    assert verify_chain(path.read_bytes())["length"] == 5
    chain = json.loads(path.read_bytes())
    assert list(chain) == ["1_length", "2_chain"]
    assert [block["5_transactions"][0]["C. Informacion"] for block in chain["2_chain"][1:]] == texts()
    assert [block["5_transactions"][0]["B. Servidor"] for block in chain["2_chain"][1:]] == [
        f"Red_BKC_NODO_{server}" for server in ("5004", "5007", "5004", "5005")
    ]


@pytest.mark.parametrize("form", ["--csv", "--parquet", "--article"])
def test_a_range_without_captures_is_a_file_all_the_same(form: str, tmp_path: Path):
    path = tmp_path / "nothing"
    assert main(["export", form, "-o", str(path), "--from", "1", "--to", "2"]) == 0
    if form == "--article":
        assert verify_chain(path.read_bytes())["length"] == 1
    elif form == "--csv":
        assert path.read_text().splitlines() == [",".join(COLUMNS)]
    else:
        assert pq.ParquetFile(path).metadata.num_rows == 0


def test_a_failed_export_leaves_what_was_there(
    channel: RelayChannel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "captures.csv"
    path.write_text("before")
    assert main(["export", "--csv", "-o", str(path), *SPAN, "--relay", "Rele_9"]) == 1
    assert path.read_text() == "before"
    assert main(["export", "--csv", "-o", str(tmp_path / "no" / "folder.csv"), *SPAN]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["captures.csv"]


def test_an_export_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pages: list[object] = []

    async def breaks_off(*_: object, **__: object) -> AsyncIterator[list[object]]:
        yield pages
        raise InputError("the network is gone")

    monkeypatch.setattr(export, "pages_of_captures", breaks_off)
    assert main(["export", "--csv", "-o", str(tmp_path / "captures.csv"), *SPAN]) == 1
    assert list(tmp_path.iterdir()) == []


def test_json_tells_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "captures.csv"
    assert main(["export", "--csv", "-o", str(path), *SPAN, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"file": str(path), "relay": "Rele_1", "from": MINUTE, "to": MINUTE + 5, "captures": 4}


def test_an_empty_range_is_a_refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "--csv", "-o", str(tmp_path / "x"), "--from", "5", "--to", "5"]) == 1
    assert "is no range of minutes" in capsys.readouterr().err
