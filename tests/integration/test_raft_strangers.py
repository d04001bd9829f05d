"""Raft messages from an orderer of another channel, to real orderers: they cost its stream, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation
from gridledger.network.processes import RunningProcess, Service
from gridledger.protocol.config import ChannelConfig, Node, Organisation
from gridledger.transport.node_client import NodeClient
from services.orderer.raft.messages import Kind, Message, pack_batch_header, pack_message
from tests.support.paper import PaperNetwork, PaperOrganisation, genesis_block
from tests.support.processes import REPOSITORY, free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
NAMES = ("orderer1", "orderer2", "orderer3")
VICTIM, OTHER = "shard1", "other"
_A_FEW_ELECTIONS = 20


class Orderers:
    """Three orderer processes of two channels; on one of them ``stranger``, of another organisation, orders too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = dict(zip((*NAMES, "stranger"), free_ports(4), strict=True))
        self.urls = {name: f"https://127.0.0.1:{port}" for name, port in ports.items()}
        self.paper = PaperNetwork(VICTIM, urls=self.urls)
        foreign = PaperOrganisation("StrangerMSP")
        self.stranger = foreign.issue("stranger", "orderer")
        config = self.paper.config
        node = Node("stranger", "StrangerMSP", self.urls["stranger"], self.stranger.certificate)
        self.shared = replace(
            config,
            channel=OTHER,
            organisations={
                **config.organisations,
                "StrangerMSP": Organisation("StrangerMSP", (foreign.root,), kind="orderer"),
            },
            orderers={**config.orderers, "stranger": node},
        )
        self.roots = self.shared.msps.roots_pem()
        self.services = {name: self._furnish(name, ports[name], (config, self.shared)) for name in NAMES}
        self.processes: dict[str, RunningProcess] = {}
        self.admins = {name: self.client(name, self.paper.clients["Org1MSP"]) for name in NAMES}

    def _furnish(self, name: str, port: int, configs: Iterable[ChannelConfig]) -> Service:
        home = self.folder / name
        (home / "channels").mkdir(parents=True)
        self.paper.organisations["OrdererMSP"].furnish(self.paper.orderers[name], home / "msp")
        (home / "roots.pem").write_text(self.roots, encoding="ascii")
        for config in configs:
            (home / "channels" / f"{config.channel}.genesis").write_bytes(genesis_block(config).to_bytes())
        settings = {
            "name": name,
            "mspid": "OrdererMSP",
            "identity": "msp",
            "port": port,
            "data": "data",
            "genesis": "channels",
            "roots": "roots.pem",
            "channels": [VICTIM, OTHER],
        }
        Incarnation(name, "0badcafe").write(home / "data")
        (home / "config.json").write_text(json.dumps(settings))
        return Service(
            name, "services.orderer", home / "config.json", self.urls[name], port, home / "roots.pem", home / "msp"
        )

    async def start(self, *names: str) -> None:
        async def one(name: str) -> None:
            log = self.folder / f"{name}.log"
            process = await RunningProcess.start(
                self.services[name], project=REPOSITORY, log=log, sink=lambda _name, _line: None
            )
            self.processes[name] = process
            await process.healthy(60)

        await asyncio.gather(*map(one, names))

    async def kill(self, name: str) -> None:
        os.kill(self.processes[name].pid, signal.SIGKILL)
        await self.processes[name].wait()

    def client(self, name: str, identity: SigningIdentity) -> NodeClient:
        return NodeClient(self.urls[name], identity, self.roots)

    async def state(self, name: str, channel: str) -> dict[str, Any]:
        return dict(await self.admins[name].get_json(f"/channels/{channel}", timeout_s=5))

    async def leader(self, channel: str) -> tuple[str, int]:
        async def agreed() -> tuple[str, int] | None:
            found = {(item["leader"], item["term"]) for item in [await self.state(name, channel) for name in NAMES]}
            (leader, term), *others = found
            return (str(leader), int(term)) if leader and not others else None

        found = await eventually(agreed, within_s=30, what=f"a leader of {channel}", ignore=(GridLedgerError,))
        assert found is not None
        return found

    async def order(self) -> None:
        """One transaction at the victim's leader, which all orderers then have."""
        proposal = self.paper.proposal(time_us=time.time_ns() // 1000)
        leader, _ = await self.leader(VICTIM)
        before = (await self.state(leader, VICTIM))["height"]
        body = framing.pack([self.paper.transaction(proposal=proposal).to_bytes()])
        answer = jsontext.loads(await self.admins[leader].post(f"/channels/{VICTIM}/broadcast", body, timeout_s=10))
        assert [item["status"] for item in answer["results"]] == [200]

        async def everywhere() -> bool:
            return {(await self.state(name, VICTIM))["height"] for name in NAMES} == {before + 1}

        await eventually(everywhere, within_s=20, what="the block on all orderers")

    async def attack(self, name: str, messages: Sequence[Message]) -> GridLedgerError | None:
        """Send these to one orderer over a stream of the stranger's; how that ended."""

        async def batches() -> AsyncIterator[bytes]:
            for message in messages:
                yield framing.frame(pack_batch_header(message.sender) + pack_message(VICTIM, message))

        async with self.client(name, self.stranger) as client:
            try:
                await client.upload("/raft", batches())
            except GridLedgerError as error:
                return error
        return None

    async def close(self) -> None:
        for client in self.admins.values():
            await client.close()
        await asyncio.gather(*(process.stop(15) for process in self.processes.values()))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Orderers]:
    made = Orderers(folder)
    try:
        await made.start(*NAMES)
        yield made
    finally:
        await made.close()


async def test_an_orderer_of_another_channel_disturbs_no_group(tmp_path: Path) -> None:
    async with running(tmp_path) as orderers:
        leader, term = await orderers.leader(VICTIM)
        await orderers.order()
        for name in NAMES:
            for sender in ("stranger", min(set(NAMES) - {name})):
                # Of this term, which would make two leaders; of the last term, after which there is no election.
                well_formed = [Message(Kind.HEARTBEAT, sender, name, of) for of in (term, term + 1, 2**48 - 1)]
                assert await orderers.attack(name, well_formed) is None
                endless = await orderers.attack(name, [Message(Kind.HEARTBEAT, sender, name, 2**64 - 1)])
                assert endless is not None
                assert (endless.status, endless.code) == (400, "MALFORMED_RAFT_BATCH")
        await orderers.order()
        assert not any(process.ended for process in orderers.processes.values())
        # Nothing of it was kept either. (On a crowded machine there may be an election, of the next term or two.)
        leader, term = await orderers.leader(VICTIM)
        assert term < _A_FEW_ELECTIONS
        follower = min(set(NAMES) - {leader})
        await orderers.kill(follower)
        await orderers.start(follower)
        await orderers.order()
        assert (await orderers.leader(VICTIM))[1] < _A_FEW_ELECTIONS
        assert (await orderers.leader(OTHER))[0] in NAMES
        said = (tmp_path / f"{follower}.log").read_text(errors="replace")
        assert "is not an orderer of the channel as known here" in said
