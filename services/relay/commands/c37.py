"""``gridledger relay c37 decode``: frames of C37.118 in a file as JSON. Needs no network and no extra."""

from __future__ import annotations

import argparse
import gzip
import io
import math
import shlex
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import say_json
from gridledger.errors import InputError
from gridledger.field.c37118 import (
    CommandFrame,
    Configuration,
    DataFrame,
    Fragment,
    Frame,
    FrameDecoder,
    FrameError,
    FrameTime,
    HeaderFrame,
    PmuConfig,
    PmuData,
)
from services.relay.commands.files import read_bytes
from services.relay.commands.options import new_parser

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Of a file, also of one that is unpacked."""
_GZIP: Final = b"\x1f\x8b"
_SIZE: Final = slice(2, 4)
_CAPTURES: Final = {
    **dict.fromkeys((b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"), "pcap"),
    b"\x0a\x0d\x0d\x0a": "pcapng",
}
"""How captures of packets begin: pcap of either byte order, in micro- and nanoseconds; pcapng."""


class BrokenFrame(InputError):
    """Where the first frame begins that cannot be read."""

    code = "BROKEN_PMU_STREAM"


def main(argv: list[str]) -> int:
    """Print a line for each frame; the first broken one ends it with its offset."""
    parser = new_parser(
        "c37",
        "Print frames of IEEE C37.118 as JSON, a line each. The file has them one after the other, as a TCP connection "
        "carries them; a gzip of it is unpacked. A capture of packets (.pcap, .pcapng) is refused with the command "
        "that takes the frames out of it.",
        ("c37 decode capture.bin", "c37 decode - < capture.bin"),
    )
    parser.add_argument("action", choices=["decode"])
    parser.add_argument("file", type=Path, metavar="FILE", help="the frames; - for standard input")
    options: argparse.Namespace = parser.parse_args(argv)
    for shown in decoded(file_bytes(options.file)):
        say_json(shown)
    return 0


def file_bytes(path: Path) -> bytes:
    """A file's bytes, or standard input's for ``-``, unpacked where they are gzip.

    :class:`InputError` above :data:`MAX_FILE_BYTES`, and for a capture of packets.
    """
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if str(path) == "-" else read_bytes(path, MAX_FILE_BYTES)
    if data.startswith(_GZIP):
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: it is no whole gzip: {error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path}: it is longer than {MAX_FILE_BYTES} bytes")
    if data[:4] in _CAPTURES:
        raise InputError(_packets_told(path, _CAPTURES[data[:4]]))
    return data


def _packets_told(path: Path, kind: str) -> str:
    """How the frames are taken out of a capture of packets."""
    file = "FILE" if str(path) == "-" else shlex.quote(str(path))
    return (
        f"{path}: it is a capture of packets ({kind}); take the frames out of it with: tshark -r {file} "
        "-Y 'tcp.srcport == 4712 && tcp.len > 0 && !tcp.analysis.retransmission' -T fields -e tcp.payload "
        "| tr -d ':\\n' | xxd -r -p > frames.bin (4712: the PMU's port; over UDP -Y 'udp.srcport == 4713' and "
        "-e udp.payload), then decode frames.bin"
    )


def decoded(data: bytes) -> Iterator[dict[str, Any]]:
    """Frame after frame in its JSON form; :class:`BrokenFrame` at the first that cannot be read."""
    decoder, at = FrameDecoder(), 0
    while at < len(data):
        size = int.from_bytes(data[at:][_SIZE], "big") if data[at] == 0xAA else 0  # noqa: PLR2004 - SYNC
        try:
            frame = decoder.decode(data[at : at + max(size, 1)])
        except FrameError as error:
            left = len(data) - at
            cut = f" (the file ends after {left} of {size} bytes)" if size > left else ""
            raise BrokenFrame(f"offset {at}: {error.message}{cut}", offset=at, **error.details) from None
        yield json_form(frame)
        at += size


def json_form(frame: Frame) -> dict[str, Any]:
    """A frame as JSON; a value that is absent (NaN) is null."""
    match frame:
        case DataFrame(idcode, time, pmus):
            return {"type": "data", **_head(idcode, time), "pmus": [_data(pmu) for pmu in pmus]}
        case Configuration():
            return {
                "type": frame.kind.name.lower(),
                **_head(frame.idcode, frame.time),
                "time_base": frame.time_base,
                "data_rate": frame.data_rate,
                "pmus": [_pmu(pmu) for pmu in frame.pmus],
            }
        case HeaderFrame(idcode, time, text):
            return {"type": "header", **_head(idcode, time), "text": text}
        case CommandFrame(idcode, time, code, extended):
            return {"type": "command", **_head(idcode, time), "command": code, "extended": extended.hex()}
        case Fragment(idcode, time):
            return {"type": "cfg3", **_head(idcode, time), "fragment": True}


def _head(idcode: int, time: FrameTime) -> dict[str, Any]:
    leap = [
        name
        for name, is_set in (
            ("pending", time.leap_second_pending),
            ("occurred", time.leap_second_occurred),
            ("deleted", time.leap_second_deleted),
        )
        if is_set
    ]
    return {
        "idcode": idcode,
        "soc": time.soc,
        "fracsec": time.fraction,
        "time_quality": time.time_quality,
        "leap_second": leap,
    }


def _data(pmu: PmuData) -> dict[str, Any]:
    return {
        "stat": pmu.stat.word,
        "stat_bits": pmu.stat.named(),
        "phasors": [[_number(phasor.real), _number(phasor.imag)] for phasor in pmu.phasors],
        "freq_hz": _number(pmu.freq_hz),
        "rocof_hz_s": _number(pmu.rocof_hz_s),
        "analogs": [_number(value) for value in pmu.analogs],
        "digitals": list(pmu.digitals),
    }


def _pmu(pmu: PmuConfig) -> dict[str, Any]:
    return {
        "station": pmu.station,
        "idcode": pmu.idcode,
        "format": pmu.format.word,
        "nominal_hz": pmu.nominal_hz,
        "change_count": pmu.change_count,
        "phasors": [
            {
                "name": channel.name,
                "unit": "A" if channel.is_current else "V",
                "factor": channel.factor,
                "scale": _number(channel.scale),
                "offset_rad": _number(channel.offset_rad),
            }
            for channel in pmu.phasors
        ],
        "analogs": [{"name": channel.name, "kind": channel.kind, "factor": channel.factor} for channel in pmu.analogs],
        "digitals": [
            {"labels": list(word.labels), "normal": word.normal, "valid": word.valid} for word in pmu.digitals
        ],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
