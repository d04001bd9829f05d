"""The table of connections: who gives way to whom, and how many there are."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import ssl

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.errors import SettingsError
from gridledger.web import Limits, acceptor, descriptors
from gridledger.web.connections import Connection, Connections
from tests.support.waiting import until


class Opened:
    """Connections to a table, and which of them were ended."""

    def __init__(self, most: int) -> None:
        self.table = Connections(most)
        self.ended: list[Connection] = []

    def open(self, address: str, *, caller: str = "", serving: bool = False) -> Connection | None:
        connection = Connection(address, lambda: self.ended.append(connection))
        if not self.table.add(connection):
            return None
        if caller:
            self.table.identify(connection, caller)
        connection.serving = serving
        return connection


def test_a_newcomer_takes_the_oldest_place_of_who_holds_most():
    opened = Opened(4)
    few = opened.open("10.0.0.1")
    many = [opened.open("10.0.0.2") for _ in range(3)]
    assert opened.open("10.0.0.3") is not None
    assert opened.ended == many[:1]
    assert few not in opened.ended
    assert len(opened.table) == 4


def test_a_request_being_served_is_not_cut_off():
    opened = Opened(3)
    opened.open("10.0.0.1", caller="alice", serving=True)
    opened.open("10.0.0.1", caller="bob", serving=True)
    idle = opened.open("10.0.0.1", caller="bob")
    assert opened.open("10.0.0.1", caller="carol", serving=True) is not None
    assert opened.ended == [idle]
    assert opened.open("10.0.0.1") is None
    assert opened.ended == [idle]


def test_a_caller_with_more_than_its_part_gives_way_though_all_are_busy():
    opened = Opened(8)
    busy = [opened.open("10.0.0.1", caller="greedy", serving=True) for _ in range(8)]
    for caller in ("alice", "bob"):
        assert opened.open("10.0.0.2", caller=caller, serving=True) is not None
    assert opened.ended == busy[:-3:-1]
    assert opened.open("10.0.0.1", caller="greedy") is not None
    assert opened.ended[-1] is busy[5]


def test_a_half_sent_request_of_nobody_keeps_no_place():
    opened = Opened(1)
    first = opened.open("10.0.0.1", serving=True)
    assert opened.open("10.0.0.2") is not None
    assert opened.ended == [first]


def test_a_caller_is_counted_over_all_its_addresses():
    opened = Opened(4)
    of_alice = [opened.open(f"10.0.1.{n}", caller="alice") for n in range(3)]
    opened.open("10.0.0.9", caller="bob")
    opened.open("10.0.0.9")
    assert opened.ended == of_alice[:1]


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(("", "alice", "bob")), st.booleans(), st.booleans()), max_size=60
)


@settings(deadline=None)
@given(st.integers(1, 8), STEPS)
def test_the_table_never_holds_more_and_forgets_nothing(most, steps):
    opened = Opened(most)
    alive: list[Connection] = []
    for address, caller, serving, closes in steps:
        if closes and alive:
            opened.table.remove(alive.pop(0))
        made = opened.open(address, caller=caller, serving=serving)
        if made is not None:
            alive.append(made)
        alive = [item for item in alive if item not in opened.ended]
        assert len(opened.table) == len(alive) <= most
    for item in alive + opened.ended:
        opened.table.remove(item)
    assert len(opened.table) == 0


def test_connections_leave_descriptors_for_files(monkeypatch):
    monkeypatch.setattr(descriptors, "_open_now", lambda: 30)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert 512 < descriptors.connections_within(2048) <= 1024 - descriptors.KEPT
    assert descriptors.connections_within(100) == 100
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with pytest.raises(SettingsError, match="raise it"):
        descriptors.connections_within(2048)


async def test_a_silent_connection_is_dropped_after_its_time(start, monkeypatch):
    monkeypatch.setattr(acceptor, "HANDSHAKE_S", 0.2)
    async with start() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_silent_connections_keep_nobody_out(house, start):
    async with start(Limits(max_connections=8)) as running:
        silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(40)]
        async with running.client(house.org.issue("alice", "client")) as client:
            assert (await client.get("/metrics")).status_code == 200
        for item in silent:
            item.close()


async def test_connections_that_are_ended_are_closed_at_once(start):
    """Also those that are ended before their handshake has begun: 40 come in one turn of the loop."""

    def all_closed() -> bool:
        return all(item.status in ("LISTEN", "NONE") for item in psutil.Process().net_connections("tcp"))

    gc.disable()  # which would close what is forgotten, some time
    try:
        async with start(Limits(max_connections=8)) as running:
            silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(40)]
            for item in silent:
                item.close()
            await until(all_closed)
    finally:
        gc.enable()


async def test_a_lack_of_descriptors_ends_nothing(house, start, caplog):
    async with start() as running:
        opened = socket.create_connection(("127.0.0.1", running.port))
        opened.setblocking(False)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
        try:
            await until(lambda: "cannot accept a connection" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        context = house.client_context(house.org.issue("alice", "client"))
        _, writer = await asyncio.open_connection(sock=opened, ssl=context, server_hostname="localhost")
        writer.close()


async def test_who_speaks_no_tls_is_dropped(start):
    async with start() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 3)
        with_answer = await asyncio.wait_for(reader.read(), 5)
        assert not with_answer.startswith(b"HTTP")
        writer.close()
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.open_connection("127.0.0.1", running.port, ssl=ssl.create_default_context())
