"""The process around the edge: a taken port, signals, exit codes, the log."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import gridledger
from gridledger import logs
from gridledger.errors import SettingsError
from gridledger.web import PortTaken, ServerSettings, ServerTLS, TLSFiles, WebServer, bind, create_app

SERVICE = """
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import Request
from gridledger import logs
from gridledger.errors import GridLedgerError
from gridledger.web import *

folder, port, fails = Path(sys.argv[1]), int(sys.argv[2]), len(sys.argv) > 3

@asynccontextmanager
async def lifespan(app):
    if fails:
        raise GridLedgerError("the data folder is of another network")
    yield
    print("stopped", flush=True)

logs.setup("test", "node1")
app = create_app("test", lambda certificate: certificate, node="node1", lifespan=lifespan, open_routes=["/slow"])

@app.get("/slow")
async def slow(request: Request):
    print("entered", flush=True)
    await request.app.state.stopping.wait()
    return json_response({"done": True})

tls = TLSFiles(folder / "cert.pem", folder / "key.pem", [])
sys.exit(run(serve(app, ServerSettings("127.0.0.1", port, tls))))
"""


def launch(house, tmp_path: Path, port: int, *arguments: str) -> subprocess.Popen[str]:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    return subprocess.Popen(
        [sys.executable, str(script), str(house.server), str(port), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(gridledger.__file__).parent.parent)},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_end_and_exits_with_zero(house, tmp_path, free_port, number):
    process = launch(house, tmp_path, free_port)
    base = f"https://localhost:{free_port}"
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["message"] == "listening"
    context = house.client_context(None)
    with httpx.Client(verify=context, base_url=base, timeout=20) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, "/slow")
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        process.send_signal(number)
        assert answer.result(10).json() == {"done": True}
    output, log = process.communicate(timeout=10)
    assert (process.returncode, output) == (0, "stopped\n")
    assert [json.loads(line)["message"] for line in log.splitlines()] == ["stopped serving"]


def test_a_taken_port_is_one_line_and_its_own_exit_code(house, tmp_path, free_port):
    holder = bind("127.0.0.1", free_port)
    holder.listen()
    process = launch(house, tmp_path, free_port)
    output, log = process.communicate(timeout=20)
    holder.close()
    expected = f"error: port {free_port} on 127.0.0.1 is taken by another process; stop it, or choose another port\n"
    assert (process.returncode, output, log) == (98, "", expected)


def test_an_error_at_start_is_one_line(house, tmp_path, free_port):
    process = launch(house, tmp_path, free_port, "fails")
    output, log = process.communicate(timeout=20)
    assert (process.returncode, output, log) == (1, "", "error: the data folder is of another network\n")


async def test_two_that_bind_at_once_and_the_second_is_told(house, free_port):
    tls = ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", []))
    settings = ServerSettings("127.0.0.1", free_port, tls)
    second = bind("127.0.0.1", free_port)
    async with WebServer(create_app("test", house.authenticate), settings):
        with pytest.raises(PortTaken):
            await WebServer(create_app("test", house.authenticate), settings).start(second)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 0), ("127.0.0.1", 70000), ("no.such.host.invalid", 7050)])
def test_an_address_that_cannot_be(host, port):
    with pytest.raises(SettingsError, match=r"port must be|cannot listen on"):
        bind(host, port)


def test_files_that_are_no_certificates_are_named(house, tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.pem"):
        ServerTLS(TLSFiles(tmp_path / "nowhere.pem", tmp_path / "key.pem", []))
    with pytest.raises(SettingsError, match=r"roots in .*missing"):
        ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", [tmp_path / "missing"]))
    with pytest.raises(SettingsError, match="cannot read TLS root"):
        ServerTLS(TLSFiles(house.server / "cert.pem", house.server / "key.pem", ["-----BEGIN NONSENSE"]))


def test_a_log_line_is_one_object_with_what_was_given(house):
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.setup("peer", "peer1", "info", stream)
        logging.getLogger("ledger").info("block %d committed", 7, extra={"channel": "shard1"})
        logging.getLogger("ledger").debug("not this")
        try:
            raise ValueError("inner")
        except ValueError:
            logging.getLogger("ledger").exception("it failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info",
        "service": "peer",
        "node": "peer1",
        "logger": "ledger",
        "message": "block 7 committed",
        "channel": "shard1",
    }
    assert "ValueError: inner" in second["error"]
