"""Each service's OpenAPI description turned into thousands of requests, sensible and senseless, against real processes.

No answer is a server error but one that docs/errors.md has, and what the requests took is given back.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import REPOSITORY
from tests.support.rest_bridge import running_bridge
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(600)]
CASES = 2000
_EXAMPLES = 150
"""For each operation; hypothesis's share of the cases. Rounds are added until there are ``CASES``."""
_STREAMS = "events|deliver|/raft|calls"
"""Paths that answer, or read, without end: their bytes are fuzzed by tests of their own."""
MORE_MIB = 64


def _requests(service: str, url: str, seed: int, *more: str) -> int:
    """One round of requests; how many there were. Fails with schemathesis's own report."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--no-color",
        "run",
        str(REPOSITORY / "docs" / "openapi" / f"{service}.json"),
        f"--url={url}",
        "--checks=documented_server_error",
        f"--max-examples={_EXAMPLES}",
        "--phases=coverage,fuzzing",
        f"--exclude-path-regex={_STREAMS}",
        "--exclude-method=DELETE",  # an admin's would have the node leave its channel
        "--request-timeout=20",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--warnings=off",
        f"--seed={seed}",
        *more,
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.support.openapi_checks",
        "FUZZ_CHANNEL": CHANNEL,
        "FUZZ_CHAINCODE": "kv",
        "FUZZ_ORGANISATION": "Org1",
    }
    run = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    made = re.search(r"(\d+) generated", run.stdout)
    assert run.returncode == 0, run.stdout[-6000:]
    assert made is not None, run.stdout[-6000:]
    return int(made[1])


async def _send(service: str, url: str, pid: int, *more: str) -> None:
    process = psutil.Process(pid)
    made = _requests(service, url, 1, *more)
    before_mib, open_files = process.memory_info().rss >> 20, process.num_fds()
    while made < CASES:
        made += _requests(service, url, made, *more)

    async def given_back() -> bool:
        return process.num_fds() <= open_files

    await eventually(given_back, within_s=30, what=f"{service} to close what the requests opened")
    assert (process.memory_info().rss >> 20) < before_mib + MORE_MIB


def _as_admin(network: LocalNetwork, organisation: str, trusted: Path) -> list[str]:
    folder = network.profile.user(organisation, "admin")
    return [
        f"--tls-verify={trusted}",
        f"--request-cert={folder / 'cert.pem'}",
        f"--request-cert-key={folder / 'key.pem'}",
    ]


async def test_no_request_to_a_service_gives_an_unknown_error(tmp_path: Path) -> None:
    with local_network(few_nodes(), tmp_path / "network") as network:
        root = network.folder.root
        for service, name, organisation in (("orderer", "orderer1", "Orderer"), ("peer", "peer1", "Org1")):
            admin = _as_admin(network, organisation, network.profile.roots)
            await _send(service, network.entry(name).url, network.pid(name), *admin)
        admin = _as_admin(network, "Org1", root / "tls-root.pem")
        await _send("ca", network.profile.ca.url, network.pid("ca"), *admin)
        app = await network.client("Org1")
        await network.agree(CHANNEL)
        assert app.mspid == "Org1MSP"


async def test_no_request_to_the_bridge_gives_an_unknown_error(tmp_path: Path) -> None:
    with local_network(few_nodes(), tmp_path / "network") as network:
        identity = network.profile.user("Org1", "admin")
        (tmp_path / "bridge").mkdir()
        with running_bridge(tmp_path / "bridge", network.folder.connection, {"default": identity}) as bridge:
            await _send("rest", bridge.url, bridge.pid, f"--header=Authorization:Bearer {bridge.token}")
