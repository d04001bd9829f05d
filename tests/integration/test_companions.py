"""Companions of a network: enrolled when first named, started behind the peers, watched, shown, and the REST bridge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.support.command import Up, gridledger
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import all_gone, free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was made before its description had companions; it has them now."""
    place = tmp_path_factory.mktemp("companions")
    description = place / "network.yaml"
    config = few_nodes().model_dump(mode="json")
    description.write_text(yaml.safe_dump(config))
    for arguments in (("up", description, "--detach"), ("down",)):
        done = gridledger(*arguments, "--dir", place / "network")
        assert done.returncode == 0, done.stderr
    mood, bridge = free_ports(2)
    companion = {
        "name": "mood",
        "module": "tests.support.companion_service",
        "organisations": ["Org1", "Orderer"],
        "port": mood,
        "attributes": {"grid.role": "observer"},
        "settings": {"mood": "calm"},
    }
    rest = {"name": "rest", "kind": "rest", "organisations": ["Org1"], "port": bridge, "needs": ["mood"]}
    description.write_text(yaml.safe_dump({**config, "companions": [companion, rest]}))
    return place


@pytest_asyncio.fixture
async def up(place: Path) -> AsyncIterator[Up]:
    up = Up(place / "network.yaml", place / "network")
    try:
        yield up
    finally:
        if up.begun:
            everything = up.everything()
            await up.end(signal.SIGTERM)
            await all_gone(everything)


def _port(up: Up, name: str) -> int:
    return int(json.loads((up.folder / "companions" / name / "config.json").read_text())["port"])


def _fetch(url: str, token: str = "", body: Any = None) -> Any:
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


async def test_none_runs_that_is_not_named(up: Up) -> None:
    await up.start("--quiet")
    assert set(up.pids()) == {"ca", "orderer1", "peer1"}
    assert not (up.folder / "companions").exists()


async def test_a_companion_is_enrolled_watched_and_shown(up: Up) -> None:
    """On a folder that was made without it."""
    await up.start("--quiet", "--with", "mood")
    assert set(up.pids()) == {"ca", "orderer1", "peer1", "mood"}
    url = f"http://127.0.0.1:{_port(up, 'mood')}/healthz"
    assert await asyncio.to_thread(_fetch, url) == {
        "status": "ok",
        "network": "few-nodes",
        "mood": "calm",
        "identities": {"Org1": ["Org1MSP", "observer"], "Orderer": ["OrdererMSP", "observer"]},
    }
    key = up.folder / "companions" / "mood" / "identities" / "Org1" / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600

    async def shown(line: str) -> bool:
        done = await asyncio.to_thread(gridledger, "status", "--dir", up.folder)
        return line in done.stdout.splitlines()

    await eventually(lambda: shown("mood         up"), within_s=10, what="status shows the companion")
    os.kill(up.pids()["mood"], signal.SIGKILL)
    ended = "mood         ended with signal SIGKILL (gridledger start mood)"
    await eventually(lambda: shown(ended), within_s=20, what="status shows how it ended")
    started = await asyncio.to_thread(gridledger, "start", "mood", "--dir", up.folder)
    assert (started.returncode, started.stdout) == (0, "mood is up\n")
    before = key.read_bytes()
    assert await up.end(signal.SIGTERM) == 0
    await up.start("--quiet", "--with", "mood")
    assert key.read_bytes() == before, "it was enrolled twice"


async def test_the_rest_bridge_runs_as_a_companion(up: Up) -> None:
    await up.start("--quiet", "--with", "rest")
    assert set(up.pids()) == {"ca", "orderer1", "peer1", "mood", "rest"}
    assert f"rest is at http://127.0.0.1:{_port(up, 'rest')}" in up.stdout
    token = (up.folder / "companions" / "rest" / "tokens" / "default").read_text().strip()
    url = f"http://127.0.0.1:{_port(up, 'rest')}/channels/{CHANNEL}/chaincodes/kv"
    call = {"function": "put", "args": ["by-rest", 1.5]}
    submitted = await asyncio.to_thread(_fetch, f"{url}/submit", token, call)
    assert (submitted["code_name"], submitted["identity"]) == ("VALID", "Org1")
    call = {"function": "get", "args": ["by-rest"]}
    assert (await asyncio.to_thread(_fetch, f"{url}/evaluate", token, call))["payload"] == 1.5


async def test_an_unknown_companion_is_one_line(up: Up) -> None:
    done = await asyncio.to_thread(gridledger, "up", up.config, "--dir", up.folder, "--with", "toaster")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: there is no companion 'toaster' in the description of few-nodes; there are: mood, rest\n"
    )
