"""Independent decoders of C37.118: Wireshark's tshark, run on the spot, and what it and pyc37 said of the captures."""

from __future__ import annotations

import gzip
import json
import re
import struct
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parents[1] / "data" / "pmu"
NAMES = ("c37-1PMU_TCP-36835", "c37-2PMUsInSync_TCP-35712", "c37-2PMUsInSync_TCP-48764")
_PORT = 4713
_FIELDS = {
    "soc": re.compile(r"SOC time stamp: (\w+ +\d+, \d+ \d\d:\d\d:\d\d)\.0+ UTC"),
    "fracsec": re.compile(r"Fraction of second \(raw\): (\d+)"),
    "stat": re.compile(r"^ +([01.]{4} [01.]{4} [01.]{4} [01.]{4}) = ", re.MULTILINE),
    "phasors": re.compile(r"Phasor #\d+: .* alt +(-?[\d.]+)\+j *(-?[\d.]+)[VA]"),
    "freq_hz": re.compile(r"(?:actual frequency: |Actual frequency value: )(-?[\d.]+)Hz", re.IGNORECASE),
    "rocof_hz_s": re.compile(r"Rate of change of frequency: (-?[\d.]+)Hz/s"),
    "digitals": re.compile(r"Digital status word #\d+: 0x([0-9a-f]{4})"),
}
TOLD = tuple(_FIELDS)


def capture(name: str) -> bytes:
    """The bytes of a public capture."""
    return gzip.decompress((CAPTURES / f"{name}.bin.gz").read_bytes())


def told(name: str, decoder: str) -> list[Any]:
    """What a decoder said of each data frame of a capture, as kept in a file."""
    lines = gzip.decompress((CAPTURES / f"{name}.{decoder}.jsonl.gz").read_bytes()).splitlines()
    return [json.loads(line) for line in lines]


def pcap_of(frames: Iterable[bytes]) -> bytes:
    """Each frame as a UDP datagram, in a file that tshark reads."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)]
    for number, frame in enumerate(frames):
        udp = struct.pack(">HHHH", 40_000, _PORT, 8 + len(frame), 0) + frame
        address = bytes((127, 0, 0, 1))
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + address * 2 + udp
        parts.append(struct.pack("<IIII", number, 0, len(ip), len(ip)) + ip)
    return b"".join(parts)


def tshark_says(frames: Iterable[bytes], folder: Path) -> list[list[Any]]:
    """What tshark prints of each data frame, in the order of :data:`TOLD`; phasors to three decimals."""
    file = folder / "frames.pcap"
    file.write_bytes(pcap_of(frames))
    command = ["tshark", "-r", str(file), "-d", f"udp.port=={_PORT},synphasor", "-O", "synphasor", "-V"]
    run = subprocess.run(command, capture_output=True, check=True, timeout=110, text=True)
    packets = run.stdout.split("IEEE C37.118 Synchrophasor Protocol, ")[1:]
    assert all("[correct]" in packet.partition("\n")[0] for packet in packets)
    return [_read(packet) for packet in packets if packet.startswith("Data Frame")]


def _read(packet: str) -> list[Any]:
    found = {name: pattern.findall(packet) for name, pattern in _FIELDS.items()}
    time = datetime.strptime(" ".join(found["soc"][0].split()), "%b %d, %Y %H:%M:%S").replace(tzinfo=UTC)
    flags = packet.partition("Flags\n")[2].partition("Phasors")[0]
    stat = sum(int(bits.replace(" ", "").replace(".", "0"), 2) for bits in _FIELDS["stat"].findall(flags))
    return [
        int(time.timestamp()),
        int(found["fracsec"][0]),
        stat,
        [[float(real), float(imaginary)] for real, imaginary in found["phasors"]],
        float(found["freq_hz"][0]),
        float(found["rocof_hz_s"][0]),
        [int(word, 16) for word in found["digitals"]],
    ]
