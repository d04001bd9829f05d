"""The simulated relay as a process: by options, and as a companion by its settings file."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from gridledger.errors import SettingsError
from services.relay.readers import Delivered, RelayAnswerBad, RelayUnreachable, open_reader
from services.relay.simulator import command
from services.relay.simulator.settings import SimulatorSettings
from tests.support.processes import END_WITHIN_S
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[4]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_by(*options: str) -> SimulatorSettings:
    return command.settings_of(command._parser().parse_args(options))


def mms_record(address: str) -> dict[str, object]:
    utc = [{"from_minute": 0, "offset_min": 0}]
    named = {"relay": "Rele_1", "name": "Relay 1", "substation": "Sur", "protocol": "iec61850", "address": address}
    return {**named, "utc_offsets": utc, "period_s": 60, "reading_s": 10}


def config(tmp_path: Path, **members: object) -> Path:
    file = tmp_path / "config.json"
    told = {"name": "relay", "host": "127.0.0.1", "port": free_port(), "data": "data", **members}
    file.write_text(json.dumps(told))
    return file


async def test_a_companion_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    others = {"connection": "connection.json", "identities": {}, "companions": {"5004": "https://127.0.0.1:5004"}}
    file = config(tmp_path, port=port, minute_s=0.3, minutes=100, **others)
    with subprocess.Popen(
        [sys.executable, "-m", "services.relay.simulator", "--config", str(file)], cwd=ROOT
    ) as process:
        try:
            async with aiohttp.ClientSession() as session:

                async def captured() -> str | None:
                    async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                        last: str | None = (await answer.json())["last"]
                        return last

                last = await eventually(captured, within_s=20, what="a capture", ignore=(aiohttp.ClientError,))
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert last is not None
    assert (tmp_path / "data/captures" / last).exists()


@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_relay_ends_at_once_after_it_was_read_over_mms(told: signal.Signals, code: int, tmp_path: Path) -> None:
    """By the command ``gridledger``: a signal to it is one to the relay."""
    mms = free_port()
    with subprocess.Popen(
        [
            sys.executable, "-m", "gridledger.cli", "relay", "simulate", "--port", str(free_port()),
            "--iec61850-port", str(mms), "--folder", str(tmp_path), "--minute-s", "1.8", "--minutes", "100",
        ],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            reader = open_reader(mms_record(f"127.0.0.1:{mms}"), "5004")

            async def read() -> Delivered | None:
                return await reader.latest(None, 1)

            trouble = (RelayAnswerBad, RelayUnreachable)
            await eventually(read, within_s=30, what="a capture", ignore=trouble)
            process.send_signal(told)
            assert await asyncio.to_thread(process.wait, END_WITHIN_S) == code
            await reader.close()
        finally:
            process.kill()
        lines = process.communicate()[1].splitlines()
    assert lines[0].startswith("relay at http")
    assert [line for line in lines[1:] if not line.startswith("{")] == (["stopped"] if code else [])


def test_a_port_that_is_taken_is_told_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = config(tmp_path, port=taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "services.relay.simulator", "--config", str(file)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 98
    assert done.stderr.splitlines()[-1].startswith("error: cannot listen on 127.0.0.1:")


def test_a_full_disk_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "data/captures").mkdir(parents=True)
    (tmp_path / "data/captures/CAPTURING.txt").symlink_to("/dev/full")
    file = config(tmp_path, minute_s=0.3, minutes=10)
    done = subprocess.run(
        [sys.executable, "-m", "services.relay.simulator", "--config", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: no space left on device: free space in {tmp_path / 'data'}"
    assert "Traceback" not in done.stderr


def test_options_become_settings(tmp_path: Path) -> None:
    told = settings_by(
        "--port", "6000", "--folder", str(tmp_path), "--minute-s", "6", "--minutes", "12", "--interval-s", "5",
        "--seed", "3", "--name", "Relay 2", "--substation", "Sur", "--utc-offset", "-300",
        "--utc-offset", "29580000:-240", "--physical", "--misbehave", "two-faced",
    )  # fmt: skip
    assert (told.port, told.data, told.minute_s, told.minutes, told.interval_s) == (6000, tmp_path, 6.0, 12, 5)
    assert (told.seed, told.relay, told.substation, told.physical, told.misbehave) == (
        3, "Relay 2", "Sur", True, "two-faced",
    )  # fmt: skip
    assert [(each.from_minute, each.offset_min) for each in told.utc_offsets] == [(0, -300), (29_580_000, -240)]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--interval-s", "7"), "interval_s 7 does not divide a minute"),
        (("--minute-s", "61"), "minute_s"),
        (("--port", "70000"), "port"),
        (("--utc-offset", "5:0"), "the first from 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: tuple[str, ...], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        settings_by(*options)
