"""Nodes that are far from one another."""

from __future__ import annotations

import asyncio
import random
import time

from benchmarks.relay.delays import BESIDE, Delay, beside, delaying_proxy, moved_aside
from benchmarks.relay.substations import substation


def test_nodes_listen_beside_the_ports_that_the_network_names():
    config = substation(1)
    aside = moved_aside(config)
    assert [node.port for node in aside.peers] == [node.port for node in config.peers]
    assert [node.settings["port"] for node in (*aside.peers, *aside.orderers)] == [
        node.port + BESIDE for node in (*config.peers, *config.orderers)
    ]


def test_a_server_reaches_its_own_peer_only_without_delay():
    profile = {"peers": {"a": {"url": "https://127.0.0.1:7151"}, "b": {"url": "https://127.0.0.1:7152"}}, "name": "x"}
    assert beside(profile, {"a"}) == {
        "peers": {"a": {"url": "https://127.0.0.1:7651"}, "b": {"url": "https://127.0.0.1:7152"}},
        "name": "x",
    }


def test_delays_are_drawn_around_their_middle():
    generator = random.Random(1)
    drawn = [2000 * Delay(100, 20).one_way_s(generator) for _ in range(1000)]
    assert 80 <= min(drawn) < 85
    assert 115 < max(drawn) <= 120
    assert abs(sum(drawn) / 1000 - 100) < 2


async def test_a_proxy_hands_on_all_bytes_in_order_and_later():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()[1]
    data = random.Random(1).randbytes(1_000_000)
    async with server, delaying_proxy(0, target, Delay(60, 40), random.Random(2)) as port:
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == data
        assert time.monotonic() - begun >= 0.02
        writer.close()
