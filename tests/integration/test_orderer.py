"""Three orderers as real processes: order, agree, survive kill -9 and a hanging leader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError
from gridledger.protocol import Block
from gridledger.transport.node_client import NodeClient
from tests.support.paper_network import PaperNetwork
from tests.support.processes import Process, free_ports, stop_all
from tests.support.waiting import eventually

CHANNEL = "paper"


class Orderers:
    """Three orderer processes and a client of Org1 that talks to each."""

    def __init__(self, folder: Path) -> None:
        self.network = PaperNetwork(now_us=time.time_ns() // 1000)
        self.ports = dict(zip(self.network.orderers, free_ports(3), strict=True))
        self.network.urls = {name: f"https://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.folder = folder
        roots = "".join(org.root for org in self.network.orgs.values())
        (folder / "roots.pem").write_text(roots)
        (folder / f"{CHANNEL}.genesis").write_bytes(self.network.genesis().to_bytes())
        self.processes = {name: self._prepare(name) for name in self.network.orderers}
        client = self.network.clients["Org1MSP"]
        self.clients = {name: NodeClient(url, client, roots) for name, url in self.network.urls.items()}

    def _prepare(self, name: str) -> Process:
        home = self.folder / name
        self.network.orderers[name].save(home / "msp")
        settings = {
            "name": name,
            "mspid": "OrdererMSP",
            "identity": "msp",
            "port": self.ports[name],
            "data": "data",
            "genesis": "..",
            "roots": "../roots.pem",
            "channels": [CHANNEL],
            "raft": {"snapshot_entries": 50, "trailing_entries": 5},
        }
        (home / "config.json").write_bytes(jsontext.dumps(settings))
        return Process(["-m", "services.orderer", "--config", str(home / "config.json")], home / "log")

    async def state(self, name: str) -> dict[str, object]:
        answer: dict[str, object] = await self.clients[name].get_json(f"/channels/{CHANNEL}", timeout_s=2)
        return answer

    async def leader(self, *, among: set[str] | None = None) -> str:
        names = among or set(self.processes)

        async def agreed() -> str | None:
            seen = {(await self.state(name))["leader"] for name in names}
            leader = seen.pop() if len(seen) == 1 else None
            return str(leader) if leader in names else None

        found = await eventually(agreed, within_s=30, what="one leader", ignore=(GridLedgerError,))
        assert found is not None
        return found

    async def broadcast(self, name: str, envelopes: list[bytes]) -> list[int]:
        # One that hangs is left soon: who asks in turn may ask it first.
        body = framing.pack(envelopes)
        answer = await self.clients[name].post(f"/channels/{CHANNEL}/broadcast", body, timeout_s=5)
        return [item["status"] for item in jsontext.loads(answer)["results"]]

    async def order_at_leader(self, envelopes: list[bytes], *, among: set[str] | None = None) -> str:
        """Have the leader take all of them in one request; who that was. On a crowded machine the lead may move."""

        async def taken() -> str:
            leader = await self.leader(among=among)
            return leader if await self.broadcast(leader, envelopes) == [200] * len(envelopes) else ""

        return await eventually(taken, within_s=30, what="all taken by the leader", ignore=(GridLedgerError,))

    async def order(self, envelopes: list[bytes], deadline_s: float = 30) -> None:
        """Order all of them at whoever leads, as a gateway does: again, elsewhere, until acknowledged."""

        async def acknowledged() -> bool:
            nonlocal envelopes
            for name in self.processes:
                try:
                    statuses = await self.broadcast(name, envelopes)
                except GridLedgerError:
                    continue
                envelopes = [item for item, status in zip(envelopes, statuses, strict=True) if status != 200]
                if not envelopes:
                    return True
            return False

        await eventually(acknowledged, within_s=deadline_s, what="all acknowledged")

    async def blocks(self, name: str) -> list[Block]:
        height = (await self.state(name))["height"]
        frames = self.clients[name].frames(f"/channels/{CHANNEL}/deliver", params={"from": "0", "count": str(height)})
        return [Block.from_bytes(framing.unpack(frame, max_frames=2)[0]) async for frame in frames]

    async def agree(self) -> list[Block]:
        async def equal() -> list[Block] | None:
            chains = [await self.blocks(name) for name in self.processes]
            return chains[0] if chains[0] == chains[1] == chains[2] else None

        found = await eventually(equal, within_s=40, what="equal chains", ignore=(GridLedgerError,))
        assert found is not None
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Orderers]:
    orderers = Orderers(folder)
    for process in orderers.processes.values():
        process.start()
    try:
        yield orderers
    except BaseException:
        for name, process in orderers.processes.items():
            print(f"--- {name}\n{process.output()[-3000:]}")
        raise
    finally:
        for client in orderers.clients.values():
            await client.close()
        stop_all(orderers.processes.values())


def envelopes(orderers: Orderers, count: int) -> list[bytes]:
    return [orderers.network.transaction().to_bytes() for _ in range(count)]


async def test_three_orderers_agree_on_one_chain_and_survive_losses(tmp_path: Path) -> None:
    async with running(tmp_path) as orderers:
        first = envelopes(orderers, 60)
        leader = await orderers.order_at_leader(first)

        async def referred() -> bool:
            """A follower says who leads."""
            nonlocal leader
            leader = await orderers.leader()
            follower = next(name for name in orderers.processes if name != leader)
            try:
                await orderers.broadcast(follower, first[:1])
            except GridLedgerError as error:
                return (error.status, error.code, error.details.get("leader")) == (421, "NOT_LEADER", leader)
            return False

        await eventually(referred, within_s=20, what="a follower that refers to the leader")

        # kill -9 of the leader: the others go on, nothing acknowledged is lost.
        orderers.processes[leader].kill()
        others = set(orderers.processes) - {leader}
        assert await orderers.leader(among=others) in others
        second = envelopes(orderers, 80)
        for envelope in second:
            await orderers.order([envelope])
        orderers.processes[leader].start()
        chain = await orderers.agree()
        ordered = [envelope for block in chain[1:] for envelope in block.envelopes]
        assert set(first + second) <= set(ordered)

        # A leader that hangs is replaced, and follows when it wakes up.
        leader = await orderers.leader()
        orderers.processes[leader].pause()
        await orderers.leader(among=set(orderers.processes) - {leader})
        third = envelopes(orderers, 20)
        await orderers.order(third)
        orderers.processes[leader].resume()
        chain = await orderers.agree()
        assert set(third) <= {envelope for block in chain for envelope in block.envelopes}
        assert all(block.header.previous_hash == chain[n].header.hash for n, block in enumerate(chain[1:]))


async def test_a_leader_that_is_told_to_stop_hands_over(tmp_path: Path) -> None:
    async with running(tmp_path) as orderers:
        leader = await orderers.order_at_leader(envelopes(orderers, 3))
        assert await asyncio.to_thread(orderers.processes[leader].stop) == 0
        others = set(orderers.processes) - {leader}
        heir = await orderers.leader(among=others)
        # It says so only when it has heard the new leader.
        assert f"handed over to {heir}" in orderers.processes[leader].output()
        assert await orderers.order_at_leader(envelopes(orderers, 3), among=others) in others


async def test_an_orderer_that_lost_its_disk_joins_again_by_a_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as orderers:
        leader = await orderers.leader()
        follower = next(name for name in orderers.processes if name != leader)
        orderers.processes[follower].kill()
        for envelope in envelopes(orderers, 120):
            await orderers.order([envelope])
        orderers.processes[follower].start()
        chain = await orderers.agree()
        assert len(chain) > 60


async def test_a_stream_follows_the_head(tmp_path: Path) -> None:
    async with running(tmp_path) as orderers:
        leader = await orderers.leader()
        follower = next(name for name in orderers.processes if name != leader)
        frames = orderers.clients[follower].frames(f"/channels/{CHANNEL}/deliver", params={"from": "1"})
        sent = envelopes(orderers, 3)
        for envelope in sent:
            await orderers.order_at_leader([envelope])
            async with asyncio.timeout(10):
                block = Block.from_bytes(framing.unpack(await anext(frames), max_frames=2)[0])
            assert block.envelopes == (envelope,)
        await frames.aclose()  # type: ignore[attr-defined]
