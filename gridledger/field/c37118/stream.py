"""What a receiver knows of the streams of one connection: their configurations, by which data frames are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gridledger.field.c37118.command import CommandFrame, HeaderFrame, decode_command, decode_header
from gridledger.field.c37118.config import Configuration, decode_configuration
from gridledger.field.c37118.config3 import Cfg3Assembler
from gridledger.field.c37118.data import DataCodec, DataFrame
from gridledger.field.c37118.frame import FrameError, FrameTime, FrameType, read_head

MAX_STREAMS: Final = 64
"""Streams of one connection whose configurations are kept."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment of a CFG-3 that is not complete yet."""

    idcode: int
    time: FrameTime


Frame = Configuration | DataFrame | HeaderFrame | CommandFrame | Fragment


class FrameDecoder:
    """Decodes frame after frame. CFG-2 and CFG-3 say what data frames hold, CFG-1 only what they could."""

    def __init__(self) -> None:
        self.codecs: dict[int, DataCodec] = {}
        self._assemblers: dict[int, Cfg3Assembler] = {}

    def decode(self, frame: bytes) -> Frame:
        """Any frame. :class:`FrameError` also for data whose configuration did not come before."""
        head = read_head(frame)
        match head.kind:
            case FrameType.DATA:
                codec = self.codecs.get(head.idcode)
                if codec is None:
                    raise FrameError(
                        "idcode", f"the configuration of stream {head.idcode} did not come before its data"
                    )
                return codec.decode(frame)
            case FrameType.CFG1:
                return decode_configuration(frame)
            case FrameType.CFG2:
                return self._known(decode_configuration(frame))
            case FrameType.CFG3:
                return self._fragment(frame, head.idcode, head.time)
            case FrameType.HEADER:
                return decode_header(frame)
            case FrameType.COMMAND:
                return decode_command(frame)

    def _fragment(self, frame: bytes, idcode: int, time: FrameTime) -> Configuration | Fragment:
        self._check_room(idcode, len(self._assemblers), known=idcode in self._assemblers)
        assembler = self._assemblers.setdefault(idcode, Cfg3Assembler())
        config = assembler.add(frame)
        if config is None:
            return Fragment(idcode, time)
        del self._assemblers[idcode]
        return self._known(config)

    def _known(self, config: Configuration) -> Configuration:
        self._check_room(config.idcode, len(self.codecs), known=config.idcode in self.codecs)
        self.codecs[config.idcode] = DataCodec(config)
        return config

    def _check_room(self, idcode: int, there: int, *, known: bool) -> None:
        if not known and there >= MAX_STREAMS:
            raise FrameError("idcode", f"stream {idcode}: {MAX_STREAMS} streams are the most of one connection")
