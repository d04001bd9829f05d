"""Simulated PMUs that speak C37.118.2 over TCP, one port each, for light nodes to read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from gridledger.field.c37118 import (
    Command,
    CommandFrame,
    Configuration,
    DataCodec,
    DataFrame,
    Format,
    FrameDecoder,
    FrameError,
    FrameType,
    PhasorChannel,
    PmuConfig,
    PmuData,
    Stat,
    encode_configuration,
    time_at,
)
from gridledger.field.cutter import Cutter
from services.case.replay.pmus import MovingGrid

IDCODE: Final = 1
HOST: Final = "127.0.0.1"
_READ_BYTES: Final = 4096


class PmuServer:
    """One PMU. ``begun_us``: the moment that is the grid's second 0; ``rate``: frames a second."""

    def __init__(
        self, grid: MovingGrid, pmu: str, *, begun_us: int, rate: int, now_us: Callable[[], int] | None = None
    ) -> None:
        self._grid, self._pmu, self._begun_us, self._rate = grid, pmu, begun_us, rate
        self._now_us = now_us or (lambda: time.time_ns() // 1000)
        channels = grid.channels(pmu)
        phasors = tuple(PhasorChannel(name, is_current=place > 0) for place, name in enumerate(channels))
        nominal = round(grid.placement.nominal_hz)
        one = PmuConfig(pmu, IDCODE, Format(polar=True), phasors, nominal_hz=nominal)
        self._config = Configuration(FrameType.CFG2, IDCODE, time_at(begun_us), (one,), rate)
        self._codec = DataCodec(self._config)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it leaves."""
        cutter, decoder, streaming = Cutter(idcode=IDCODE), FrameDecoder(), None
        try:
            while data := await reader.read(_READ_BYTES):
                for frame in cutter.feed(data):
                    with suppress(FrameError):
                        found = decoder.decode(frame)
                        if not isinstance(found, CommandFrame):
                            continue
                        if found.code == Command.SEND_CFG2:
                            writer.write(self.configuration())
                        elif found.code == Command.DATA_ON and streaming is None:
                            streaming = asyncio.create_task(self._stream(writer))
        except OSError:
            pass
        finally:
            if streaming is not None:
                streaming.cancel()
                await asyncio.gather(streaming, return_exceptions=True)
            writer.close()

    def configuration(self) -> bytes:
        """The frame CFG-2."""
        return encode_configuration(self._config)

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        interval_us = 1_000_000 // self._rate
        while True:
            now_us = self._now_us()
            tick_us = (now_us // interval_us + 1) * interval_us
            await asyncio.sleep((tick_us - now_us) / 1e6)
            writer.write(self.frame(tick_us))
            await writer.drain()

    def frame(self, time_us: int) -> bytes:
        """The frame of a moment."""
        at_s = (time_us - self._begun_us) / 1e6
        phasors = tuple(self._grid.phasors(self._pmu, at_s))
        frequency = self._grid.frequency(at_s)
        rocof = self._grid.frequency(at_s + 0.5) - self._grid.frequency(at_s - 0.5)
        data = PmuData(Stat(0), phasors, frequency, rocof)
        return self._codec.encode(DataFrame(IDCODE, time_at(time_us), (data,)))


@asynccontextmanager
async def pmu_servers(grid: MovingGrid, ports: dict[str, int], *, begun_us: int, rate: int) -> AsyncIterator[None]:
    """PMUs on these ports while the block lasts."""
    servers = []
    try:
        for pmu, port in ports.items():
            server = PmuServer(grid, pmu, begun_us=begun_us, rate=rate)
            servers.append(await asyncio.start_server(server.serve, HOST, port))
        yield
    finally:
        for each in servers:
            each.close()
