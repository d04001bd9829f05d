"""The clients of the simulated world: they make transactions, send them through gateways, and remember what they were
told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from gridledger.errors import BusyError, GridLedgerError
from gridledger.protocol.result import Read
from tests.simulation.world.oracle import require
from tests.simulation.world.peer_machine import PeerMachine
from tests.support.paper import NOW_US

if TYPE_CHECKING:
    from tests.simulation.world.world import World

COUNT = 8
KEYS = 12
PAUSE_S = 0.5
"""The mean time that a client thinks."""

LAST_S = 20.0


class Clients:
    """All clients, until they are stopped."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: list[asyncio.Task[None]] = []
        self._made = 0
        self._unsure: set[str] = set()
        """What was sent and may be on the chain, as far as clients know: another refusal says nothing of that one."""

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.ensure_future(self._send_on()) for _ in range(COUNT)]

    def stop(self) -> None:
        """Send no more; what is under way nobody waits for."""
        for task in self._tasks:
            task.cancel()

    async def last(self) -> None:
        """Each gateway orders one more."""
        for peer in self._world.peers.values():
            tx_id, envelope = self._transaction(peer)
            try:
                async with asyncio.timeout(LAST_S):
                    await self._order(peer, tx_id, envelope)
            except TimeoutError:
                require(False, f"{peer.name} ordered nothing within {LAST_S} s without faults")
            require(tx_id in self._world.oracle.acknowledged, f"{peer.name} ordered nothing without faults")

    async def _send_on(self) -> None:
        chance = self._world.chance
        while True:
            await asyncio.sleep(chance.expovariate(1 / PAUSE_S))
            peer = self._running_peer()
            if peer is None:
                continue
            if chance.random() < 0.1:
                await asyncio.gather(*(self._send(peer) for _ in range(chance.randint(2, 12))))
            else:
                await self._send(peer)

    async def _send(self, peer: PeerMachine) -> None:
        chance = self._world.chance
        tx_id, envelope = self._transaction(peer)
        while not await self._order(peer, tx_id, envelope) and chance.random() < 0.5:
            # Somebody who does not know sends the same again, through whichever gateway.
            await asyncio.sleep(chance.expovariate(1 / PAUSE_S))
            peer = self._running_peer() or peer

    def _running_peer(self) -> PeerMachine | None:
        running = [peer for peer in self._world.peers.values() if peer.name in self._world.network.services]
        return self._world.chance.choice(running) if running else None

    def _transaction(self, peer: PeerMachine) -> tuple[str, bytes]:
        """Reads one key as a peer has it, and writes it and one of its own."""
        world, self._made = self._world, self._made + 1
        key = f"key{world.chance.randrange(KEYS)}"
        assert peer.ledger is not None
        with peer.ledger.snapshot() as snapshot:
            version = snapshot.version("kv", key)
        nonce = f"{world.seed:016x}{self._made:016x}"
        proposal = world.paper.proposal(nonce=nonce, time_us=NOW_US + int(world.loop.time() * 1_000_000))
        writes = {key: self._made, f"own{self._made}": self._made}
        made = world.paper.transaction(writes, proposal=proposal, reads=[Read(key, version)])
        return made.tx_id, made.to_bytes()

    async def _order(self, peer: PeerMachine, tx_id: str, envelope: bytes) -> bool:
        """Send it through one gateway; whether the client knows for sure now."""
        oracle, life = self._world.oracle, peer.life
        if life is None or peer.name not in self._world.network.services:
            return False
        # What was said of an earlier sending says nothing about this one.
        oracle.refused.pop(tx_id, None)
        ordering = life.do(peer.order(tx_id, envelope))
        ended = asyncio.ensure_future(life.ended.wait())
        with suppress(asyncio.CancelledError):
            await asyncio.wait((ordering, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not ordering.done() or ordering.cancelled() or life.cut_off:
            self._unsure.add(tx_id)
            return False
        error = ordering.exception()
        if error is None:
            self._world.note(f"acknowledged {tx_id[:12]}")
            oracle.acknowledged[tx_id] = None
            return True
        self._world.note(f"not acknowledged {tx_id[:12]}: {error}")
        if isinstance(error, BusyError):
            return False
        if not isinstance(error, GridLedgerError) or error.details.get("outcome") == "unknown":
            self._unsure.add(tx_id)
        elif tx_id not in self._unsure:
            oracle.refused[tx_id] = f"{error.code}: {error.message}"
        return False
