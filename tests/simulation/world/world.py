"""The whole world of one seed: three orderers, two peers with their gateways, clients, and what goes wrong.

Everything from a gateway's ordering queue to the commit hash is the real code, but for: the HTTP edge and TLS
(``SimulatedClient``), threads (``WorldLoop``), LMDB (``LedgerDisk``: whole commits), the disk (``SimulatedDisk``).
All chance comes from the seed, so that a seed gives the same run, byte for byte.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from unittest import mock

from gridledger.errors import CorruptionError
from gridledger.identity.certificate import Certificate
from gridledger.ledger.genesis import genesis_commit_hash
from gridledger.ledger.verify import verify
from gridledger.protocol import ChannelConfig
from gridledger.protocol.block import Block, BlockHeader
from gridledger.protocol.limits import BatchLimits, TransactionLimits
from services.orderer.raft.interface import Membership
from services.orderer.settings import OrdererLimits, OrdererSettings, RaftTiming
from tests.simulation.world.clients import Clients
from tests.simulation.world.disk import PowerLost
from tests.simulation.world.faults import Faults
from tests.simulation.world.life import WorldLoop
from tests.simulation.world.machines import CHANNEL, Machine
from tests.simulation.world.membership import NEW_ORDERERS, MembershipChanges
from tests.simulation.world.membership_oracle import MembershipOracle
from tests.simulation.world.network import Network, SimulatedClient
from tests.simulation.world.oracle import Violated, WorldOracle, require
from tests.simulation.world.orderer_machine import OrdererMachine
from tests.simulation.world.peer_machine import PeerMachine
from tests.simulation.world.writer import SimulatedWriter
from tests.support.paper import NOW_US, PaperNetwork

ENOUGH = 200
"""So many acknowledged transactions, and one change of leader, make a seed count."""

MOST_AHEAD_S = OrdererLimits().max_clock_ahead_s + 1.0
LONGEST_S = 90.0
_KEPT_LINES = 200
CALM_S = 60.0
"""How long all that is up may take, after the faults, to be of one mind again."""


@dataclass
class Outcome:
    """What came of one seed."""

    seed: int
    acknowledged: int = 0
    blocks: int = 0
    leader_changes: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    simulated_s: float = 0.0
    violation: str = ""
    recent: list[str] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether enough happened."""
        return self.acknowledged >= ENOUGH and self.leader_changes >= 1


class World:
    """One seed's world; ``run`` gives its outcome."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        only: frozenset[str] | None = None,
        whole_trace: bool = False,
        orderers_change: bool | None = None,
    ) -> None:
        """``only`` names the kinds of faults that may be drawn, ``whole_trace`` keeps more than the trace's end;
        ``orderers_change`` says whether the channel's orderers change, which is drawn else."""
        self._whole_trace = whole_trace
        self.faulty = only is None
        """Whether everything may go wrong, the first start included."""
        self.seed = seed
        self.chance = Random(seed)
        self.loop = WorldLoop(self._thread_s)
        self.outcome = Outcome(seed)
        self.oracle = WorldOracle()
        self._digest = hashlib.sha256()
        self._violation = ""
        self._violated = asyncio.Event()
        self.network = Network(self.chance, self.note, self.fired)
        self.network.defect = self._defect
        self.paper, self.genesis = _channel(self.chance.choice((3, 10, 500)), self.chance.choice((300, 2**31 - 1)))
        self.oracle.hashes.append(self.genesis.header.hash)
        self.oracle.commit_hashes[0] = genesis_commit_hash(self.genesis)
        (folder / "genesis").mkdir(exist_ok=True)
        (folder / "genesis" / f"{CHANNEL}.genesis").write_bytes(self.genesis.to_bytes())
        timing = RaftTiming(
            snapshot_entries=self.chance.choice((15, 40, 10_000)),
            trailing_entries=self.chance.choice((2, 20)),
            segment_bytes=self.chance.choice((8_192, 65_536, 1 << 20)),
            proposal_timeout_s=5.0,
        )
        self.orderers: dict[str, OrdererMachine] = {
            name: OrdererMachine(self, _settings(folder, name, self.paper, timing)) for name in self.paper.orderers
        }
        self.peers = {name: PeerMachine(self, identity) for name, identity in self.paper.peers.items()}
        self.machines: dict[str, Machine] = {**self.orderers, **self.peers}
        self.network.urls = {f"https://{name}": name for name in (*_NODES, *NEW_ORDERERS)}
        self.clients = Clients(self)
        self.faults = Faults(self, only)
        self.changes = MembershipChanges(self, orderers_change if only is None else bool(orderers_change))
        self.members = MembershipOracle(
            self.paper.config,
            leader_of=self.oracle.leaders.get,
            applied_of=self._applied,
            config_of=self._config_of,
            in_force=self._in_force,
            fail=self.fail,
            on_change=self.changes.crash_at,
        )

    # what machines need

    def _thread_s(self) -> float:
        return self.chance.choice((0.0002, 0.001, 0.004))

    def note(self, said: str) -> None:
        """Add to the trace, which is all that a run can be told by."""
        line = f"{self.loop.time():.6f} {said}"
        self._digest.update(line.encode())
        recent = self.outcome.recent
        recent.append(line)
        if len(recent) > 2 * _KEPT_LINES and not self._whole_trace:
            del recent[:_KEPT_LINES]

    def fired(self, kind: str) -> None:
        """A fault came to pass."""
        self.outcome.fired[kind] += 1

    def fail(self, said: str) -> None:
        """Something that must hold does not."""
        self.note(f"VIOLATED {said}")
        if not self._violation:
            self._violation = said
            self._violated.set()

    def _defect(self, said: str, error: BaseException) -> None:
        self.fail(f"{said}: {type(error).__name__}: {error}")

    def power_lost(self, machine: Machine) -> None:
        """A machine lost its power in the middle of a call to its disk."""
        self.loop.call_soon(self.faults.crash, machine, True, context=self.faults.context)

    def saw_time(self, header: BlockHeader) -> None:
        """A block's time: one clock that runs ahead does not take the channel along."""
        ahead_s = (header.timestamp_us - NOW_US) / 1_000_000 - self.loop.time()
        require(ahead_s <= MOST_AHEAD_S, f"block {header.number} lies {ahead_s:.0f} s ahead of its time")

    def machine_ended(self, machine: Machine, error: BaseException) -> None:
        """A machine's process ended by itself."""
        self.note(f"{machine.name} ended: {type(error).__name__}: {error}")
        if isinstance(error, AssertionError) or not machine.excuse:
            self.fail(f"{machine.name} ended by itself: {type(error).__name__}: {error}")
        self.faults.ended(machine, error)

    def _applied(self, orderer: str) -> int:
        found = self.orderers[orderer].orderer
        return 0 if found is None else found.consensus.status(CHANNEL).applied

    def _config_of(self, orderer: str) -> ChannelConfig | None:
        found = self.orderers[orderer].orderer
        return None if found is None else found.channels[CHANNEL].config

    def _in_force(self) -> list[Membership]:
        running = [machine.orderer for machine in self.orderers.values() if machine.life and machine.orderer]
        return [orderer.consensus.status(CHANNEL).membership for orderer in running]

    # the run

    def run(self) -> Outcome:
        """Run it. A violation is in the outcome."""
        with _stand_ins(self), _quiet(), _without_collector():
            try:
                self.loop.run(self._run())
            except Violated as violated:
                self._violation = self._violation or str(violated)
            except (Exception, asyncio.CancelledError) as error:
                self._violation = self._violation or f"{type(error).__name__}: {error}"
        outcome = self.outcome
        outcome.violation = self._violation
        outcome.acknowledged = len(self.oracle.acknowledged)
        outcome.blocks = len(self.oracle.hashes)
        outcome.leader_changes = self.oracle.leader_changes
        outcome.digest = self._digest.hexdigest()
        return outcome

    async def _run(self) -> None:
        self.loop.set_exception_handler(self._unhandled)
        try:
            await self._go_through()
        finally:
            self.clients.stop()
            await self.changes.stop()
            await self.faults.stop()
            for task in self.faults.readmitting:
                task.cancel()
            await asyncio.gather(*self.faults.readmitting, return_exceptions=True)
            for machine in self.machines.values():
                await machine.end(power=False)

    def _unhandled(self, _loop: object, told: dict[str, object]) -> None:
        error = told.get("exception")
        # A machine that ends is cancelled again and again: of a gathering, that may be what nobody hears of.
        if not isinstance(error, PowerLost | asyncio.CancelledError):
            self.fail(f"unhandled: {told.get('message')}: {type(error).__name__}: {error}")

    async def _go_through(self) -> None:
        for machine in self.machines.values():
            machine.start()
        self.clients.start()
        self.changes.start()
        await self._until(self._enough, LONGEST_S, every_s=0.05, faults=True)
        await self.changes.stop()
        await self.faults.end()
        self.clients.stop()
        await self._until(self._of_one_mind, CALM_S, every_s=0.25)
        if not self._violation:
            require(self._of_one_mind(), f"not of one mind after {CALM_S} s without faults: {self._minds()}")
            await self.clients.last()
            await self._until(lambda: self.oracle.all_found and self._of_one_mind(), CALM_S, every_s=0.25)
        if not self._violation:
            self._check_end()
            await self._follow_late()
        self.outcome.simulated_s = self.loop.time()

    async def _follow_late(self) -> None:
        """In some seeds a peer begins with the genesis block, when nobody but the present orderers, and one of those
        of that time, is up."""
        late = await self.changes.late_peer()
        if late is None:
            return
        self.machines[late.name] = late
        late.start()
        await self._until(lambda: late.height == len(self.oracle.hashes), CALM_S, every_s=0.25)
        if not self._violation:
            require(late.height == len(self.oracle.hashes), f"a late peer got no further than block {late.height - 1}")
            self.fired("late peer")

    async def _until(
        self, condition: Callable[[], bool], longest_s: float, *, every_s: float, faults: bool = False
    ) -> None:
        end = self.loop.time() + longest_s
        while self.loop.time() < end and not self._violation and not condition():
            await asyncio.sleep(every_s)
            for machine in self.orderers.values():
                if machine.broken is not None:
                    self.machine_ended(machine, CorruptionError(f"its channel has stopped: {machine.broken}"))
            self.changes.look()
            if faults:
                await self.faults.turn()

    def _enough(self) -> bool:
        return (
            len(self.oracle.acknowledged) >= ENOUGH + 20
            and (self.oracle.leader_changes >= 1 or not self.faults.possible)
            and self.faults.turns >= self.faults.least
            and self.changes.done
        )

    def _of_one_mind(self) -> bool:
        orderers = [machine for machine in self.orderers.values() if not machine.gone]
        now = self.members.config.orderers
        heights = {
            machine.orderer.channels[CHANNEL].chain.height
            for machine in orderers
            if machine.name in now and machine.orderer is not None and machine.name in self.network.services
        }
        heights |= {machine.height for machine in self.peers.values()}
        return (
            len([machine for machine in orderers if machine.leads]) == 1
            and all(machine.name in self.network.services for machine in (*orderers, *self.peers.values()))
            and all(task.done() for task in self.faults.readmitting)
            and all(machine.follows(now) if machine.name in now else machine.is_out for machine in orderers)
            and heights == {len(self.oracle.hashes)}
            and not any(len(machine.queue) for machine in self.peers.values() if machine.queue is not None)
        )

    def _minds(self) -> str:
        told = [f"{len(self.oracle.hashes)} blocks"]
        for name, machine in self.orderers.items():
            orderer = machine.orderer
            state = "gone" if machine.gone else "down" if name not in self.network.services else "up"
            height = orderer.channels[CHANNEL].chain.height if orderer is not None else 0
            told.append(f"{name} {state} {'leads ' if machine.leads else ''}{height} {machine.membership}")
        told.append(f"the orderers are {', '.join(self.members.config.orderers)}")
        told += [f"{name} {peer.height} queue {len(peer.queue or ())}" for name, peer in self.peers.items()]
        return ", ".join(told)

    def _check_end(self) -> None:
        oracle = self.oracle
        oracle.require_once()
        for task in self.faults.readmitting:
            task.result()
        for name, machine in self.orderers.items():
            if not machine.gone and machine.orderer is not None and not machine.rotten:
                store = machine.orderer.channels[CHANNEL].chain.store
                oracle.saw_store(name, store)
                self.members.saw_signatures(name, store)
        if self.chance.random() < 0.2:
            peer = self.chance.choice(list(self.peers.values()))
            assert peer.ledger is not None
            report = verify(peer.ledger)
            require(report.ok, str(report))


@contextmanager
def _stand_ins(world: World) -> Iterator[None]:
    """What stands in for sockets and threads."""
    SimulatedClient.network = world.network
    SimulatedWriter.chance, SimulatedWriter.slowest_s = world.chance, 0.0
    SimulatedWriter.members = world.members
    verify, known = Certificate.verify, dict[tuple[str, bytes, bytes], bool]()

    def verify_once(certificate: Certificate, signature: bytes, data: bytes) -> bool:
        """Each signature is really verified, by the first machine that asks."""
        key = (certificate.fingerprint, signature, data)
        if key not in known:
            known[key] = verify(certificate, signature, data)
        return known[key]

    with (
        mock.patch.object(Certificate, "verify", verify_once),
        mock.patch("services.orderer.other_orderers.NodeClient", SimulatedClient),
        mock.patch("services.peer.committer.orderers.NodeClient", SimulatedClient),
        mock.patch("services.peer.gateway.other_nodes.NodeClient", SimulatedClient),
        mock.patch("services.orderer.raft.node.WalWriter", SimulatedWriter),
    ):
        yield


@contextmanager
def _without_collector() -> Iterator[None]:
    """A world is small and short: let it all go at its end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _quiet() -> Iterator[None]:
    """The services say much about faults that are meant."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


_NODES = ("orderer1", "orderer2", "orderer3", "peer1", "peer2")


@lru_cache(maxsize=1)
def _members() -> PaperNetwork:
    return PaperNetwork(CHANNEL, seed="world", urls={name: f"https://{name}" for name in _NODES})


def _channel(max_message_count: int, proposal_window_s: int) -> tuple[PaperNetwork, Block]:
    paper = copy(_members())  # whose configuration changes in the run
    paper.config = replace(
        paper.config,
        batch=BatchLimits(max_message_count=max_message_count),
        limits=TransactionLimits(proposal_window_s=proposal_window_s),
    )
    return paper, paper.genesis


def _settings(folder: Path, name: str, paper: PaperNetwork, timing: RaftTiming) -> OrdererSettings:
    return OrdererSettings(
        name=name,
        port=1,
        data=Path("/disk"),
        mspid="OrdererMSP",
        identity=folder / name,
        genesis=folder / "genesis",
        roots=folder / "roots.pem",
        channels=[CHANNEL],
        raft=timing,
        limits=OrdererLimits(max_queued=500),
    )


def write_identities(folder: Path) -> None:
    """The files that orderers read at their start."""
    paper = _members()
    ordering = paper.organisations["OrdererMSP"]
    later = {name: ordering.issue(name, "orderer") for name in NEW_ORDERERS}
    for name, identity in {**paper.orderers, **later}.items():
        ordering.furnish(identity, folder / name)
    (folder / "roots.pem").write_text("".join(item.root for item in paper.organisations.values()))
