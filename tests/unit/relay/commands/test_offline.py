"""The commands that need no network: a capture's text as JSON, and a chain in the article's form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from services.relay.__main__ import main
from services.relay.article import ArticleCapture, blocks_of, chain_of
from tests.support.bare_install import run_bare
from tests.support.captures import FIGURE_2, FIGURE_2_MANUSCRIPT, text
from tests.support.pmu_frames import STANDARD_CONFIGURATION
from tests.support.processes import REPOSITORY


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    captures = [ArticleCapture("Rele_1", "5005", f"minute {minute}", minute * 60_000_000) for minute in (1, 2)]
    path = tmp_path / "chain.json"
    path.write_text(json.dumps(chain_of(blocks_of(captures, 0))))
    return path


@pytest.mark.parametrize("printed", [FIGURE_2, FIGURE_2_MANUSCRIPT], ids=["printed", "manuscript"])
def test_parse_reads_figure_2(printed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "figure.txt").write_text(printed)
    assert main(["parse", str(tmp_path / "figure.txt")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["time"], told["relay"], told["faults"]) == ("2021-07-02T18:11", "Relay 1", 22.0)
    assert told["readings"][0]["time"] == "2021-09-28T07:01:18"
    assert (told["readings"][0]["Vab"], told["readings"][-1]["Q"], len(told["readings"])) == (115.314, 392.21, 6)


def test_strict_parse_names_field_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "figure.txt").write_text(FIGURE_2.strip() + "\n")
    assert main(["parse", "--strict", str(tmp_path / "figure.txt")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: time, line 7: ")
    assert err.count("\n") == 1


def test_strict_parse_takes_what_the_ledger_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "capture.txt").write_text(text(datetime(2026, 11, 30, 2, 24)))
    assert main(["parse", "--strict", str(tmp_path / "capture.txt")]) == 0
    assert json.loads(capsys.readouterr().out)["relay"] == "Relay 1"


def test_parse_reads_no_more_than_a_capture_may_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "large.txt").write_bytes(b"x" * 1_000_000)
    assert main(["parse", str(tmp_path / "large.txt")]) == 1
    assert capsys.readouterr().err.startswith("error: bytes, line 1: there are 65537")


def test_verify_tells_length_and_head(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(chain)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["length"] == 3
    assert len(told["head"]) == 64


def test_verify_names_the_block_that_does_not_hold(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain.write_text(chain.read_text().replace("minute 1", "minute 3"))
    assert main(["verify", str(chain)]) == 1
    assert capsys.readouterr() == ("", "error: block 3, 4_previous_hash: is not the hash of block 2\n")


@pytest.mark.parametrize("command", ["parse", "verify"])
def test_a_missing_file_is_told_in_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "no-such-file"]) == 1
    assert capsys.readouterr().err == "error: no-such-file: No such file or directory\n"


@pytest.mark.parametrize("arguments", [["verify", "chain.json"], ["--help"], ["verify", "--help"]])
def test_a_reader_that_has_gone_ends_it_quietly(arguments: list[str], chain: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "services.relay", *arguments],
            cwd=chain.parent, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=output, stderr=subprocess.PIPE, timeout=30, check=False,
        )  # fmt: skip
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["parse", "verify"])
def test_wrong_usage_is_exit_code_2(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err == f"error: the following arguments are required: FILE. See gridledger relay {command} --help\n"


def test_all_run_on_the_base_install(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "figure.txt").write_text(FIGURE_2)
    (tmp_path / "frame.bin").write_bytes(STANDARD_CONFIGURATION)
    figure, frame = tmp_path / "figure.txt", tmp_path / "frame.bin"
    for command in (("parse", figure), ("verify", chain), ("c37", "decode", frame)):
        program = "import sys; from services.relay.__main__ import main; sys.exit(main(sys.argv[1:]))"
        done = run_bare(program, *command, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert isinstance(json.loads(done.stdout), dict)


def test_what_is_no_chain_is_told_what_makes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "chain.json").write_text('{"length": 1}')
    assert main(["verify", str(tmp_path / "chain.json")]) == 1
    assert "'gridledger relay export --article' writes one" in capsys.readouterr().err
