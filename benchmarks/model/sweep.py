"""The sweep of the model: throughput of deployments of 1 to 1,000 shards, and what limits it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from benchmarks.model.costs import Costs
from benchmarks.model.deployment import GIGABIT_S, Deployment, MainChain
from benchmarks.model.simulate import ModelOutcome, simulate

SHARDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 362, 512, 1000)
SIMULATED = 8
SIMULATED_TOGETHER = 24
"""The most shards that are simulated; they stand for all others. More are needed where all shards share their orderers,
whose event loops many channels fill together."""

CLIENTS = 256
"""Transactions under way for each shard, enough to saturate it."""

SHARDS_PER_SET = 4
DELEGATES = 12
LATENCY_S = 0.0005
MAX_HEARTBEATS = 0.9
"""No throughput is computed where heartbeats alone keep an orderer busy for a larger share of the time than this."""


@dataclass(frozen=True, slots=True)
class SweepLine:
    """A line of the figure. ``sets`` gives the number of orderer sets for a number of shards."""

    key: str
    name: str
    main: MainChain
    sets: Callable[[int], int]

    def deployment(self, shards: int, *, link_bytes_s: float) -> Deployment:
        """The deployment of so many shards with two endorsing peers each, and every node on a machine with 4 cores."""
        return Deployment(
            shards=shards,
            peers=2,
            endorsers=2,
            orderer_sets=self.sets(shards),
            main=self.main,
            link_bytes_s=link_bytes_s,
            latency_s=LATENCY_S,
        )


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """One deployment: its shards' throughput, the total throughput that its main chain allows, and the kind of station
    that limits the lesser of the two."""

    line: str
    shards: int
    shards_tx_s: float
    main_allows_tx_s: float
    station: str

    @property
    def by_main(self) -> bool:
        """Whether the main chain is the limit."""
        return self.main_allows_tx_s < self.shards_tx_s

    @property
    def bound(self) -> str:
        """What is fully busy, as text."""
        return _STATIONS[self.station][self.by_main]

    @property
    def tx_s(self) -> float:
        """Throughput of all shards."""
        return min(self.shards_tx_s, self.main_allows_tx_s)


_STATIONS = {
    "orderer": ("the orderers' event loops", "the event loops of the main chain's orderers"),
    "orderer's link": ("the orderers' links", "the links of the main chain's orderers"),
    "edge": ("each shard's edges", "the edges of the main chain's peers"),
    "host": ("each shard's chaincode hosts", "the chaincode hosts of the main chain's peers"),
    "committer": ("each shard's committing threads", "the main chain's committing threads"),
    "peer's cores": ("each shard's cores", "the cores of the main chain's peers"),
    "peer's link": ("each shard's links", "the links of the main chain's peers"),
}


def bend(points: Sequence[ModelPoint]) -> ModelPoint | None:
    """The first point of a line that is below nine tenths of its proportion to the line's first point, or None."""
    first = points[0].tx_s / points[0].shards
    return next((point for point in points if point.tx_s < 0.9 * first * point.shards), None)


def about(tx_s: float) -> str:
    """A modelled throughput, rounded to three digits."""
    unit = 10 ** max(0, len(str(round(tx_s))) - 3)
    return f"{round(tx_s / unit) * unit:,}"


def one(_shards: int) -> int:
    """One orderer set for all shards."""
    return 1


def grown(shards: int) -> int:
    """A set for every few shards, and at least two, so that the main chain has its own."""
    return max(2, -(-shards // SHARDS_PER_SET))


def sweep_lines(share: float) -> list[SweepLine]:
    """The lines: orderers fixed or growing; the main chain on all peers, on a few, and with ten times the traffic."""
    return [
        SweepLine("fixed", "3 orderers for all channels", MainChain(share), one),
        SweepLine("grown", "orderers grow, every peer keeps the main chain", MainChain(share), grown),
        SweepLine("few", f"orderers grow, {DELEGATES} peers keep the main chain", MainChain(share, DELEGATES), grown),
        SweepLine("busy", f"the same, {1000 * share:g} % on the main chain", MainChain(10 * share, DELEGATES), grown),
    ]


def run(
    costs: Costs,
    *,
    share: float,
    seed: int,
    link_bytes_s: float = GIGABIT_S,
    shards: Iterable[int] = SHARDS,
    tell: Callable[[ModelPoint], None] = lambda _point: None,
) -> list[ModelPoint]:
    """Simulate every line with every number of shards."""
    points = []
    for line in sweep_lines(share):
        for number in shards:
            if line.sets(number) == 1 and heartbeats(costs, number) > MAX_HEARTBEATS:
                continue
            points.append(measure(line, number, costs, seed=seed, link_bytes_s=link_bytes_s))
            tell(points[-1])
    return points


def most_shards(costs: Costs) -> int:
    """The largest number of shards whose heartbeats one orderer set can send."""
    return int(MAX_HEARTBEATS / costs.idle_cores) - 1


def heartbeats(costs: Costs, shards: int) -> float:
    """The share of an orderer's time that the heartbeats of all shards and of the main chain take."""
    return (shards + 1) * costs.idle_cores


def measure(
    line: SweepLine,
    shards: int,
    costs: Costs,
    *,
    seed: int,
    link_bytes_s: float = GIGABIT_S,
) -> ModelPoint:
    """Compute one point. At most a few shards are simulated, and stand for all.

    Clients that write to a saturated main chain wait there, in the end most of them; with a share of a thousandth that
    takes minutes of simulated time. So the main chain is saturated alone, and its throughput divided by its share.
    """
    simulated = min(shards, SIMULATED_TOGETHER if line.sets(shards) == 1 else SIMULATED)
    deployment = line.deployment(simulated, link_bytes_s=link_bytes_s)
    deployment = replace(deployment, orderer_sets=line.sets(deployment.shards))
    shared = _outcome(deployment, shards, costs, seed)
    # A main chain on a few peers, simulated alone, does not depend on the shards: one simulation serves all.
    fanned = shards if line.main.members is None else deployment.shards
    alone = _outcome(replace(deployment, main=replace(line.main, share=1.0)), fanned, costs, seed, main_alone=True)
    allowed = alone.tx_s / line.main.share
    busy = (alone if allowed < shared.tx_s else shared).busy
    return ModelPoint(line.key, shards, shared.tx_s, allowed, max(busy, key=lambda station: busy[station]))


@cache
def _outcome(deployment: Deployment, shards: int, costs: Costs, seed: int, *, main_alone: bool = False) -> ModelOutcome:
    return simulate(
        deployment,
        costs,
        seed=seed,
        clients=CLIENTS,
        represented=shards,
        main_alone=main_alone,
        warmup_s=0.8,
        measured_s=20.0,
        transactions=4000,
    )
