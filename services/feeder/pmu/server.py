"""A PMU's side of C37.118: one stream, over TCP, UDP, or TCP for commands with UDP for data.

A client is sent data from the command "data on" until "data off" or its end. Bounds: clients, in all and of one
address, what a client sends at once, and what waits to be sent to a slow one, whose frames are dropped and counted
beyond it. A TCP client without data that sends no command for a while is ended. Who receives by UDP has no connection
that could end, and need not be who asked: it is forgotten unless it sends a command now and then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from gridledger.field.c37118 import (
    Command,
    Configuration,
    DataCodec,
    DataFrame,
    FrameError,
    FrameTime,
    FrameType,
    HeaderFrame,
    decode_command,
    encode_cfg3,
    encode_configuration,
    encode_header,
    read_head,
    time_at,
)
from gridledger.field.cutter import Cutter

Transport = Literal["tcp", "udp", "tcp+udp"]

MAX_CLIENTS = 32
MAX_OF_ADDRESS = 8
"""Clients of one address, TCP and UDP each."""
SILENT_S = 30.0
"""How long a TCP client without data may send no command."""
RECEIVER_S = 300.0
"""How long a receiver by UDP may send no command; three intervals of a stream where those are longer."""
MAX_COMMAND_BYTES = 4096
MAX_WAITING_BYTES = 1024 * 1024
DEFAULT_DATA_PORT = 4713
_READ_BYTES = 4096
_Address = tuple[str, int]


class PmuServer:
    """Serves one stream. ``now_us`` dates configurations and headers; data frames bring their time.

    ``clock``: seconds by which silence is measured.
    """

    def __init__(
        self,
        config: Configuration,
        *,
        now_us: Callable[[], int],
        transport: Transport = "tcp",
        header: str = "",
        data_port: int = DEFAULT_DATA_PORT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address: _Address = ("", 0)
        self.dropped_frames = 0
        """Data frames that were not sent to a client which did not take those before."""
        self.refused_commands = 0
        self.refused_clients = 0
        """Connections, and receivers by UDP, for which there was no place."""
        self.expired = 0
        """Clients that were ended, and receivers that were forgotten, for their silence."""
        self.has_receiver = asyncio.Event()
        """Set once somebody has asked for data."""
        self._now_us = now_us
        self._transport: Transport = transport
        self._header = header
        self._data_port = data_port
        self._codec = DataCodec(config)
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._clock = clock
        self._clients: dict[asyncio.StreamWriter, float] = {}  # and when each came, or sent its last command
        self._writers: set[asyncio.StreamWriter] = set()
        self._receivers: dict[_Address, float] = {}  # by UDP alone; and when each sent its last command

    @property
    def config(self) -> Configuration:
        """What the stream sends."""
        return self._codec.config

    @property
    def receiving(self) -> int:
        """To how many data are sent now."""
        return len(self._writers) + len(self._receivers)

    def reconfigure(self, config: Configuration) -> None:
        """Send data by another configuration from now on. The caller has announced it by bit 10 of STAT before."""
        self._codec = DataCodec(config)

    async def start(self, host: str, port: int) -> None:
        """Listen. OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        if self._transport != "udp":
            self._tcp = await asyncio.start_server(self._serve, host, port, limit=_READ_BYTES)
            self.address = self._tcp.sockets[0].getsockname()[:2]
        if self._transport != "tcp":
            local = (host, port) if self._transport == "udp" else (host, 0)
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Commands(self._take_datagram), local_addr=local)
            if self._transport == "udp":
                self.address = self._udp.get_extra_info("sockname")[:2]

    async def stop(self) -> None:
        """End all connections. A client that does not take what waits for it is cut off: it may never take it."""
        if self._tcp is not None:
            self._tcp.close()
        for writer in tuple(self._clients):
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            else:
                writer.close()
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            await self._tcp.wait_closed()

    def publish(self, data: DataFrame) -> None:
        """Send a data frame to all who want data."""
        frame = self._codec.encode(data)
        self._expire()
        if self._transport == "tcp+udp" and self._udp is not None:
            for address in {self._udp_address(writer) for writer in self._writers}:
                self._udp.sendto(frame, address)
            return
        for writer in self._writers:
            if writer.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
                self.dropped_frames += 1
            else:
                writer.write(frame)
        if self._udp is not None:
            for address in self._receivers:
                self._udp.sendto(frame, address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._expire()
        if not self._has_place(_peer(writer), map(_peer, self._clients)):
            writer.close()
            return
        self._clients[writer] = self._clock()
        cutter = Cutter(idcode=self.config.idcode, largest=MAX_COMMAND_BYTES)
        try:
            while data := await reader.read(_READ_BYTES):
                for frame in cutter.feed(data):
                    self._take_command(frame, writer)
        except OSError:
            pass  # the client is gone
        finally:
            self._clients.pop(writer, None)
            self._writers.discard(writer)
            writer.close()

    def _has_place(self, address: _Address | None, others: Iterable[_Address | None]) -> bool:
        """Whether one more may come from an address beside the others; it is counted where not."""
        hosts = [other[0] for other in others if other is not None]
        has = address is not None and len(hosts) < MAX_CLIENTS and hosts.count(address[0]) < MAX_OF_ADDRESS
        self.refused_clients += not has
        return has

    def _expire(self) -> None:
        """End who has been silent for too long."""
        now = self._clock()
        for writer, heard in tuple(self._clients.items()):
            if writer not in self._writers and now - heard > SILENT_S:
                del self._clients[writer]
                writer.transport.abort()
                self.expired += 1
        patience = max(RECEIVER_S, 3.0 * self.config.interval_s)
        for address, heard in tuple(self._receivers.items()):
            if now - heard > patience:
                del self._receivers[address]
                self.expired += 1

    def _take_command(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        command = self._command_in(frame)
        if command is None or writer not in self._clients:
            return
        self._clients[writer] = self._clock()
        match command:
            case Command.DATA_ON:
                self._writers.add(writer)
                self.has_receiver.set()
            case Command.DATA_OFF:
                self._writers.discard(writer)
            case _:
                if writer.transport.get_write_buffer_size() <= MAX_WAITING_BYTES:
                    writer.writelines(self._answers(command))

    def _take_datagram(self, frame: bytes, address: _Address) -> None:
        if self._transport != "udp" or self._udp is None:
            return
        command = self._command_in(frame)
        if command is None:
            return
        self._expire()
        if address in self._receivers:
            self._receivers[address] = self._clock()
        match command:
            case Command.DATA_ON:
                if address in self._receivers or self._has_place(address, self._receivers):
                    self._receivers[address] = self._clock()
                    self.has_receiver.set()
            case Command.DATA_OFF:
                self._receivers.pop(address, None)
            case _:
                for answer in self._answers(command):
                    self._udp.sendto(answer, address)

    def _command_in(self, frame: bytes) -> int | None:
        """The code of a command that is for this stream."""
        with suppress(FrameError):
            if len(frame) <= MAX_COMMAND_BYTES and read_head(frame).idcode == self.config.idcode:
                return decode_command(frame).code
        self.refused_commands += 1
        return None

    def _answers(self, command: int) -> list[bytes]:
        config = replace(self.config, time=self._time())
        match command:
            case Command.SEND_CFG1:
                return [encode_configuration(replace(config, kind=FrameType.CFG1))]
            case Command.SEND_CFG2:
                return [encode_configuration(config)]
            case Command.SEND_CFG3:
                return encode_cfg3(replace(config, kind=FrameType.CFG3, version=2))
            case Command.SEND_HEADER:
                return [encode_header(HeaderFrame(config.idcode, config.time, self._header))]
        return []

    def _time(self) -> FrameTime:
        return time_at(self._now_us(), self.config.time_base)

    def _udp_address(self, writer: asyncio.StreamWriter) -> _Address:
        return (writer.get_extra_info("peername")[0], self._data_port)


def _peer(writer: asyncio.StreamWriter) -> _Address | None:
    """The address of a client; None of one that has gone already."""
    found: _Address | None = writer.get_extra_info("peername")
    return found


class _Commands(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, _Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A frame is one datagram."""
        self._take(data, addr)
