"""What one host or one client can take from the others: nothing they notice. Attacks on real networks."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gridledger.client.gateway import Gateway
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import alive

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
