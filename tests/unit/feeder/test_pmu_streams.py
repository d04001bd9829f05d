"""Streams of PMUs over sockets: commands, data by TCP and UDP, new configurations, garbage, ends and bounds."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from random import Random

import pytest

from gridledger.field.c37118 import (
    Command,
    CommandFrame,
    Configuration,
    DataCodec,
    DataFrame,
    Frame,
    FrameDecoder,
    FrameTime,
    HeaderFrame,
    PhasorChannel,
    PmuData,
    Stat,
    encode_command,
    encode_configuration,
    time_at,
)
from gridledger.field.cutter import Cutter
from services.feeder.pmu.channels import configuration_of, pmus_of
from services.feeder.pmu.client import KEEP_US, PmuClient, Source
from services.feeder.pmu.server import (
    MAX_CLIENTS,
    MAX_OF_ADDRESS,
    MAX_WAITING_BYTES,
    RECEIVER_S,
    SILENT_S,
    PmuServer,
    Transport,
)
from tests.support.solved_grid import planner
from tests.support.waiting import until

NOW = 1_700_000_000_000_000
PMUS = pmus_of(planner("corrected").case)[:2]
CONFIG = configuration_of(PMUS, 7, 50)


def data(word: int = 0, fraction: int = 0) -> DataFrame:
    """A data frame of the stream."""
    pmus = tuple(PmuData(Stat(word), (1 + 1j,) * len(pmu.channels), 60.0, 0.0) for pmu in PMUS)
    return DataFrame(7, FrameTime(1_700_000_000, fraction), pmus)


def free_udp_port() -> int:
    """A port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def command(code: int, idcode: int = 7) -> bytes:
    """A command's bytes."""
    return encode_command(CommandFrame(idcode, time_at(NOW), code))


@asynccontextmanager
async def served(
    transport: Transport = "tcp", data_port: int = 4713, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[PmuServer]:
    """A server of the stream."""
    server = PmuServer(
        CONFIG, now_us=lambda: NOW, transport=transport, header="bus 1 and 2", data_port=data_port, clock=clock
    )
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def reading(source: Source, answer_s: float = 5.0) -> AsyncIterator[tuple[PmuClient, list[DataFrame]]]:
    """A client of a stream, and what it got."""
    got: list[DataFrame] = []
    client = PmuClient(
        source, lambda _config, frame: got.append(frame), now_us=lambda: NOW, random=Random(1), answer_s=answer_s
    )
    task = asyncio.create_task(client.run())
    try:
        yield client, got
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("transport", ["tcp", "udp", "tcp+udp"])
async def test_data_come_by_every_transport(transport: Transport) -> None:
    port = free_udp_port()
    async with served(transport, port) as server:
        source = Source("north", 7, *server.address, transport, port)
        async with reading(source) as (client, got):
            await until(lambda: server.receiving)
            sent = [data(fraction=number) for number in range(5)]
            for frame in sent:
                server.publish(frame)
            await until(lambda: len(got) == len(sent))
            assert got == sent
            assert client.counts["configurations"] == 1
            assert client.counts["refused"] == 0
        await until(lambda: not server.receiving)


async def test_a_server_answers_each_command_and_ignores_other_streams() -> None:
    async with served() as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(command(Command.SEND_CFG2, idcode=8) + b"garbage")
        codes = (Command.SEND_CFG1, Command.SEND_CFG2, Command.SEND_CFG3, Command.SEND_HEADER, 0x0FFF)
        writer.write(b"".join(map(command, codes)))
        cutter, decoder = Cutter(), FrameDecoder()
        found: list[Frame] = []
        while len(found) < 4:
            found += [decoder.decode(frame) for frame in cutter.feed(await reader.read(65_536))]
        kinds = [frame.kind.name for frame in found if isinstance(frame, Configuration)]
        assert kinds == ["CFG1", "CFG2", "CFG3"]
        assert isinstance(found[3], HeaderFrame)
        assert found[3].text == "bus 1 and 2"
        writer.close()


async def test_an_announced_change_brings_the_new_configuration() -> None:
    async with served() as server, reading(Source("north", 7, *server.address)) as (client, got):
        await until(lambda: server.receiving)
        server.publish(data())
        await until(lambda: len(got) == 1)
        server.publish(data(word=0x0400))
        await until(lambda: client.counts["configurations"] == 2)
        one, two = CONFIG.pmus
        wider = replace(CONFIG, pmus=(one, replace(two, phasors=(*two.phasors, PhasorChannel("NEW")), change_count=1)))
        server.reconfigure(wider)
        last = data().pmus[1]
        changed = replace(data(), pmus=(data().pmus[0], replace(last, phasors=(*last.phasors, 5 + 5j))))
        server.publish(replace(changed, pmus=tuple(replace(pmu, stat=Stat(0x0400)) for pmu in changed.pmus)))
        await until(lambda: client.counts["refused"] == 1)
        await until(lambda: client.counts["configurations"] == 3)
        server.publish(changed)
        await until(lambda: len(got) == 3)
        assert got[-1].pmus[1].phasors[-1] == 5 + 5j
        assert client.counts["reconnects"] == 0


async def test_a_client_connects_again_and_skips_garbage() -> None:
    async with served() as server, reading(Source("north", 7, *server.address), answer_s=0.5) as (client, got):
        await until(lambda: server.receiving)
        for writer in tuple(server._writers):
            writer.write(b"\xaa\x01\x00\x20garbage")
        server.publish(data())
        await until(lambda: len(got) == 1)
        assert client.counts["dropped_bytes"] == 11
        for writer in tuple(server._writers):
            writer.close()
        await until(lambda: client.counts["reconnects"] >= 1 and server.receiving)
        server.publish(data(fraction=1))
        await until(lambda: len(got) == 2)


async def test_a_stream_that_falls_silent_is_connected_anew() -> None:
    async with served() as server, reading(Source("north", 7, *server.address), answer_s=0.1) as (client, _):
        await until(lambda: client.counts["reconnects"] >= 2)


async def connected(server: PmuServer, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from one of the loopback's addresses."""
    return await asyncio.open_connection(*server.address, local_addr=(host, 0))


async def test_an_address_has_its_share_of_places_and_no_more() -> None:
    async with served() as server:
        opened = [await connected(server) for _ in range(MAX_OF_ADDRESS)]
        await until(lambda: len(server._clients) == MAX_OF_ADDRESS)
        opened.append(await connected(server))
        assert await opened[-1][0].read() == b""
        opened += [
            await connected(server, f"127.0.0.{2 + number // MAX_OF_ADDRESS}")
            for number in range(MAX_CLIENTS - MAX_OF_ADDRESS)
        ]
        await until(lambda: len(server._clients) == MAX_CLIENTS)
        opened.append(await connected(server, "127.0.0.99"))
        assert await opened[-1][0].read() == b""
        assert server.refused_clients == 2
        for _, writer in opened:
            writer.close()


async def test_silent_clients_give_their_places_to_others() -> None:
    now = 0.0
    async with served(clock=lambda: now) as server:
        silent = [await connected(server) for _ in range(MAX_OF_ADDRESS - 1)]
        _, receiving = await connected(server)
        receiving.write(command(Command.DATA_ON))
        await until(lambda: server.receiving == 1 and len(server._clients) == MAX_OF_ADDRESS)
        now = SILENT_S - 1
        silent[0][1].write(command(Command.SEND_CFG2))
        assert await silent[0][0].read(1)
        now = SILENT_S + 1
        reader, writer = await connected(server)
        writer.write(command(Command.SEND_CFG2))
        assert await reader.read(1)
        for one, _ in silent[1:]:
            with suppress(ConnectionResetError):
                assert await one.read() == b""
        assert server.expired == MAX_OF_ADDRESS - 2
        assert server.receiving == 1
        for mine in (silent[0][1], receiving, writer):
            mine.close()


def udp_socket(host: str = "127.0.0.1") -> socket.socket:
    """A socket of one of the loopback's addresses."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((host, 0))
    opened.setblocking(False)
    return opened


async def test_receivers_by_udp_are_forgotten_unless_they_send_commands() -> None:
    now = 0.0
    loop = asyncio.get_running_loop()
    async with served("udp", clock=lambda: now) as server:
        with udp_socket() as silent, udp_socket() as kept:
            for one in (silent, kept):
                one.sendto(command(Command.DATA_ON), server.address)
            await until(lambda: server.receiving == 2)
            now = RECEIVER_S - 1
            kept.sendto(command(Command.SEND_HEADER), server.address)
            await loop.sock_recv(kept, 1000)
            now = RECEIVER_S + 1
            server.publish(data())
            assert await loop.sock_recv(kept, 1000)
            assert server.receiving == 1
            assert server.expired == 1
            with pytest.raises(BlockingIOError):
                silent.recv(1000)


async def test_receivers_by_udp_of_one_address_have_its_share() -> None:
    async with served("udp") as server, AsyncExitStack() as stack:
        for _ in range(MAX_OF_ADDRESS + 1):
            stack.enter_context(udp_socket()).sendto(command(Command.DATA_ON), server.address)
        stack.enter_context(udp_socket("127.0.0.2")).sendto(command(Command.DATA_ON), server.address)
        await until(lambda: server.receiving == MAX_OF_ADDRESS + 1)
        assert server.refused_clients == 1


async def test_a_client_by_udp_says_data_on_again() -> None:
    now_us = NOW
    got: list[DataFrame] = []
    async with served("udp") as server:
        client = PmuClient(
            Source("north", 7, *server.address, "udp"),
            lambda _config, frame: got.append(frame),
            now_us=lambda: now_us,
            random=Random(1),
        )
        task = asyncio.create_task(client.run())
        await until(lambda: server.receiving)
        heard = dict(server._receivers)
        server.publish(data())
        await until(lambda: len(got) == 1)
        assert server._receivers == heard
        now_us += KEEP_US
        server.publish(data(fraction=1))
        await until(lambda: server._receivers != heard)
        assert server._receivers.keys() == heard.keys()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("transport", ["udp", "tcp+udp"])
async def test_datagrams_of_strangers_are_not_taken(transport: Transport) -> None:
    """By UDP from the PMU's address and port only; by TCP and UDP from its address, whatever the port."""
    port = free_udp_port()
    forged = DataCodec(CONFIG).encode(data(fraction=666))
    async with (
        served(transport, port) as server,
        reading(Source("north", 7, *server.address, transport, port)) as (client, got),
    ):
        await until(lambda: server.receiving)
        (receiver,) = server._receivers or {("127.0.0.1", port): 0.0}
        with udp_socket("127.0.0.1" if transport == "udp" else "127.0.0.2") as stranger:
            for _ in range(3):
                stranger.sendto(forged, receiver)
        server.publish(data(fraction=1))
        await until(lambda: got)
        assert got == [data(fraction=1)]
        assert client.counts["refused"] == 0


async def test_frames_longer_than_the_stream_sends_hold_nothing_up() -> None:
    """A chance SYNC in garbage names a size for which nobody waits once the configuration is known."""
    async with served() as server, reading(Source("north", 7, *server.address)) as (client, got):
        await until(lambda: server.receiving)
        assert client._cutter._largest == max(CONFIG.data_size, len(encode_configuration(CONFIG)))
        (writer,) = server._writers
        writer.write(b"\xaa\x01\xff\xff\x00\x07")
        server.publish(data())
        await until(lambda: len(got) == 1)
        assert client.counts["reconnects"] == 0


async def test_a_larger_configuration_that_nobody_announced_is_read() -> None:
    one, two = CONFIG.pmus
    channels = tuple(PhasorChannel(f"NEW {number}") for number in range(100))
    wider = replace(CONFIG, pmus=(one, replace(two, phasors=(*two.phasors, *channels))))
    last = data().pmus[1]
    changed = replace(data(), pmus=(data().pmus[0], replace(last, phasors=(*last.phasors, *(5 + 5j,) * 100))))
    async with served() as server, reading(Source("north", 7, *server.address), answer_s=0.5) as (client, got):
        await until(lambda: server.receiving)
        server.reconfigure(wider)

        def published() -> bool:
            server.publish(changed)
            return bool(got)

        await until(published)
        assert got[0] == changed
        assert client.counts["reconnects"] >= 1


async def test_bytes_that_are_no_data_keep_no_connection() -> None:
    async with served() as server, reading(Source("north", 7, *server.address), answer_s=0.3) as (client, _):
        await until(lambda: server.receiving)

        def trickle() -> bool:
            for writer in server._writers:
                writer.write(b"garbage")
            return client.counts["reconnects"] >= 1

        await until(trickle)


async def test_a_client_that_takes_nothing_loses_frames() -> None:
    async with served() as server:
        _, writer = await asyncio.open_connection(*server.address, limit=1)
        writer.write(command(Command.DATA_ON))
        await until(lambda: server.receiving)
        (slow,) = server._writers
        slow.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        for _ in range(40_000):
            server.publish(data())
            if server.dropped_frames:
                break
        assert server.dropped_frames
        assert slow.transport.get_write_buffer_size() < MAX_WAITING_BYTES + 1000
        writer.transport.abort()


async def test_a_server_stops_while_a_client_takes_nothing() -> None:
    server = PmuServer(CONFIG, now_us=lambda: NOW)
    await server.start("127.0.0.1", 0)
    _reader, writer = await asyncio.open_connection(*server.address, limit=64)
    try:
        writer.write(command(Command.DATA_ON))
        await until(lambda: server.receiving == 1)
        while not server.dropped_frames:
            server.publish(data())
        async with asyncio.timeout(10):
            await server.stop()
        await until(lambda: server.receiving == 0)
    finally:
        writer.close()
