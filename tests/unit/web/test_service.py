"""A service's process: its command line, signals, exit codes, work in the background."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import gridledger
from gridledger.web import bind

END_WITHIN_S = 60.0
"""A bound for a process that hangs. Python and the libraries need 2 s of one core, beside other work ten times that."""

SERVICE = """
import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import Request
from gridledger.errors import GridLedgerError
from gridledger.settings import ServiceSettings
from gridledger.web import ServerSettings, TLSFiles, WebServer, background, create_app, json_response, run_service

class Settings(ServiceSettings):
    identity: Path
    other_network: bool = False
    failing_disk: bool = False

async def follow(failed):
    await failed.wait()
    raise GridLedgerError("the committer has ended")

@asynccontextmanager
async def open_server(settings):
    if settings.other_network:
        raise GridLedgerError("the data folder is of another network")
    if settings.failing_disk:
        raise OSError(5, "Input/output error", "/data/blocks.dat")
    failed = asyncio.Event()
    app = create_app("test", lambda scope: scope, node=settings.name, open_routes=["/slow", "/fail"])

    @app.get("/slow")
    async def slow(request: Request):
        print("entered", flush=True)
        await request.app.state.stopping.wait()
        return json_response({"done": True})

    @app.get("/fail")
    async def fail(request: Request):
        failed.set()
        await request.app.state.stopping.wait()
        return json_response({"done": True})

    tls = TLSFiles(settings.identity / "cert.pem", settings.identity / "key.pem", [])
    try:
        async with background(follow(failed)):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))
    finally:
        print("stopped", flush=True)

sys.exit(run_service("test", Settings, open_server, sys.argv[1:]))
"""


def launch(house, tmp_path: Path, port: Any, **members: Any) -> subprocess.Popen[str]:
    script, settings = tmp_path / "service.py", tmp_path / "config.json"
    script.write_text(SERVICE)
    given = {"name": "node1", "port": port, "data": "data", "identity": str(house.server), **members}
    settings.write_text(json.dumps(given))
    return subprocess.Popen(
        [sys.executable, str(script), "--config", str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(gridledger.__file__).parent.parent)},
    )


def wait_until_it_listens(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["message"] == "listening"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_end_and_exits_with_zero(house, tmp_path, free_port, number):
    process = launch(house, tmp_path, free_port)
    base = f"https://localhost:{free_port}"
    wait_until_it_listens(process)
    context = house.client_context(None)
    with httpx.Client(verify=context, base_url=base, timeout=20) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, "/slow")
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        process.send_signal(number)
        assert answer.result(10).json() == {"done": True}
    output, log = process.communicate(timeout=END_WITHIN_S)
    assert (process.returncode, output) == (0, "stopped\n")
    assert [json.loads(line)["message"] for line in log.splitlines()] == ["stopped serving"]


def test_a_taken_port_is_one_line_and_its_own_exit_code(house, tmp_path, free_port):
    holder = bind("127.0.0.1", free_port)
    holder.listen()
    process = launch(house, tmp_path, free_port)
    output, log = process.communicate(timeout=END_WITHIN_S)
    holder.close()
    expected = f"error: port {free_port} on 127.0.0.1 is taken by another process; stop it, or choose another port\n"
    assert (process.returncode, output, log) == (98, "", expected)


def test_an_error_at_start_is_one_line(house, tmp_path, free_port):
    process = launch(house, tmp_path, free_port, other_network=True)
    output, log = process.communicate(timeout=END_WITHIN_S)
    assert (process.returncode, output, log) == (1, "", "error: the data folder is of another network\n")


def test_bad_settings_are_one_line_that_names_the_member(house, tmp_path):
    process = launch(house, tmp_path, "many", colour="red")
    output, log = process.communicate(timeout=END_WITHIN_S)
    assert (process.returncode, output) == (1, "")
    (line,) = log.splitlines()
    assert line.startswith(f"error: the settings of {tmp_path / 'config.json'} and GRIDLEDGER_* cannot be used: port: ")
    assert "; colour: " in line


def test_a_failure_in_the_background_stops_the_service(house, tmp_path, free_port):
    process = launch(house, tmp_path, free_port)
    wait_until_it_listens(process)
    url = f"https://localhost:{free_port}/fail"
    assert httpx.get(url, verify=house.client_context(None), timeout=20).json() == {"done": True}
    output, log = process.communicate(timeout=END_WITHIN_S)
    assert (process.returncode, output) == (1, "stopped\n")
    *records, last = log.splitlines()
    assert [json.loads(line)["message"] for line in records] == ["the committer has ended", "stopped serving"]
    assert last == "error: the committer has ended"


def test_a_failing_disk_at_the_start_is_one_line(house, tmp_path: Path, free_port: int) -> None:
    process = launch(house, tmp_path, free_port, failing_disk=True)
    _, said = process.communicate(timeout=END_WITHIN_S)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith(
        "error: /data/blocks.dat: Input/output error: what the disk holds is unknown"
    )
    assert "Traceback" not in said
