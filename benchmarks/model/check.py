"""The check: what the model says of the topologies that were measured, next to what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

from benchmarks.measure.results import Load, Report
from benchmarks.model.costs import Costs, ReportUnusable, blocks_per_transaction, fit, saturation, used
from benchmarks.model.deployment import TOPOLOGIES, Deployment
from benchmarks.model.simulate import Outcome, simulate

TOLERANCE = 0.15
"""How far the modelled throughput may be from the measured one."""

APPEND_S = tuple(0.0005 * 1.2**step for step in range(17))
"""Times that are tried: 0.5 to 9 ms."""


@dataclass(frozen=True, slots=True)
class Row:
    """One topology. ``fitted``: the costs stem from it."""

    topology: str
    fitted: bool
    load: Load
    clients: float
    modelled: Outcome

    @property
    def measured_block(self) -> float:
        """Transactions a block, measured."""
        return 1 / blocks_per_transaction(self.load)

    @property
    def error(self) -> float:
        """Modelled by measured throughput, less one."""
        return self.modelled.tx_s / self.load.tx_s - 1

    @property
    def holds(self) -> bool:
        """The model is within the tolerance."""
        return abs(self.error) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Check:
    """The costs, fitted to the topology ``fitted``, the cores that processes can have, and a row for each topology."""

    workload: str
    fitted: str
    cores: float
    costs: Costs
    rows: list[Row]

    @property
    def holds(self) -> bool:
        """The model is within the tolerance everywhere."""
        return all(row.holds for row in self.rows)


def check(report: Report, workload: str, *, fitted: str, seed: int) -> Check:
    """Fit costs to one topology, and simulate the saturation of each on the report's machine."""
    loads = {topology: _saturation(report, topology, workload) for topology in TOPOLOGIES}
    cores = usable_cores(report)
    costs = fit_append(fit(report, fitted, workload), fitted, loads[fitted], cores, seed=seed)
    rows = [
        Row(topology, topology == fitted, load, under_way(load), model(topology, load, costs, cores, seed=seed))
        for topology, load in loads.items()
    ]
    return Check(workload, fitted, cores, costs, rows)


def _saturation(report: Report, topology: str, workload: str) -> Load:
    load = saturation(report, topology, workload)
    if load is None:
        raise ReportUnusable(f"the report has no load of {workload} on {topology}: measure one")
    return load


def under_way(load: Load) -> float:
    """Transactions under way on average, by Little's law, whatever the controller was."""
    assert load.latency is not None  # noqa: S101 - of loads that committed something
    return load.tx_s * load.latency.mean_ms / 1000


def model(topology: str, load: Load, costs: Costs, cores: float, *, seed: int, measured_s: float = 4.0) -> Outcome:
    """Simulate a measured topology with as many transactions under way as measured."""
    deployment = measured_deployment(topology, load, cores)
    clients = under_way(load) / deployment.shards
    return simulate(deployment, costs, seed=seed, clients=clients, measured_s=measured_s)


def fit_append(costs: Costs, topology: str, load: Load, cores: float, *, seed: int) -> Costs:
    """The time a batch takes to the disk such that blocks become as large as measured: the orderers pace by it."""
    measured = 1 / blocks_per_transaction(load)

    def miss(append_s: float) -> float:
        outcome = model(topology, load, replace(costs, append_s=append_s), cores, seed=seed, measured_s=3.0)
        return abs(log(outcome.block_size / measured))

    return replace(costs, append_s=min(APPEND_S, key=miss))


def usable_cores(report: Report) -> float:
    """The most cores that the processes had under any load: the kernel and the machine's other users had the rest."""
    most = max(sum(used(load).values()) for load in report.loads)
    return min(float(report.machine["cores"]), most)


def measured_deployment(topology: str, load: Load, cores: float) -> Deployment:
    """A topology of network-config/ as it was measured: everything on one machine."""
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
