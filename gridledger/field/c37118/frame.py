"""What all frames of IEEE C37.118.2-2011 share: SYNC, FRAMESIZE, IDCODE, SOC, FRACSEC and CHK (section 6.2)."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gridledger.errors import InputError

MAX_FRAME: Final = 65_535
HEAD: Final = struct.Struct(">BBHHIBBH")
"""SYNC in two bytes, FRAMESIZE, IDCODE, SOC, time quality, and FRACSEC's 24 bits as 8 and 16."""
CHK_BYTES: Final = 2
MIN_FRAME: Final = HEAD.size + CHK_BYTES
SYNC: Final = 0xAA
VERSIONS: Final = (1, 2)
"""Of the protocol: 1 is C37.118-2005, 2 is C37.118.2-2011."""

_CRC_START: Final = 0xFFFF
_FRACTION: Final = 0xFFFFFF
_LATEST_SOC: Final = 0xFFFFFFFF
_LARGEST_WORD: Final = 0xFFFF
_US: Final = 1_000_000


class FrameError(InputError):
    """Bytes are no frame that can be taken. ``details`` name the field."""

    code = "BAD_PMU_FRAME"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}", field=field)


class FrameType(IntEnum):
    """Bits 6 to 4 of SYNC's second byte."""

    DATA = 0
    HEADER = 1
    CFG1 = 2
    CFG2 = 3
    COMMAND = 4
    CFG3 = 5


@dataclass(frozen=True, slots=True)
class FrameTime:
    """When a frame was measured or made. ``fraction`` counts in TIME_BASE; ``quality`` is FRACSEC's upper byte."""

    soc: int
    fraction: int
    quality: int = 0

    def time_us(self, time_base: int) -> int:
        """Microseconds since 1970, to the nearest one."""
        return self.soc * _US + (self.fraction * _US + time_base // 2) // time_base

    @property
    def leap_second_deleted(self) -> bool:
        """The direction of the leap second that is pending or occurred: deleted, not added."""
        return bool(self.quality & 0x40)

    @property
    def leap_second_occurred(self) -> bool:
        """Set for 24 h after a leap second."""
        return bool(self.quality & 0x20)

    @property
    def leap_second_pending(self) -> bool:
        """Set in the minute before a leap second."""
        return bool(self.quality & 0x10)

    @property
    def time_quality(self) -> int:
        """MSG_TQ: 0 locked, 1 to 11 within 10^(n - 10) s of UTC, 15 not reliable."""
        return self.quality & 0x0F


def time_at(time_us: int, time_base: int = _US, quality: int = 0) -> FrameTime:
    """The time of a frame, from microseconds since 1970."""
    soc, rest = divmod(time_us, _US)
    fraction = (rest * time_base + _US // 2) // _US
    return FrameTime(soc + fraction // time_base, fraction % time_base, quality)


@dataclass(frozen=True, slots=True)
class Head:
    """The common fields of a frame."""

    kind: FrameType
    version: int
    size: int
    idcode: int
    time: FrameTime


def is_sync(second_byte: int) -> bool:
    """Whether a byte after 0xAA completes a SYNC word of a known frame type and version."""
    return second_byte >> 4 in FrameType._value2member_map_ and second_byte & 0x0F in VERSIONS


def checksum(data: bytes | bytearray | memoryview) -> int:
    """CRC-CCITT with all ones at the start, as annex B has it."""
    return crc_hqx(data, _CRC_START)


def read_head(frame: bytes) -> Head:
    """The common fields of one whole frame; :class:`FrameError` where SYNC, FRAMESIZE or CHK are wrong."""
    if len(frame) < MIN_FRAME:
        raise FrameError("size", f"a frame has at least {MIN_FRAME} bytes, not {len(frame)}")
    sync, second, size, idcode, soc, quality, high, low = HEAD.unpack_from(frame)
    if sync != SYNC or not is_sync(second):
        raise FrameError("sync", f"{sync:02x} {second:02x} begins no frame of version 1 or 2")
    if size != len(frame):
        raise FrameError("size", f"FRAMESIZE is {size}, and there are {len(frame)} bytes")
    told, found = int.from_bytes(frame[-CHK_BYTES:], "big"), checksum(memoryview(frame)[:-CHK_BYTES])
    if told != found:
        raise FrameError("chk", f"CHK is {told:04x}, and the bytes give {found:04x}")
    return Head(FrameType(second >> 4), second & 0x0F, size, idcode, FrameTime(soc, high << 16 | low, quality))


def put_frame(kind: FrameType, version: int, idcode: int, time: FrameTime, body: bytes) -> bytes:
    """A frame's bytes, with its size and CHK."""
    size = HEAD.size + len(body) + CHK_BYTES
    if size > MAX_FRAME:
        raise FrameError("size", f"the frame would have {size} bytes, and a frame has at most {MAX_FRAME}")
    for field, value, most in (
        ("idcode", idcode, _LARGEST_WORD),
        ("soc", time.soc, _LATEST_SOC),
        ("fracsec", time.fraction, _FRACTION),
        ("time_quality", time.quality, 0xFF),
    ):
        if not 0 <= value <= most:
            raise FrameError(field, f"{value} is not from 0 to {most}")
    high, low = time.fraction >> 16, time.fraction & _LARGEST_WORD
    head = HEAD.pack(SYNC, kind << 4 | version, size, idcode, time.soc, time.quality, high, low)
    data = head + body
    return data + checksum(data).to_bytes(CHK_BYTES, "big")
