"""Processes as they are sampled: which they are, and what they have used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from benchmarks.measure.processes import ProcessWatcher, context_switches, run_sampled

WAITS = 300


def test_processes_are_known_by_their_node_and_kind() -> None:
    waits = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    orders = [*waits, "services.orderer", "/somewhere/nodes/orderer9/config.json"]
    with subprocess.Popen(orders, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = ProcessWatcher().sample()[process.pid]
        process.communicate()
    assert (found.name, found.kind) == ("orderer9", "orderer")
    assert found.cpu_s >= 0
    assert found.rss_bytes > 1_000_000


def test_context_switches_are_those_of_all_threads() -> None:
    # psutil counts those of the main thread; the sum relies on its taking a thread's id for a process's.
    waited, stop = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        for _ in range(WAITS):
            threading.Event().wait(1e-5)
        waited.release()
        stop.wait(30)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert all(waited.acquire(timeout=30) for _ in threads)
        main_thread = psutil.Process().num_ctx_switches().voluntary
        assert context_switches(os.getpid())[0] - main_thread >= 2 * WAITS
    finally:
        stop.set()
        for thread in threads:
            thread.join()


async def test_a_command_is_sampled_until_it_ends(tmp_path: Path) -> None:
    program = "import time; print('ready', flush=True); time.sleep(0.5); raise SystemExit(3)"
    command = [sys.executable, "-c", program, "locust"]
    code, samples = await run_sampled(command, tmp_path / "log", every_s=0.05, within_s=30)
    assert code == 3
    assert {sample.kind for _, processes in samples for sample in processes.values()} == {"locust"}
    assert (tmp_path / "log").read_text() == "ready\n"


async def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    code, samples = await run_sampled(command, tmp_path / "log", every_s=0.05, within_s=0.3)
    assert code == -signal.SIGTERM
    assert samples
