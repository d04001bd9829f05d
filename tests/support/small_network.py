"""A small network of real processes: three orderers, some peers of one organisation each, the chaincode kv."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.client.connection import Timeouts
from gridledger.client.gateway import Gateway
from gridledger.contract import packaging
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient
from tests.support import peer_world as world
from tests.support.processes import REPOSITORY, Process, free_ports, stop_all
from tests.support.waiting import eventually

CHANNEL = "shard1"


class SmallNetwork:
    """Processes by node name; clients of Org1. ``without`` names peers that do not get the package of kv."""

    def __init__(
        self,
        folder: Path,
        *,
        peers: int = 2,
        policy: str = "OutOf(2, all)",
        without: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.peers = [f"peer{number}" for number in range(1, peers + 1)]
        self.orderers = [f"orderer{number}" for number in range(1, 4)]
        names = [*self.peers, *self.orderers]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.package = packaging.pack(REPOSITORY / "chaincode" / "kv")
        self.package_id = packaging.package_id(self.package)
        self.config = world.config(peers, policy=policy, package=self.package_id, ports=self.ports)
        self.roots = self.config.msps.roots_pem()
        (folder / "roots.pem").write_text(self.roots)
        (folder / f"{CHANNEL}.genesis").write_bytes(world.genesis(self.config).to_bytes())
        (folder / "packages").mkdir()
        (folder / "packages" / f"{self.package_id}.tar.gz").write_bytes(self.package)
        self.processes: dict[str, Process] = {}
        for number, name in enumerate(self.orderers, 1):
            self._prepare(name, world.orderer(number), "services.orderer", {})
        for number, name in enumerate(self.peers, 1):
            seeds = {} if name in without else {"packages": "../packages"}
            self._prepare(name, world.peer(number), "services.peer", {**seeds, **settings})

    def _prepare(self, name: str, identity: SigningIdentity, module: str, more: dict[str, Any]) -> None:
        home = self.folder / name
        home.mkdir()
        SigningIdentity(identity.certificate, identity.private_key, identity.mspid).save(home / "msp")
        settings = {
            "name": name,
            "mspid": identity.mspid,
            "identity": "msp",
            "port": self.ports[name],
            "data": "data",
            "genesis": "..",
            "roots": "../roots.pem",
            "channels": [CHANNEL],
            **more,
        }
        (home / "config.json").write_bytes(jsontext.dumps(settings))
        self.processes[name] = Process(["-m", module, "--config", str(home / "config.json")], home / "log")

    def url(self, name: str) -> str:
        return f"https://localhost:{self.ports[name]}"

    def node(self, name: str, identity: SigningIdentity | None = None) -> NodeClient:
        return NodeClient(self.url(name), identity or world.client(), self.roots)

    def gateway(
        self, name: str = "peer1", identity: SigningIdentity | None = None, timeouts: Timeouts | None = None
    ) -> Gateway:
        return Gateway.connect(self.url(name), identity or world.client(), roots=self.roots, timeouts=timeouts)

    async def healthy(self, *names: str) -> None:
        for name in names or self.processes:
            async with self.node(name) as node:

                async def well(node: NodeClient = node) -> bool:
                    return bool((await node.get_json("/healthz", timeout_s=2))["status"] == "ok")

                await eventually(well, within_s=40, what=f"{name} healthy", ignore=(GridLedgerError,))

    async def states(self) -> dict[str, tuple[int, str]]:
        """Height and commit hash of every peer."""
        found = {}
        for name in self.peers:
            async with self.node(name) as node:
                info = await node.get_json(f"/channels/{CHANNEL}", timeout_s=3)
                found[name] = (info["height"], info["commit_hash"])
        return found

    async def agree(self, within_s: float = 30) -> tuple[int, str]:
        """Wait until all peers have the same height and commit hash; these."""

        async def same() -> tuple[int, str] | None:
            states = set((await self.states()).values())
            return states.pop() if len(states) == 1 else None

        found = await eventually(same, within_s=within_s, what="equal ledgers", ignore=(GridLedgerError,))
        assert found is not None
        return found

    def log(self, name: str) -> str:
        return self.processes[name].output()


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[SmallNetwork]:
    """A started, healthy network; its logs are shown when the test fails."""
    network = SmallNetwork(folder, **options)
    for process in network.processes.values():
        process.start()
    try:
        await network.healthy()
        yield network
    except BaseException:
        for name in network.processes:
            print(f"--- {name}\n{network.log(name)[-4000:]}")
        raise
    finally:
        stop_all(network.processes[name] for name in (*network.peers, *network.orderers))
