"""What a chaincode in a host cannot reach: files, keys, sockets, processes, the peer and its environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gridledger.contract.hosting import landlock
from gridledger.contract.hosting.host_process import warn_of_missing_confinement
from tests.support.wild_chaincode import Pools, call, payload

pytestmark = pytest.mark.timeout(60)
needs_landlock = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


@needs_landlock
async def test_files_out_of_reach(pools: Pools, tmp_path: Path, ledger_dir: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    async with pools() as pool:
        for function, path in (
            ("read", key),
            ("read", "/etc/passwd"),
            ("read", f"/proc/{os.getpid()}/environ"),
            ("read", Path(__file__)),
            ("write", tmp_path / "new"),
            ("write", tmp_path / "package" / "contract.py"),
            ("write", ledger_dir / "c1" / "data.mdb"),
            ("write", ledger_dir / "c1" / "new"),
            ("write", "/dev/shm/new"),
        ):
            response = (await call(pool, function, str(path))).response
            assert response.status == 500, path
            assert response.message.startswith("PermissionError"), path
        assert "import ctypes" in await payload(pool, "read", str(tmp_path / "package" / "contract.py"))
    assert key.read_text() == "-----BEGIN PRIVATE KEY-----"


async def test_no_network_no_processes(pools: Pools) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server, pools() as pool:
        port = server.sockets[0].getsockname()[1]
        for function, args in (("connect", [port]), ("datagram", []), ("run", []), ("fork", [])):
            response = (await call(pool, function, *args)).response
            assert response.status == 500, function
            assert response.message.startswith("PermissionError"), function


@needs_landlock
async def test_no_signals_to_the_peer(pools: Pools) -> None:
    if landlock.abi() < 6:
        pytest.skip("Landlock scopes signals from ABI 6 on")
    async with pools() as pool:
        assert (await call(pool, "kill")).response.message.startswith("PermissionError")


async def test_the_environment_is_scrubbed_and_sets_have_one_order(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    async with pools(size=3) as pool:
        assert "SECRET_TOKEN" not in await payload(pool, "environment")
        orders = await asyncio.gather(*(payload(pool, "order") for _ in range(6)))
        assert all(order == orders[0] for order in orders)


def test_missing_confinement_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_missing_confinement("meter", {"landlock_abi": 7, "seccomp": True})
    assert caplog.text == ""
    warn_of_missing_confinement("meter", {"landlock_abi": 0, "seccomp": False})
    assert "meter RUNS WITHOUT LANDLOCK" in caplog.text
    assert "meter RUNS WITHOUT SECCOMP" in caplog.text
