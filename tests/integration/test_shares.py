"""What one host or one client can take from the others: nothing they notice. Attacks on real networks."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import psutil
import pytest

from gridledger import framing, jsontext
from gridledger.client.gateway import Gateway
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.transport.node_client import client_tls
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import alive
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
USUAL_LIMIT = 1024
SILENT = 1100


async def put(gateway: Gateway, key: str) -> Code:
    kv = gateway.get_network(CHANNEL).get_contract("kv")
    return (await kv.submit_with_status("put", key, 1))[1].code


@contextmanager
def many_files() -> Iterator[None]:
    """Let this test open as many connections as the system allows it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def usual_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of networks may open 1,024 files, and cannot raise that."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nulimit -n {USUAL_LIMIT}\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


async def test_silent_connections_end_no_orderer(tmp_path: Path, usual_limit: None) -> None:
    """1,100 connections that never send a TLS hello, to each of three orderers with 1,024 files."""
    with local_network(few_nodes(orderers=3), tmp_path / "network") as network, many_files(), ExitStack() as stack:
        pids = {name: network.pid(name) for name in network.profile.orderers}
        async with network.gateway("peer1") as gateway:
            assert await put(gateway, "before") is Code.VALID
            for name in pids:
                await asyncio.to_thread(_connect, network, name, stack)
            for number in range(20):
                assert await put(gateway, f"meanwhile-{number}") is Code.VALID
        # Whoever is new is heard as well, though every place is taken by those who say nothing.
        for name in pids:
            async with network.node(name) as node:
                assert (await node.get_json("/status"))["node"] == name
        assert {name: alive(pid) for name, pid in pids.items()} == dict.fromkeys(pids, True)
        assert "Too many open files" not in "".join(map(network.log, pids))


def _connect(network: LocalNetwork, name: str, stack: ExitStack) -> None:
    where = urlsplit(network.entry(name).url)
    for _ in range(SILENT):
        stack.enter_context(socket.create_connection((where.hostname, where.port), timeout=10))


# One client against all others. The bounds are small, so that it reaches them with few connections.


EDGE = {"max_requests": 64, "max_streams": 16}
LIMITS = {"max_requests": 32, "max_streams": 16}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Three orderers and a peer."""
    config = few_nodes(orderers=3, edge=EDGE, orderer_settings={"limits": LIMITS})
    with local_network(config, tmp_path_factory.mktemp("small")) as network:
        yield network


class Attacker:
    """A client of Org1 with as many connections to a node as it likes, which it writes to and need not read from."""

    def __init__(self, network: LocalNetwork, identity: SigningIdentity) -> None:
        self.network = network
        self.identity = identity
        self._tls = client_tls(identity, network.roots)
        self._writers: list[asyncio.StreamWriter] = []

    async def send(self, node: str, head: str, body: bytes = b"", *, reads: bool = True) -> asyncio.StreamReader:
        """Send a request over a connection of its own; ``body`` may be shorter than the head says."""
        where = urlsplit(self.network.entry(node).url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=self._tls, limit=4096)
        self._writers.append(writer)
        if not reads:
            cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(f"{head}\r\nhost: {where.netloc}\r\n\r\n".encode() + body)
        return reader

    async def statuses(self, readers: list[asyncio.StreamReader], refused: int) -> None:
        """Wait until so many of its requests were answered with 429, which is when the others are under way."""

        async def counted() -> bool:
            heads = [bytes(reader._buffer[:12]) for reader in readers]  # type: ignore[attr-defined]
            return heads.count(b"HTTP/1.1 429") >= refused

        await eventually(counted, within_s=20, what=f"{refused} refusals")

    async def leave(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@asynccontextmanager
async def attacker(network: LocalNetwork) -> AsyncIterator[Attacker]:
    made = Attacker(network, await network.client("Org1", "greedy"))
    try:
        yield made
    finally:
        await made.leave()


async def others_go_on(network: LocalNetwork, gateway: Gateway, count: int = 20) -> float:
    """Another client's transactions and the admins' status go on; the longest time that one of them took."""
    longest = 0.0
    for number in range(count):
        began = time.monotonic()
        assert await put(gateway, f"{time.time_ns()}-{number}") is Code.VALID
        for name in ("peer1", *network.profile.orderers):
            async with network.node(name) as node:
                assert (await node.get_json("/status", timeout_s=5))["node"] == name
        longest = max(longest, time.monotonic() - began)
    return longest


async def test_one_client_waits_for_commits_and_others_go_on(small: LocalNetwork) -> None:
    async with small.gateway("peer1") as gateway, attacker(small) as greedy:
        assert await put(gateway, "first") is Code.VALID
        path = f"/channels/{CHANNEL}/transactions/{'0' * 64}/status?wait_s=60"
        readers = [await greedy.send("peer1", f"GET {path} HTTP/1.1") for _ in range(100)]
        await greedy.statuses(readers, 100 - 56)
        assert await others_go_on(small, gateway) < 3


async def test_one_client_takes_the_leaders_requests_and_others_go_on(small: LocalNetwork) -> None:
    """By broadcasts whose bodies do not come."""
    async with small.gateway("peer1") as gateway, attacker(small) as greedy:
        head = f"POST /channels/{CHANNEL}/broadcast HTTP/1.1\r\ncontent-length: 1000000"
        for name in small.profile.orderers:
            readers = [await greedy.send(name, head, b"half") for _ in range(40)]
            if name == await small.leader(CHANNEL):
                await greedy.statuses(readers, 40 - 28)
        assert await others_go_on(small, gateway) < 3


async def test_unreadable_transactions_cost_others_little(small: LocalNetwork) -> None:
    """600 of them, at the gateway and at the leader. They held up everybody for 30 s."""
    async with small.gateway("peer1") as gateway, attacker(small) as greedy:
        assert await put(gateway, "warm") is Code.VALID
        unreadable = jsontext.dumps(
            {"proposal": "[" + "[], " * 300_000 + "0]", "result": "{}", "endorsements": "[]", "signature": ""}
        )
        broadcast = framing.pack([unreadable] * 10)
        leader = await small.leader(CHANNEL)
        for _ in range(30):
            submit = f"POST /gateway/submit HTTP/1.1\r\ncontent-length: {len(unreadable)}"
            order = f"POST /channels/{CHANNEL}/broadcast HTTP/1.1\r\ncontent-length: {len(broadcast)}"
            await greedy.send("peer1", submit, unreadable)
            await greedy.send(leader, order, broadcast)
        longest = await others_go_on(small, gateway)
        assert longest < 5
        assert await small.leader(CHANNEL) == leader


async def test_answers_that_one_client_does_not_read_are_bounded(small: LocalNetwork) -> None:
    """300 answers of 2 MB: a node held 550 MiB for such a client."""
    async with small.gateway("peer1") as gateway, attacker(small) as greedy:
        kv = gateway.get_network(CHANNEL).get_contract("kv")
        _, status = await kv.submit_with_status("put", "large", "x" * 1_000_000)
        process = psutil.Process(small.pid("peer1"))
        before, peak = process.memory_info().rss, 0
        path = f"/channels/{CHANNEL}/blocks/{status.block}?format=raw"
        for _ in range(300):
            await greedy.send("peer1", f"GET {path} HTTP/1.1", reads=False)
            peak = max(peak, process.memory_info().rss)
        for _ in range(5):
            assert await put(gateway, f"{time.time_ns()}") is Code.VALID
            peak = max(peak, process.memory_info().rss)
        assert (peak - before) / 2**20 < 300


async def test_one_client_takes_all_streams_and_raft_elects_a_leader(small: LocalNetwork) -> None:
    """On every orderer, so that the next leader must hear the others without a stream of the common ones."""
    async with small.gateway("peer1") as gateway, attacker(small) as greedy:
        for name in small.profile.orderers:
            path = f"/channels/{CHANNEL}/deliver?from=1000000"
            readers = [await greedy.send(name, f"GET {path} HTTP/1.1") for _ in range(40)]
            await greedy.statuses(readers, 40 - 16)
        leader = await small.leader(CHANNEL)
        await small.stop(leader)
        assert await put(gateway, "after the leader") is Code.VALID
        await small.start(leader)
        async with small.node(leader) as node:
            assert (await node.get_json("/status"))["node"] == leader
