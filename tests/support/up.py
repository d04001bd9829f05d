"""The command ``gridledger`` as a process, and a network that is small enough to be started many times."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from gridledger.network.schema import NetworkConfig
from tests.support.local_network import with_free_ports
from tests.support.processes import REPOSITORY, alive, children_of, command_of
from tests.support.waiting import eventually

NODES = ("ca", "orderer1", "peer1")


def write_config(path: Path) -> NetworkConfig:
    """A network-config file: one orderer, one peer, one channel with kv, on free ports."""
    described = {
        "name": "small",
        "organisations": [{"name": "Orderer", "mspid": "OrdererMSP"}, {"name": "Org1", "mspid": "Org1MSP"}],
        "orderers": [{"name": "orderer1", "organisation": "Orderer", "port": 7050}],
        "peers": [{"name": "peer1", "organisation": "Org1", "port": 7151}],
        "channels": {
            "c1": {"peers": ["peer1"], "chaincodes": {"kv": {"path": "chaincode/kv", "policy": "OutOf(1, all)"}}}
        },
    }
    config = with_free_ports(NetworkConfig.model_validate(described))
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return config


def gridledger(*arguments: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "gridledger.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout_s, check=False)


class Up:
    """``gridledger up`` in the foreground, with what it says in two files."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self._said = folder.with_name(folder.name + ".stdout")
        self._complained = folder.with_name(folder.name + ".stderr")
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the command; it need not come to anything."""
        command = [sys.executable, "-m", "gridledger.cli", "up", str(self.config), "--dir", str(self.folder)]
        with self._said.open("wb") as output, self._complained.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )

    async def start(self) -> None:
        """Start it and wait until the network is ready."""
        self.begin()
        await eventually(self._is_ready, within_s=60, what="the network is ready")

    async def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended: {self.stderr}"
        return "small is ready after" in self.stdout

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def stdout(self) -> str:
        return self._said.read_text()

    @property
    def stderr(self) -> str:
        return self._complained.read_text()

    def pids(self) -> dict[str, int]:
        """The process of each node."""
        found = {}
        for pid in children_of(self.process.pid):
            command = command_of(pid)
            if "--config" in command:
                settings = Path(command[command.index("--config") + 1])
                found[settings.parent.name] = pid
        return found

    def everything(self) -> list[int]:
        """All processes: nodes, committers, chaincode hosts."""
        return family(self.process.pid)

    async def end(self, number: int) -> int:
        """Send a signal to the command alone, and wait for its end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """The exit code, once it has ended."""

        async def over() -> bool:
            return self.process.poll() is not None

        await eventually(over, within_s=40, what="the command ends")
        return self.process.returncode


async def all_gone(pids: Iterable[int]) -> None:
    """Wait until none of these processes runs."""
    watched = list(pids)

    async def gone() -> bool:
        return not any(alive(pid) for pid in watched)

    await eventually(gone, within_s=30, what="no orphans")


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    found = [pid]
    for parent in found:
        found.extend(children_of(parent))
    return found


def child_of(pid: int, module: str) -> int:
    """The child that runs a module."""
    return children_of(pid, module)[0]
