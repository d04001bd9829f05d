"""Command frames (section 6.6) and header frames (section 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gridledger.field.c37118.frame import (
    CHK_BYTES,
    HEAD,
    FrameError,
    FrameTime,
    FrameType,
    put_frame,
    read_head,
)

_CODE_BYTES: Final = 2
_LARGEST_CODE: Final = 0xFFFF


class Command(IntEnum):
    """The commands that the standard names; other codes are reserved or the user's."""

    DATA_OFF = 1
    DATA_ON = 2
    SEND_HEADER = 3
    SEND_CFG1 = 4
    SEND_CFG2 = 5
    SEND_CFG3 = 6
    EXTENDED = 8


@dataclass(frozen=True, slots=True)
class CommandFrame:
    """A command to the stream ``idcode``. ``extended``: up to 65,518 bytes that the user defines."""

    idcode: int
    time: FrameTime
    code: int
    extended: bytes = b""
    version: int = 1


@dataclass(frozen=True, slots=True)
class HeaderFrame:
    """Text for people about a stream."""

    idcode: int
    time: FrameTime
    text: str
    version: int = 1


def encode_command(command: CommandFrame) -> bytes:
    """The frame's bytes."""
    if not 0 <= command.code <= _LARGEST_CODE:
        raise FrameError("cmd", f"{command.code} is no command code")
    body = command.code.to_bytes(_CODE_BYTES, "big") + command.extended
    return put_frame(FrameType.COMMAND, command.version, command.idcode, command.time, body)


def decode_command(frame: bytes) -> CommandFrame:
    """A command frame. Raises :class:`FrameError`."""
    head = read_head(frame)
    if head.kind is not FrameType.COMMAND:
        raise FrameError("sync", f"a frame of type {head.kind.name} is no command")
    body = frame[HEAD.size : -CHK_BYTES]
    if len(body) < _CODE_BYTES:
        raise FrameError("cmd", "the frame ends before its command")
    code = int.from_bytes(body[:_CODE_BYTES], "big")
    return CommandFrame(head.idcode, head.time, code, body[_CODE_BYTES:], head.version)


def encode_header(header: HeaderFrame) -> bytes:
    """The frame's bytes; the text as UTF-8."""
    return put_frame(FrameType.HEADER, header.version, header.idcode, header.time, header.text.encode())


def decode_header(frame: bytes) -> HeaderFrame:
    """A header frame; bytes that are no UTF-8 are replaced. Raises :class:`FrameError`."""
    head = read_head(frame)
    if head.kind is not FrameType.HEADER:
        raise FrameError("sync", f"a frame of type {head.kind.name} is no header")
    return HeaderFrame(head.idcode, head.time, frame[HEAD.size : -CHK_BYTES].decode(errors="replace"), head.version)
