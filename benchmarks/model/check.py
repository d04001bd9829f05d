"""The check of the model: modelled against measured throughput of the topologies that were measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.results import BenchmarkReport, Load
from benchmarks.model.costs import Costs, ReportUnusable, blocks_per_transaction, fit, saturation, used_cores
from benchmarks.model.deployment import Deployment
from benchmarks.model.simulate import ModelOutcome, simulate

TOLERANCE = 0.15
"""The largest relative error of the modelled throughput that the check accepts."""

APPEND_S = tuple(0.0005 * 1.2**step for step in range(17))
"""The times that the fit tries: 0.5 to 9 ms."""


@dataclass(frozen=True, slots=True)
class CheckedTopology:
    """One topology: its saturating load, and the model's. ``fitted``: the costs were fitted to it."""

    topology: str
    fitted: bool
    load: Load
    modelled: ModelOutcome

    @property
    def measured_block(self) -> float:
        """Transactions a block, measured."""
        return 1 / blocks_per_transaction(self.load)

    @property
    def error(self) -> float:
        """The relative error of the modelled throughput."""
        return self.modelled.tx_s / self.load.tx_s - 1

    @property
    def holds(self) -> bool:
        """Whether the error is within the tolerance."""
        return abs(self.error) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Check:
    """A workload's check: the costs, the topology ``fitted`` they were fitted to, the cores that the processes had, and
    all topologies."""

    workload: str
    fitted: str
    cores: float
    costs: Costs
    rows: list[CheckedTopology]

    @property
    def holds(self) -> bool:
        """Whether all errors are within the tolerance."""
        return all(row.holds for row in self.rows)


def check(report: BenchmarkReport, workload: str, *, fitted: str, seed: int) -> Check:
    """Fit costs to one topology, and simulate the saturation of every topology on the report's machine."""
    loads = {topology: _saturation(report, topology, workload) for topology in TOPOLOGIES}
    cores = usable_cores(report)
    costs = fit_append(fit(report, fitted, workload), fitted, loads[fitted], cores, seed=seed)
    rows = [
        CheckedTopology(topology, topology == fitted, load, model(topology, load, costs, cores, seed=seed))
        for topology, load in loads.items()
    ]
    return Check(workload, fitted, cores, costs, rows)


def _saturation(report: BenchmarkReport, topology: str, workload: str) -> Load:
    load = saturation(report, topology, workload)
    if load is None:
        raise ReportUnusable(f"the report has no load of {workload} on {topology}: measure one")
    return load


def under_way(load: Load) -> float:
    """The mean number of transactions under way, by Little's law."""
    assert load.latency is not None  # noqa: S101 - of loads that committed something
    return load.tx_s * load.latency.mean_ms / 1000


def model(topology: str, load: Load, costs: Costs, cores: float, *, seed: int, measured_s: float = 4.0) -> ModelOutcome:
    """Simulate a measured topology with the measured number of transactions under way."""
    deployment = measured_deployment(topology, load, cores)
    clients = under_way(load) / deployment.shards
    return simulate(deployment, costs, seed=seed, clients=clients, measured_s=measured_s)


def fit_append(costs: Costs, topology: str, load: Load, cores: float, *, seed: int) -> Costs:
    """Choose ``append_s``, by which the orderers pace, so that blocks become as large as measured."""
    measured = 1 / blocks_per_transaction(load)

    def miss(append_s: float) -> float:
        outcome = model(topology, load, replace(costs, append_s=append_s), cores, seed=seed, measured_s=3.0)
        return abs(log(outcome.block_size / measured))

    return replace(costs, append_s=min(APPEND_S, key=miss))


def usable_cores(report: BenchmarkReport) -> float:
    """The most cores that the processes used under any load; the kernel and the machine's other users had the rest."""
    most = max(sum(used_cores(load).values()) for load in report.loads)
    return min(float(report.machine["cores"]), most)


def measured_deployment(topology: str, load: Load, cores: float) -> Deployment:
    """A topology as it was measured, with everything on one machine."""
    shards, peers, endorsers = TOPOLOGIES[topology]
    counts = {block.channel: float(block.transactions) for block in load.blocks if block.transactions}
    shares = tuple(counts[channel] for channel in sorted(counts)) if len(counts) == shards else ()
    return Deployment(
        shards=shards,
        peers=peers,
        endorsers=endorsers,
        together=True,
        cores=cores,
        load_shares=shares,
        generators=max(1, load.workers),
    )
