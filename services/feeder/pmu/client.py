"""A PDC's side of C37.118: reads one stream, connection after connection.

A client sends data off, asks for CFG-2, then sends data on. It asks for CFG-2 again when a STAT announces a change, and
once more when the change is effective. Real devices need not answer a request for a header, so none is sent. By UDP it
says data on again and again: a PMU cannot see whether its receiver is still there.

What is not the PMU's is dropped: datagrams from other addresses, and frames longer than any that its stream can send.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

from gridledger.backoff import Backoff
from gridledger.field.c37118 import (
    MAX_FRAME,
    Command,
    CommandFrame,
    Configuration,
    DataFrame,
    FrameDecoder,
    FrameError,
    encode_command,
    time_at,
)
from gridledger.field.cutter import Cutter
from services.feeder.pmu.server import DEFAULT_DATA_PORT, Transport

ANSWER_S: Final = 5.0
"""How long a configuration may take, and how long data may fail to come, before the client connects anew."""
KEEP_US: Final = 60_000_000
"""How often data on is said again by UDP; servers forget a receiver after some multiple of this."""
_ASK_AGAIN_US: Final = 1_000_000
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_READ_BYTES: Final = 65_536
_MAX_DATAGRAMS: Final = 4096

OnData = Callable[[Configuration, DataFrame], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A stream and where it is. ``data_port``: of ours, to which data come where commands go by TCP and data by UDP."""

    name: str
    idcode: int
    host: str
    port: int
    transport: Transport = "tcp"
    data_port: int = DEFAULT_DATA_PORT
    largest_frame: int = MAX_FRAME


class PmuClient:
    """Reads ``source`` until it is cancelled.

    ``counts``: frames, refused, reconnects, configurations, dropped_bytes, and foreign: datagrams from elsewhere.
    """

    def __init__(
        self,
        source: Source,
        on_data: OnData,
        *,
        now_us: Callable[[], int],
        random: Random,
        tell: Callable[[str], None] = lambda _line: None,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._source = source
        self._on_data = on_data
        self._now_us = now_us
        self._tell = tell
        self._answer_s = answer_s
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, random)
        self._decoder = FrameDecoder()
        self._cutter = self._new_cutter()
        self._announced = False
        self._awaits_config = True
        self._config_bytes = 0
        self._asked_us: int | None = None
        self._kept_us = 0
        self._send: Callable[[bytes], None] = lambda _data: None

    async def run(self) -> None:
        """Read, and connect again whenever that ends."""
        while True:
            try:
                await (self._by_udp() if self._source.transport == "udp" else self._by_tcp())
            except (OSError, TimeoutError) as error:
                self._tell(f"PMU {self._source.name}: {error or 'no answer in time'}")
            self.counts["reconnects"] += 1
            await asyncio.sleep(self._backoff.failed())

    async def _by_tcp(self) -> None:
        source = self._source
        async with asyncio.timeout(self._answer_s):
            reader, writer = await asyncio.open_connection(source.host, source.port)
        datagrams: _Datagrams | None = None
        try:
            if source.transport == "tcp+udp":
                device = writer.get_extra_info("peername")[0]
                datagrams = await _listening(self._local(device), source.data_port, only=device)
            self._begin(writer.write)
            async with asyncio.timeout(self._answer_s):
                while source.idcode not in self._decoder.codecs:
                    self._take(await _some(reader))
            self._command(Command.DATA_ON)
            while True:
                async with self._until_a_frame() as is_there:
                    while not is_there():
                        if datagrams is None:
                            self._take(await _some(reader))
                        else:
                            await self._either(reader, datagrams)
        finally:
            writer.close()
            if datagrams is not None:
                self.counts["foreign"] += datagrams.foreign
                datagrams.close()

    async def _either(self, reader: asyncio.StreamReader, datagrams: _Datagrams) -> None:
        """Take data that came by UDP, or an answer that came by TCP."""
        tasks = [asyncio.create_task(datagrams.get()), asyncio.create_task(_some(reader))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task is tasks[0]:
                    self._take_frame(task.result())
                else:
                    self._take(task.result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _by_udp(self) -> None:
        source = self._source
        datagrams = await _joined((source.host, source.port))
        try:
            self._begin(datagrams.send)
            async with asyncio.timeout(self._answer_s):
                while source.idcode not in self._decoder.codecs:
                    self._take_frame(await datagrams.get())
            self._command(Command.DATA_ON)
            self._kept_us = self._now_us()
            while True:
                async with self._until_a_frame() as is_there:
                    while not is_there():
                        self._take_frame(await datagrams.get())
                        self._keep()
        finally:
            self._command(Command.DATA_OFF)
            datagrams.close()

    @asynccontextmanager
    async def _until_a_frame(self) -> AsyncIterator[Callable[[], bool]]:
        """TimeoutError where no frame of data comes for too long, whatever else comes. Yields whether one is there."""
        taken = self.counts["frames"]
        async with asyncio.timeout(self._silence_s()):
            yield lambda: self.counts["frames"] != taken

    def _keep(self) -> None:
        """Say data on once more, now and then."""
        now_us = self._now_us()
        if not 0 <= now_us - self._kept_us < KEEP_US:
            self._kept_us = now_us
            self._command(Command.DATA_ON)

    def _begin(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._cutter, self._decoder, self._announced = self._new_cutter(), FrameDecoder(), False
        self._command(Command.DATA_OFF)
        self._ask()

    def _ask(self) -> None:
        """Ask for the configuration, which may be longer than any before."""
        self._command(Command.SEND_CFG2)
        self._awaits_config = True
        self._bound_frames()

    def _bound_frames(self) -> None:
        """Bound frames to the longest that the stream sends, lest the cutter wait long for what no frame is.

        While a configuration is to come, or a change is announced, frames may be as long as the source's.
        """
        codec = self._decoder.codecs.get(self._source.idcode)
        if codec is None or self._awaits_config or self._announced:
            self._cutter.bound(self._source.largest_frame)
        else:
            self._cutter.bound(max(codec.size, self._config_bytes))

    def _new_cutter(self) -> Cutter:
        return Cutter(idcode=self._source.idcode, largest=self._source.largest_frame)

    def _silence_s(self) -> float:
        """How long no frame may come: longer where the stream has seconds between frames."""
        slowest = max((codec.config.interval_s for codec in self._decoder.codecs.values()), default=0.0)
        return max(self._answer_s, 3.0 * slowest)

    def _command(self, code: Command) -> None:
        self._send(encode_command(CommandFrame(self._source.idcode, time_at(self._now_us()), code)))

    def _take(self, data: bytes) -> None:
        dropped = self._cutter.dropped_bytes
        frames = self._cutter.feed(data)
        self.counts["dropped_bytes"] += self._cutter.dropped_bytes - dropped
        for frame in frames:
            self._take_frame(frame)

    def _take_frame(self, frame: bytes) -> None:
        try:
            found = self._decoder.decode(frame)
        except FrameError as error:
            self.counts["refused"] += 1
            if error.details.get("field") == "size":
                self._ask_again()
            return
        if found.idcode != self._source.idcode:
            self.counts["refused"] += 1
        elif isinstance(found, DataFrame):
            self._backoff.succeeded()
            self.counts["frames"] += 1
            self._follow_changes(found)
            self._on_data(self._decoder.codecs[found.idcode].config, found)
        elif isinstance(found, Configuration):
            self.counts["configurations"] += 1
            self._config_bytes = len(frame)
            self._awaits_config = False
            self._bound_frames()

    def _ask_again(self) -> None:
        """Data do not fit the configuration: it has changed. Ask for it, but not for each frame."""
        now_us = self._now_us()
        if self._asked_us is None or not 0 <= now_us - self._asked_us < _ASK_AGAIN_US:
            self._asked_us = now_us
            self._ask()

    def _follow_changes(self, data: DataFrame) -> None:
        announced = any(pmu.stat.config_changes for pmu in data.pmus)
        if announced != self._announced:
            self._announced = announced
            self._ask()

    @staticmethod
    def _local(device: str) -> str:
        return "::" if ":" in device else "0.0.0.0"  # noqa: S104 - data come from the device to any address of ours


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(_READ_BYTES)
    if not data:
        raise ConnectionResetError("it ended the connection")
    return data


class _Datagrams(asyncio.DatagramProtocol):
    """A bounded queue of what comes; beyond it the newest is dropped. ``only``: the address from which it is taken.

    From which port data come by UDP the protocol leaves open where commands go by TCP.
    """

    def __init__(self, only: str | None) -> None:
        self.foreign = 0
        """Datagrams from other addresses."""
        self._only = only
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_MAX_DATAGRAMS)
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A frame is one datagram."""
        if self._only is not None and addr[0] != self._only:
            self.foreign += 1
        elif not self._queue.full():
            self._queue.put_nowait(data)

    async def get(self) -> bytes:
        return await self._queue.get()

    def send(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


async def _listening(host: str, port: int, *, only: str) -> _Datagrams:
    """A socket of ours, from which what comes from another address than ``only`` is dropped."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Datagrams(only), local_addr=(host, port))
    protocol.transport = transport
    return protocol


async def _joined(remote: tuple[str, int]) -> _Datagrams:
    """A socket that is connected to ``remote``: the system drops what comes from another address or port."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Datagrams(None), remote_addr=remote)
    protocol.transport = transport
    return protocol
