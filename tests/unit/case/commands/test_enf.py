"""``gridledger case enf match``: its JSON, its plot, and files that are no recordings and no references."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.case.__main__ import main
from services.case.enf import synthesis
from services.case.enf.errors import BadRecording, BadReference
from services.case.enf.recording import Recording
from services.case.enf.reference import reference_of
from services.case.enf.reference_csv import read_reference
from services.case.enf.synthesis import Sound
from tests.support.enf_recordings import START_S, day, without, write_wav

RATE = 700
SOUND = Sound(rate=RATE, snr_db=0.0)
HOURS = day(1)[:14_400]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "frequency.csv"
    path.write_bytes(synthesis.reference_csv(HOURS, START_S))
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = without(synthesis.recorded(HOURS, 5_000.5, 700.0, SOUND, 1), 300.0, 17.3, RATE)
    quiet = 0.1 * np.random.default_rng(1).normal(0.0, 0.01, len(samples))
    path = tmp_path_factory.mktemp("recording") / "call.wav"
    return write_wav(path, np.stack([quiet, samples], axis=1), RATE, "PCM_24")


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command is refused."""
    assert main(["enf", "match", *argv]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_the_answer_is_json(
    recording: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "call.png"
    argv = [str(recording), "--reference", str(reference), "--nominal", "50", "--json", "--plot", str(plot)]
    assert main(["enf", "match", *argv]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert answer["start_s"] == pytest.approx(START_S + 5_000.5, abs=1.0)
    assert answer["confidence"] > 0.999
    assert answer["reason"] is None
    assert [edit["kind"] for edit in answer["edits"]] == ["deletion"]
    assert answer["edits"][0] == {
        "kind": "deletion",
        "at_s": pytest.approx(300.0, abs=3.0),
        "length_s": pytest.approx(17.3, abs=3.0),
    }
    assert answer["recording"]["channel"] == 1
    assert plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_no_match_is_an_answer(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_wav(tmp_path / "short.wav", np.zeros(30 * RATE), RATE)
    plot = tmp_path / "short.png"
    assert main(["enf", "match", str(path), "--reference", str(reference), "--json", "--plot", str(plot)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["start_s"] is None
    assert answer["edits"] == []
    assert "too short" in answer["reason"]
    assert plot.exists()
    assert main(["enf", "match", str(path), "--reference", str(reference)]) == 0
    assert "no match" in capsys.readouterr().out


WAV = {
    "empty": (b"", "the file is empty"),
    "text": (b"time_s,frequency_hz\n" * 9, "it is no sound that can be read"),
    "head": (b"RIFF\x24\x00\x00\x00WAVE", "the WAV file has no data chunk"),
    "format": (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(16), "the WAV file has no data chunk"),
    "endless": (b"RIFF\x24\x00\x00\x00WAVE" + b"junk\x00\x00\x00\x00" * 2_000, "more chunks than any recorder writes"),
}


@pytest.mark.parametrize("name", WAV)
def test_what_is_no_recording_is_refused(
    name: str, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, says = WAV[name]
    (tmp_path / "x.wav").write_bytes(content)
    assert says in refused([str(tmp_path / "x.wav"), "--reference", str(reference)], capsys)


def test_a_file_that_is_cut_short_is_refused_unless_it_is_allowed(recording: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.wav"
    cut.write_bytes(recording.read_bytes()[:600_000])
    with pytest.raises(BadRecording, match=r"its header tells of .* the file is cut short"):
        Recording(cut)
    with Recording(cut, allow_cut=True) as whole:
        assert sum(len(block) for block in whole.blocks()) == whole.format.frames


def header(rate: int, channels: int, bits: int = 16, data: int = 4_000) -> bytes:
    """A WAV file of silence whose header says what it is told to."""
    size = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, (rate * size) & 0xFFFFFFFF, size & 0xFFFF, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + data)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + (struct.pack("<I", data) + bytes(data))
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (header(50, 1), "50 samples a second"),
        (header(4_000_000, 1), "4000000 samples a second"),
        (header(8_000, 20), "20 channels; at most 8"),
        (header(8_000, 0), "no sound that can be read"),
        (header(0, 1), "no sound that can be read"),
        (header(8_000, 1, data=0), "there is no sound in it"),
        (header(200, 1, 8, data=36_000_000), "180000 s long; at most 172800 s"),
    ],
)
def test_a_header_that_lies_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(BadRecording, match=says):
        Recording(path)


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    samples = np.array([0.5, np.nan, np.inf, -np.inf, 1e30])
    with Recording(write_wav(tmp_path / "x.wav", samples, 8_000, "FLOAT")) as recording:
        assert next(recording.blocks())[:, 0].tolist() == [0.5, 0.0, 0.0, 0.0, 1_000.0]


def rows(*lines: str, head: str = "time_s,frequency_hz") -> str:
    return "\n".join((head, *lines)) + "\n"


def seconds(count: int, step: float = 1.0, value: str = "50.01") -> list[str]:
    return [f"{1_000 + step * n},{value}" for n in range(count)]


CSV = {
    "empty": ("", "the file is empty"),
    "head alone": (rows(), "at least 60 are needed"),
    "two rows": (rows(*seconds(2)), r"a frequency for 2 seconds \(2 rows\); at least 60 are needed"),
    "not measured": (rows(*seconds(100, value="NaN")), r"a frequency for 0 seconds \(100 rows\)"),
    "other columns": (rows(*seconds(100), head="t,f"), "no CSV with the columns time_s,frequency_hz"),
    "text": (rows(*seconds(100), "now,fifty"), "no CSV with the columns"),
    "ragged": (rows(*seconds(100), "1,2,3"), "no CSV with the columns"),
    "backwards": (rows(*seconds(100), "1050,50.0"), r"row 101 of the reference \(1050.000\) is not later"),
    "twice": (rows(*seconds(100), "1099,50.0"), "row 101 of the reference"),
    "no time": (rows(*seconds(100), "NaN,50.0"), "row 101 of the reference has no time"),
    "too wide": (rows(*seconds(100), "900000000,50.0"), "the reference spans"),
    "wrong grid": (rows(*seconds(100, value="60.01")), "lies at 60.01 Hz, not near 50 Hz: give --nominal"),
    "seldom": (rows(*seconds(100, step=10.0)), "fewer rows than one a second"),
    "bytes": ("time_s,frequency_hz\n\xff\xfe,\x00\n", "no CSV with the columns"),
}


@pytest.mark.parametrize("name", CSV)
def test_what_is_no_reference_is_refused(name: str, tmp_path: Path) -> None:
    content, says = CSV[name]
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(BadReference, match=says):
        read_reference(path, 50.0)


def test_missing_and_implausible_seconds_are_missing(tmp_path: Path) -> None:
    lines = seconds(100)
    lines[10:12] = ["1010,", "1011,0.0"]
    del lines[50]
    path = tmp_path / "x.csv"
    path.write_text(rows(*lines))
    found = read_reference(path, 50.0)
    assert (found.start_s, found.seconds, found.missing) == (1_000.0, 100, 3)
    assert np.flatnonzero(np.isnan(found.deviation_hz)).tolist() == [10, 11, 50]


def test_rows_of_fractions_of_a_second_are_averaged() -> None:
    times = 1_000.0 + np.arange(1_000) / 10.0
    found = reference_of([(times[:333], 50.0 + times[:333] % 1.0), (times[333:], 50.0 + times[333:] % 1.0)], 50.0)
    assert found.seconds == 101
    assert found.deviation_hz[5] == pytest.approx(0.45, abs=1e-6)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "usage: "),
        (["find"], "there is no subcommand 'find' of enf"),
        (["match", "x.wav"], "--reference"),
        (["match", "x.wav", "--reference", "x.csv", "--nominal", "0"], "usually 50 or 60"),
    ],
)
def test_wrong_usage_has_exit_code_2(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["enf", *argv])
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    told = capsys.readouterr()
    assert says in told.err + told.out


def test_files_that_are_not_there_are_told(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert "No such file" in refused([nowhere, "--reference", nowhere], capsys)
    assert "No such file" in refused([str(recording), "--reference", nowhere], capsys)
