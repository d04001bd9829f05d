"""Hosts and their pool: real processes that answer, hang, die, eat memory, and reach for what is not theirs."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest

from gridledger.contract.hosting.call_queue import ChaincodeBusy
from gridledger.contract.hosting.host_process import (
    ChaincodeCrashed,
    ChaincodeTimeout,
    ChaincodeUnavailable,
    HostProcess,
    HostSettings,
)
from gridledger.contract.hosting.pool import HostPool
from gridledger.contract.loader import ChaincodeLoadError
from gridledger.ledger.lmdb_store import abandon
from gridledger.protocol.result import Read, Result, Version, Write
from tests.support.processes import children_of
from tests.support.waiting import eventually, until
from tests.support.wild_chaincode import CALLER, Pools, call, payload, proposal

pytestmark = pytest.mark.timeout(60)
UNREADABLE = "its host said what cannot be read, and was killed"
FORGE = """
import os, time
said = {!r}
for descriptor in range(3, 4096):
    try:
        os.write(descriptor, len(said).to_bytes(4, "big") + said)
    except OSError:
        pass
time.sleep(30)
"""


async def test_a_call_reads_the_ledger_in_place(pools: Pools, make_ledger: Callable[..., Any]) -> None:
    async with pools() as pool:
        result = await call(pool, "add", "a", 5)
        assert result.reads == (Read("a", Version(0, 0)),)
        assert result.writes == (Write("a", 6),)
        assert (result.response.status, result.response.payload) == (200, 6)
        make_ledger("c1", height=2, a=10)  # each call sees the newest commit
        result = await call(pool, "add", "a", 5)
        assert result.reads == (Read("a", Version(1, 0)),)
        assert result.response.payload == 15


async def test_refusals_and_failures_are_results_without_writes(pools: Pools) -> None:
    async with pools() as pool:
        assert (await call(pool, "refuse")).response[:2] == (400, "not today")
        assert (await call(pool, "fail")).response[:2] == (500, "ValueError: inside")
        assert (await call(pool, "nowhere")).response.status == 400


async def test_caller_and_transient_data_reach_the_contract(pools: Pools) -> None:
    async with pools() as pool:
        text = await pool.call(proposal("who"), CALLER, {"secret": 1})
        assert Result.parse(text).response.payload == ["x509::CN=a::CN=ca", "Org1MSP", "planner", {"secret": 1}]


async def test_a_hang_costs_its_own_call_and_its_host(pools: Pools) -> None:
    async with pools(size=2, call_timeout_s=1.0) as pool:
        before = {await payload(pool, "pid") for _ in range(4)}
        hanging = asyncio.create_task(call(pool, "stubborn"))
        others = [await payload(pool, "add", "a", number) for number in range(20)]
        assert others == [number + 1 for number in range(20)]
        with pytest.raises(ChaincodeTimeout, match=r"within 1\.0 s"):
            await hanging
        assert await payload(pool, "add", "a", 1) == 2
        await until(lambda: pool.status()["running"] == 2)
    for pid in before:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("function", ["die", "crash"])
async def test_a_death_costs_its_own_call(pools: Pools, function: str) -> None:
    async with pools() as pool:
        outcomes = await asyncio.gather(
            call(pool, function), *(payload(pool, "add", "a", 1) for _ in range(3)), return_exceptions=True
        )
        assert isinstance(outcomes[0], ChaincodeCrashed)
        assert outcomes[1:] == [2, 2, 2]


async def test_a_host_killed_between_calls_is_replaced(pools: Pools) -> None:
    async with pools() as pool:
        pid = await payload(pool, "pid")
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await payload(pool, "pid") != pid
                except ChaincodeCrashed:  # the pool had not heard of the death yet
                    continue
                break


async def test_memory_is_bounded_and_the_host_replaced(pools: Pools) -> None:
    async with pools(memory_bytes=128 * 1024 * 1024) as pool:
        pid = await payload(pool, "pid")
        response = (await call(pool, "eat")).response
        assert (response.status, response.message[:11]) == (500, "MemoryError")
        assert await payload(pool, "pid") != pid


async def test_the_queue_is_bounded(pools: Pools) -> None:
    async with pools(call_timeout_s=1.0, waiting=2) as pool:
        hanging = asyncio.create_task(call(pool, "hang"))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(call(pool, "pid")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ChaincodeBusy) as caught:
            await call(pool, "pid")
        assert caught.value.status == 429
        outcomes = await asyncio.gather(hanging, *waiting, return_exceptions=True)
        assert isinstance(outcomes[0], ChaincodeTimeout)
        assert all(isinstance(outcome, ChaincodeBusy | Result) for outcome in outcomes[1:])


async def test_a_cancelled_call_leaves_no_answer_to_the_next(pools: Pools) -> None:
    async with pools() as pool:
        pid = await payload(pool, "pid")
        for _ in range(3):
            task = asyncio.create_task(call(pool, "big", 1_000_000))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await payload(pool, "add", "a", 1) == 2
        assert await payload(pool, "pid") == pid


async def test_a_cancelled_call_that_hangs_still_loses_its_host(pools: Pools) -> None:
    async with pools(call_timeout_s=0.5) as pool:
        pid = await payload(pool, "pid")
        task = asyncio.create_task(call(pool, "hang"))
        await until(lambda: pool.status()["idle"] == 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: pool.status()["idle"] == 1)
        assert await payload(pool, "pid") != pid


async def test_results_of_a_megabyte_pass(pools: Pools) -> None:
    async with pools() as pool:
        assert len(await payload(pool, "big", 1_000_000)) == 1_000_000


@pytest.mark.parametrize("forged", ["{}", '{"kind":"result","tx_id":"' + "0" * 64 + '","payload":1}'])
async def test_a_host_that_says_what_it_was_not_asked_is_killed(pools: Pools, forged: str) -> None:
    async with pools() as pool:
        pid = await payload(pool, "pid")
        with pytest.raises(ChaincodeCrashed, match="was not asked"):
            await call(pool, "forge", forged)
        assert await payload(pool, "pid") != pid


async def test_a_channel_that_came_later_is_found(pools: Pools, make_ledger: Callable[..., Any]) -> None:
    async with pools(size=2) as pool:
        pids = {await payload(pool, "pid") for _ in range(4)}
        for _ in range(4):
            with pytest.raises(ChaincodeUnavailable, match="c2"):
                await call(pool, "add", "a", 1, channel="c2")
        assert await payload(pool, "pid") in pids  # asking for a channel that is not there costs no host
        make_ledger("c2", a=7)
        calls = [call(pool, "add", "a", 1, channel="c2") for _ in range(4)]
        assert [result.response.payload for result in await asyncio.gather(*calls)] == [8] * 4
        assert (await call(pool, "add", "a", 1)).response.payload == 2


async def test_a_ledger_that_was_removed_is_read_no_more(
    pools: Pools, make_ledger: Callable[..., Any], ledger_dir: Path
) -> None:
    """A channel of the same name that is joined later is another one; calls on others go on."""

    async def read(pool: HostPool, channel: str) -> Any:
        return (await call(pool, "add", "k", 0, channel=channel)).response.payload

    make_ledger("left", k=1).close()
    make_ledger("stays", k=2).close()
    async with pools(size=2) as pool:
        for _ in range(4):
            assert tuple(await asyncio.gather(read(pool, "left"), read(pool, "stays"))) == (1, 2)
        abandon(ledger_dir / "left")
        shutil.rmtree(ledger_dir / "left")
        pool.forget_ledger("left")
        make_ledger("left", k=3).close()
        assert await read(pool, "stays") == 2

        async def replaced() -> bool:
            return not pool._outdated and pool.status()["running"] == pool.size

        await eventually(replaced, within_s=20, what="other hosts")
        for _ in range(4):
            assert tuple(await asyncio.gather(read(pool, "left"), read(pool, "stays"))) == (3, 2)


async def test_a_package_that_does_not_load_says_why(package: Path, ledger_dir: Path) -> None:
    (package / "contract.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(ChaincodeUnavailable, match="nowhere_to_be_found"):
        await HostPool(package, ledger_dir, size=2).start()


async def test_a_package_that_does_not_load_fails_calls_in_time(package: Path, ledger_dir: Path) -> None:
    (package / "contract.py").write_text("import nowhere_to_be_found\n")
    # Long enough for Python to start and to fail on a crowded machine: a call is told of what has been heard by then.
    pool = HostPool(package, ledger_dir, size=1, start_timeout_s=5.0)
    started = monotonic()
    with pytest.raises(ChaincodeUnavailable, match="nowhere_to_be_found"):
        await call(pool, "pid")
    assert monotonic() - started < 10
    await pool.close()


async def test_a_package_that_hangs_at_import_fails_in_bounded_time(package: Path, ledger_dir: Path) -> None:
    (package / "contract.py").write_text("while True: pass\n")
    with pytest.raises(ChaincodeUnavailable, match=r"not ready after 1\.0 s"):
        await HostPool(package, ledger_dir, size=1, start_timeout_s=1.0).start()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os\nos._exit(3)", "its process ended while it was loaded (exit code 3)"),
        ("import os\nos.abort()", "its process ended while it was loaded (signal 6)"),
        ("raise SystemExit(0)", "contract.py, line 1: SystemExit: 0"),
        ("import nowhere", "contract.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("x = bytearray(400_000_000)", "contract.py, line 1: MemoryError"),
        # What it writes to every descriptor is taken for the host's word.
        (FORGE.format(b"\x00[]"), UNREADABLE),
        (FORGE.format(b"\x00{"), UNREADABLE),
        (FORGE.format(b'\x03{"status":1,"error":{"message":"' + b"a\\n" * 5000 + b'"}}'), "a a a a a"),
        (FORGE.format(b"\x01"), UNREADABLE),
    ],
    ids=["exit", "abort", "SystemExit", "import", "memory", "ready-shape", "ready-text", "error", "result"],
)
async def test_a_package_that_ends_its_host_at_import(package: Path, ledger_dir: Path, source: str, says: str) -> None:
    (package / "contract.py").write_text(source)
    settings = HostSettings("bad", package, ledger_dir, 256 * 1024 * 1024, 20.0)
    with pytest.raises(ChaincodeLoadError) as caught:
        await HostProcess.load(settings)
    assert says in caught.value.message
    assert len(caught.value.message) <= 300
    assert "\n" not in caught.value.message
    assert children_of(os.getpid(), "hosting.host") == []


async def test_the_first_call_starts_the_hosts(
    package: Path, ledger_dir: Path, make_ledger: Callable[..., Any]
) -> None:
    make_ledger("c1", a=1)
    pool = HostPool(package, ledger_dir, size=2)
    assert await payload(pool, "add", "a", 1) == 2
    await pool.close()
    with pytest.raises(ChaincodeUnavailable, match="stopped"):
        await call(pool, "add", "a", 1)


async def test_what_a_chaincode_prints_is_logged_within_bounds(pools: Pools, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with pools() as pool:
        await call(pool, "shout", 1)
        await until(lambda: "last on stderr" in caplog.text)
        await call(pool, "shout", 100_000)
        await until(lambda: "the rest is not logged" in caplog.text)
    assert len(caplog.records) < 250


def test_a_host_dies_with_the_process_that_started_it(
    package: Path, ledger_dir: Path, make_ledger: Callable[..., Any], tmp_path: Path
) -> None:
    """Even while its chaincode hangs, and when the peer is killed without a word."""
    make_ledger("c1", a=1).close()
    script = tmp_path / "peer.py"
    script.write_text(
        textwrap.dedent(f"""
        import asyncio, sys
        sys.path.insert(0, {str(Path(__file__).parents[3])!r})
        from pathlib import Path
        from gridledger.contract import ClientIdentity
        from gridledger.contract.hosting.pool import HostPool
        from gridledger.protocol.proposal import Proposal
        from gridledger.protocol.result import Result

        def proposal(function):
            return Proposal.build(channel="c1", chaincode="test", sequence=1, function=function, args=[],
                                  creator="eA==", nonce="0" * 32, time_us=5)

        async def main():
            pool = HostPool(Path({str(package)!r}), Path({str(ledger_dir)!r}), size=1, call_timeout_s=60)
            caller = ClientIdentity("a", "b")
            print(Result.parse(await pool.call(proposal("pid"), caller)).response.payload, flush=True)
            await pool.call(proposal("stubborn"), caller)

        asyncio.run(main())
        """)
    )
    peer = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert peer.stdout is not None
    host = int(peer.stdout.readline())
    peer.kill()
    peer.wait()
    peer.stdout.close()
    descriptor = _pidfd(host)
    if descriptor is not None:
        assert select.select([descriptor], [], [], 10)[0], "the host outlived its peer"
        os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def test_the_host_imports_no_more_than_it_needs() -> None:
    code = "import sys, gridledger.contract.hosting.host; print('\\n'.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for heavy in ("asyncio", "cryptography", "fastapi", "aiohttp", "pydantic", "gridledger.identity"):
        assert heavy not in modules
    assert orjson.__name__ in modules
