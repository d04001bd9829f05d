"""``gridledger relay c37 decode``: the public captures as two independent decoders read them, and broken files."""

from __future__ import annotations

import cmath
import gzip
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger.field.c37118 import DataFrame, Frame, FrameDecoder
from gridledger.field.cutter import Cutter
from services.relay.__main__ import main
from services.relay.commands.c37 import BrokenFrame, decoded
from tests.support.pmu_decoders import NAMES, capture, told, tshark_says
from tests.support.pmu_frames import STANDARD_COMMAND, STANDARD_CONFIGURATION, STANDARD_DATA
from tests.support.processes import REPOSITORY

_DECIMALS = 0.000_501


def lines_of(data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, the JSON lines and the errors of the command."""
    file = folder / "frames.bin"
    file.write_bytes(data)
    code = main(["c37", "decode", str(file)])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def assert_as_tshark(frames: list[dict[str, Any]], said: list[Any]) -> None:
    """Each data frame equals what tshark prints, to its three decimals."""
    assert len(frames) == len(said)
    for frame, (soc, fracsec, stat, phasors, freq, rocof, digitals) in zip(frames, said, strict=True):
        (pmu,) = frame["pmus"]
        assert (frame["soc"], frame["fracsec"], pmu["stat"], pmu["digitals"]) == (soc, fracsec, stat, digitals)
        assert len(pmu["phasors"]) == len(phasors)
        for ours, theirs in zip(pmu["phasors"], phasors, strict=True):
            assert math.dist(ours, theirs) < 2 * _DECIMALS + 4e-8 * math.hypot(*theirs)
        assert pmu["freq_hz"] == pytest.approx(freq, abs=_DECIMALS)
        assert pmu["rocof_hz_s"] == pytest.approx(rocof, abs=_DECIMALS)


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_decoded_as_tshark_and_pyc37_do(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, _ = lines_of(capture(name), tmp_path, capsys)
    assert code == 0
    assert lines[0]["type"] == "cfg2"
    data = [line for line in lines if line["type"] == "data"]
    assert len(data) == len(lines) - 1
    assert_as_tshark(data, told(name, "tshark"))
    for frame, said in zip(data, told(name, "pyc37"), strict=True):
        soc, fracsec, _, phasors, millihertz, rocof, digitals = said
        (pmu,) = frame["pmus"]
        # Of FRACSEC's 24 bits pyc37 reads 23.
        assert (frame["soc"], frame["fracsec"] & 0x7FFFFF, pmu["digitals"]) == (soc, fracsec, digitals)
        for ours, (magnitude, angle) in zip(pmu["phasors"], phasors, strict=True):
            assert complex(*ours) == pytest.approx(cmath.rect(magnitude, angle), rel=1e-12)
        assert pmu["freq_hz"] == pytest.approx(lines[0]["pmus"][0]["nominal_hz"] + millihertz / 1000)
        assert pmu["rocof_hz_s"] == pytest.approx(rocof / 100)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="there is no tshark: what it said once is compared")
@pytest.mark.parametrize("name", NAMES)
def test_the_tshark_at_hand_decodes_every_frame_so(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines, _ = lines_of(capture(name), tmp_path, capsys)
    frames = Cutter().feed(capture(name))
    assert_as_tshark([line for line in lines if line["type"] == "data"], tshark_says(frames, tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_the_captures_decode_alike_at_any_cutting(name: str) -> None:
    stream, random = capture(name), Random(name)
    whole = list(map(FrameDecoder().decode, Cutter().feed(stream)))
    for most in (1, 7, 60, 3000):
        cutter, decoder, at = Cutter(), FrameDecoder(), 0
        found: list[Frame] = []
        while at < len(stream):
            part = stream[at : at + random.randint(1, most)]
            found += map(decoder.decode, cutter.feed(part))
            at += len(part)
        assert found == whole
        assert cutter.dropped_bytes == cutter.waiting == 0
    assert sum(isinstance(frame, DataFrame) for frame in whole) == len(whole) - 1


def test_every_kind_of_frame_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = gzip.compress(STANDARD_CONFIGURATION + STANDARD_DATA + STANDARD_COMMAND)
    code, (config, data, command), _ = lines_of(stream, tmp_path, capsys)
    assert code == 0
    assert (config["type"], config["data_rate"], config["leap_second"]) == ("cfg2", 30, ["pending", "deleted"])
    assert config["pmus"][0]["phasors"][3] == {
        "name": "I1",
        "unit": "A",
        "factor": 45_776,
        "scale": 1.0,
        "offset_rad": 0.0,
    }
    (pmu,) = data["pmus"]
    assert (data["soc"], data["fracsec"]) == (1_149_580_800, 16_817)
    assert pmu["phasors"][0] == [14_635 * 915_527 / 100_000, 0.0]
    assert (pmu["freq_hz"], pmu["rocof_hz_s"], pmu["digitals"]) == (62.5, 0.0, [0x3C12])
    assert pmu["analogs"] == [100.0, 1000.0, 10_000.0]
    assert (command["type"], command["command"]) == ("command", 2)


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (STANDARD_DATA[:-1] + b"x", "chk"),
        (STANDARD_DATA[:-1], "size: FRAMESIZE is 52, and there are 51 bytes (the file ends after 51 of 52 bytes)"),
        (b"garbage", "size"),
        (b"\xaa\x01\x00\x05garbage", "size"),
    ],
)
def test_the_first_broken_frame_is_told_with_its_offset(
    tail: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, error = lines_of(STANDARD_CONFIGURATION + STANDARD_DATA + tail, tmp_path, capsys)
    assert code == 1
    assert [line["type"] for line in lines] == ["cfg2", "data"]
    assert error.startswith("error: offset 506: ")
    assert why in error


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        ("a1b2c3d4", "pcap"),
        ("d4c3b2a1", "pcap"),
        ("a1b23c4d", "pcap"),
        ("4d3cb2a1", "pcap"),
        ("0a0d0d0a", "pcapng"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_capture_of_packets_is_told_with_the_command_that_takes_the_frames_out(
    begin: str, kind: str, pack: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, error = lines_of(pack(bytes.fromhex(begin) + bytes(40)), tmp_path, capsys)
    assert (code, lines) == (1, [])
    assert f"it is a capture of packets ({kind})" in error
    assert f"tshark -r {tmp_path / 'frames.bin'} -Y 'tcp.srcport == 4712 &&" in error
    assert r"tr -d ':\n' | xxd -r -p > frames.bin" in error


def test_frames_come_from_standard_input() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "services.relay", "c37", "decode", "-"],
        input=STANDARD_CONFIGURATION + STANDARD_DATA,
        capture_output=True,
        check=True,
        timeout=60,
        cwd=REPOSITORY,
    )
    assert [json.loads(line)["type"] for line in said.stdout.splitlines()] == ["cfg2", "data"]


def test_a_broken_frame_names_its_field() -> None:
    with pytest.raises(BrokenFrame) as error:
        list(decoded(STANDARD_CONFIGURATION + STANDARD_DATA[:-1]))
    assert error.value.code == "BROKEN_PMU_STREAM"
    assert error.value.details == {"offset": 454, "field": "size"}


def test_data_before_its_configuration_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, error = lines_of(STANDARD_DATA, tmp_path, capsys)
    assert (code, lines) == (1, [])
    assert "offset 0: idcode: the configuration of stream 7734 did not come before its data" in error


def test_a_broken_gzip_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, error = lines_of(gzip.compress(STANDARD_CONFIGURATION)[:-12], tmp_path, capsys)
    assert (code, lines) == (1, [])
    assert error.count("\n") == 1
