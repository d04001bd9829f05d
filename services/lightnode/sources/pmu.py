"""Events from a PMU by IEEE C37.118.2 over TCP. Of a stream with several PMUs the first is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from gridledger.field.c37118 import (
    Command,
    CommandFrame,
    Configuration,
    DataFrame,
    FrameDecoder,
    FrameError,
    FrameTime,
    PmuData,
    encode_command,
)
from gridledger.field.cutter import Cutter
from services.lightnode import metrics
from services.lightnode.settings import PmuSource
from services.lightnode.sources.pmu_rules import PmuRules
from services.lightnode.sources.telling import SourceAway, Tell, kept_up, told

_READ_BYTES: Final = 65_536
_NO_TIME: Final = FrameTime(0, 0)
"""Of a command, which devices do not look at."""

Rows = Callable[[int, PmuData, Configuration], None]
"""Takes each moment of a stream, for batches."""


class PmuWatcher:
    """One PMU's stream."""

    def __init__(self, device: str, source: PmuSource, tell: Tell, random: Random, *, rows: Rows | None = None) -> None:
        self._device = device
        self._source = source
        self._tell = tell
        self._random = random
        self._rows = rows
        self._rules = PmuRules(source)

    async def run(self) -> None:
        """Watch until this is cancelled."""
        await kept_up(self._device, "pmu", self._watch, self._tell, self._random)

    async def _watch(self) -> None:
        source = self._source
        try:
            async with asyncio.timeout(source.silent_s):
                reader, writer = await asyncio.open_connection(source.host, source.port)
            try:
                await self._read(reader, writer)
            finally:
                writer.close()
        except TimeoutError:
            raise SourceAway(f"{source.host}:{source.port} sent nothing of use for {source.silent_s:g} s") from None
        except OSError as error:
            raise SourceAway(f"{source.host}:{source.port} cannot be reached: {error!s:.200}") from None

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter, decoder = Cutter(idcode=self._source.idcode), FrameDecoder()
        self._command(writer, Command.DATA_OFF)
        self._command(writer, Command.SEND_CFG2)
        announced = has_begun = False
        while True:
            async with asyncio.timeout(self._source.silent_s):
                frames = cutter.feed(await self._some(reader))
                while not frames:
                    frames = cutter.feed(await self._some(reader))
            for frame in frames:
                with suppress(FrameError):  # such as data that came before the configuration
                    found = decoder.decode(frame)
                    if isinstance(found, DataFrame):
                        changes = found.pmus[0].stat.config_changes
                        if changes != announced:
                            announced = changes
                            self._command(writer, Command.SEND_CFG2)
                        await self._take(decoder.codecs[self._source.idcode].config, found)
                    elif isinstance(found, Configuration) and not has_begun:
                        has_begun = True
                        self._command(writer, Command.DATA_ON)

    async def _take(self, config: Configuration, data: DataFrame) -> None:
        metrics.SOURCE_UP.labels(self._device).set(1)
        time_us = data.time.time_us(config.time_base)
        if self._rows is not None:
            self._rows(time_us, data.pmus[0], config)
        for event in self._rules.take(time_us, data.pmus[0]):
            if await told(self._tell, event):
                metrics.SOURCE_EVENTS.labels("pmu").inc()

    def _command(self, writer: asyncio.StreamWriter, code: Command) -> None:
        writer.write(encode_command(CommandFrame(self._source.idcode, _NO_TIME, code)))

    async def _some(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(_READ_BYTES)
        if not data:
            raise SourceAway(f"{self._source.host}:{self._source.port} ended the connection")
        return data
