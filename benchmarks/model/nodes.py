"""The nodes of the model: what a peer, an orderer and a generator have, and on which machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from simpy import Environment, Event

from benchmarks.model.costs import Costs
from benchmarks.model.stations import Disk, Link, Machine, Process

VERIFY_THREADS = 2
"""Threads that check a block's signatures side by side (``committer.verify_threads``)."""


@dataclass(slots=True)
class Node:
    """What every node has."""

    name: str
    machine: Machine
    link: Link
    disk: Disk


@dataclass(slots=True)
class Peer(Node):
    """The edge is one event loop for each of ``Costs.edges``; a committer has one thread that judges and writes for
    each channel, and some that check signatures. ``weight``: how many clients' work one client's stands for here."""

    weight: float = 1.0
    edge: Process = field(init=False)
    hosts: Process = field(init=False)
    committers: dict[str, Process] = field(default_factory=dict, init=False)
    verifiers: Process = field(init=False)

    def start(self, costs: Costs) -> Self:
        """Start the processes."""
        self.edge = self.machine.process(costs.edges)
        self.hosts = self.machine.process(costs.hosts)
        self.verifiers = self.machine.process(VERIFY_THREADS)
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
            self.committers[channel] = self.machine.process()
        return self.committers[channel]


@dataclass(slots=True)
class Orderer(Node):
    """One event loop."""

    loop: Process = field(init=False)

    def start(self) -> Self:
        """Start the process."""
        self.loop = self.machine.process()
        return self


class Places:
    """Machines for nodes: one for all of them, or one each."""

    def __init__(
        self, env: Environment, *, together: bool, cores: float, link_bytes_s: float, latency_s: float
    ) -> None:
        self._env = env
        self._cores = cores
        self._link_bytes_s = link_bytes_s
        self._latency_s = latency_s
        self.machines: list[Machine] = []
        self.shared = self._machine(cores) if together else None

    def _machine(self, cores: float) -> Machine:
        self.machines.append(Machine(self._env, cores))
        return self.machines[-1]

    def machine(self, *, cores: float | None = None) -> Machine:
        """The shared machine, or a new one."""
        return self.shared or self._machine(cores or self._cores)

    def link(self, *, unbounded: bool = False) -> Link:
        """A new machine's way out."""
        return Link(self._env, float("inf") if unbounded else self._link_bytes_s, self._latency_s)

    def disk(self, flush_s: float) -> Disk:
        """A node's log or ledger."""
        return Disk(self._env, flush_s)
