"""The nodes of the model: the processes, disk and link of a peer and of an orderer, and where they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from simpy import Environment, Event

from benchmarks.model.costs import Costs
from benchmarks.model.stations import Cores, Disk, Link, Process
from services.peer.settings import CommitterLimits

VERIFY_THREADS = CommitterLimits().verify_threads


@dataclass(slots=True)
class ModelNode:
    """What every node has."""

    name: str
    cores: Cores
    link: Link
    disk: Disk


@dataclass(slots=True)
class ModelPeer(ModelNode):
    """A peer: an edge with ``Costs.edges`` event loops, chaincode hosts, and a committer with a thread for each channel
    and ``VERIFY_THREADS`` for signatures. ``weight``: the number of real clients that a client stands for."""

    weight: float = 1.0
    edge: Process = field(init=False)
    hosts: Process = field(init=False)
    committers: dict[str, Process] = field(default_factory=dict, init=False)
    verifiers: Process = field(init=False)

    def start(self, costs: Costs) -> Self:
        """Start the processes."""
        self.edge = self.cores.process(costs.edges)
        self.hosts = self.cores.process(costs.hosts)
        self.verifiers = self.cores.process(VERIFY_THREADS)
        return self

    def serve(self, seconds: float) -> Event:
        """Work of the edge."""
        return self.edge.work(seconds * self.weight)

    def run_chaincode(self, seconds: float) -> Event:
        """Work of a chaincode host."""
        return self.hosts.work(seconds * self.weight)

    def committer(self, channel: str) -> Process:
        """The thread that commits a channel's blocks."""
        if channel not in self.committers:
            self.committers[channel] = self.cores.process()
        return self.committers[channel]


@dataclass(slots=True)
class ModelOrderer(ModelNode):
    """An orderer: one event loop."""

    loop: Process = field(init=False)

    def start(self) -> Self:
        """Start the process."""
        self.loop = self.cores.process()
        return self


class Placement:
    """Where nodes run: all on one machine, or each on a machine of its own."""

    def __init__(
        self, env: Environment, *, together: bool, cores: float, link_bytes_s: float, latency_s: float
    ) -> None:
        self._env = env
        self._number = cores
        self._link_bytes_s = link_bytes_s
        self._latency_s = latency_s
        self.shared = Cores(env, cores) if together else None

    def cores(self, number: float | None = None) -> Cores:
        """The cores of the shared machine, or of a new one."""
        return self.shared or Cores(self._env, number or self._number)

    def link(self, *, unbounded: bool = False) -> Link:
        """A new machine's outgoing link."""
        return Link(self._env, float("inf") if unbounded else self._link_bytes_s, self._latency_s)

    def disk(self, flush_s: float) -> Disk:
        """A new disk, for a node's log or ledger."""
        return Disk(self._env, flush_s)
