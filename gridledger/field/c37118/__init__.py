"""IEEE C37.118.2-2011, the protocol of phasor measurement units (PMUs): frames from bytes and back. Pure.

:mod:`.frame` has what all frames share, :mod:`.config` the configuration and its frames CFG-1 and CFG-2,
:mod:`.config3` CFG-3, :mod:`.data` data frames, :mod:`.command` commands and headers, :mod:`.stream` what a receiver
knows of the streams of a connection. A stream of bytes is cut into frames by :mod:`gridledger.field.cutter`.
"""

from __future__ import annotations

from gridledger.field.c37118.command import (
    Command,
    CommandFrame,
    HeaderFrame,
    decode_command,
    decode_header,
    encode_command,
    encode_header,
)
from gridledger.field.c37118.config import (
    AnalogChannel,
    Configuration,
    DigitalChannel,
    Format,
    PhasorChannel,
    Place,
    PmuConfig,
    decode_configuration,
    encode_configuration,
)
from gridledger.field.c37118.config3 import Cfg3Assembler, decode_cfg3, encode_cfg3
from gridledger.field.c37118.data import DataCodec, DataFrame, PmuData, Stat
from gridledger.field.c37118.frame import (
    MAX_FRAME,
    FrameError,
    FrameTime,
    FrameType,
    Head,
    checksum,
    read_head,
    time_at,
)
from gridledger.field.c37118.stream import Fragment, Frame, FrameDecoder

__all__ = [
    "MAX_FRAME",
    "AnalogChannel",
    "Cfg3Assembler",
    "Command",
    "CommandFrame",
    "Configuration",
    "DataCodec",
    "DataFrame",
    "DigitalChannel",
    "Format",
    "Fragment",
    "Frame",
    "FrameDecoder",
    "FrameError",
    "FrameTime",
    "FrameType",
    "Head",
    "HeaderFrame",
    "PhasorChannel",
    "Place",
    "PmuConfig",
    "PmuData",
    "Stat",
    "checksum",
    "decode_cfg3",
    "decode_command",
    "decode_configuration",
    "decode_header",
    "encode_cfg3",
    "encode_command",
    "encode_configuration",
    "encode_header",
    "read_head",
    "time_at",
]
