"""The scale run: throughput of deployments of 1 to 1,000 shards, and what bounds it where it stops growing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from benchmarks.model.costs import Costs
from benchmarks.model.deployment import GIGABIT_S, Deployment, MainChain
from benchmarks.model.simulate import Outcome, simulate

SHARDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 362, 512, 1000)
SIMULATED = 8
SIMULATED_TOGETHER = 24
"""Shards that are simulated; where there are more they stand for all. More where they share their orderers, whose loops
are filled by many channels at once."""

CLIENTS = 256
"""Transactions under way for each shard: enough to fill it."""

SHARDS_PER_SET = 4
DELEGATES = 12
LATENCY_S = 0.0005
MAX_HEARTBEATS = 0.9
"""Where heartbeats alone keep an orderer busy for more of the time than this, no throughput is given."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line of the figure. ``sets``: orderer sets for so many shards."""

    key: str
    name: str
    main: MainChain
    sets: Callable[[int], int]

    def deployment(self, shards: int, *, link_bytes_s: float) -> Deployment:
        """With so many shards: two peers each, both endorse, every node on a machine of its own with 4 cores."""
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
class Point:
    """One deployment: what its shards can do, what its main chain allows in all if its share is to be kept, and
    the part that bounds the lesser of the two: of the main chain, or of the shards."""

    scenario: str
    shards: int
    shards_tx_s: float
    main_allows_tx_s: float
    part: str

    @property
    def by_main(self) -> bool:
        """The main chain is the bound."""
        return self.main_allows_tx_s < self.shards_tx_s

    @property
    def bound(self) -> str:
        """What is in full use, in words."""
        return _PARTS[self.part][self.by_main]

    @property
    def tx_s(self) -> float:
        """Throughput of all."""
        return min(self.shards_tx_s, self.main_allows_tx_s)


_PARTS = {
    "orderer": ("the orderers' event loops", "the event loops of the main chain's orderers"),
    "orderer's link": ("the orderers' links", "the links of the main chain's orderers"),
    "edge": ("each shard's edges", "the edges of the main chain's peers"),
    "host": ("each shard's chaincode hosts", "the chaincode hosts of the main chain's peers"),
    "committer": ("each shard's committing threads", "the main chain's committing threads"),
    "peer's cores": ("each shard's cores", "the cores of the main chain's peers"),
    "peer's link": ("each shard's links", "the links of the main chain's peers"),
}


def bend(points: Sequence[Point]) -> Point | None:
    """The first point of a line that lies below nine tenths of proportion to the line's first; None without one."""
    first = points[0].tx_s / points[0].shards
    return next((point for point in points if point.tx_s < 0.9 * first * point.shards), None)


def about(tx_s: float) -> str:
    """A modelled throughput, to the three digits that it deserves."""
    unit = 10 ** max(0, len(str(round(tx_s))) - 3)
    return f"{round(tx_s / unit) * unit:,}"


def one(_shards: int) -> int:
    """Three orderers for all."""
    return 1


def grown(shards: int) -> int:
    """A set of three for every few shards; more than one from the first, so that the main chain has its own."""
    return max(2, -(-shards // SHARDS_PER_SET))


def scenarios(share: float) -> list[Scenario]:
    """The lines: orderers fixed and grown; the main chain on all peers, on a few, and with ten times the traffic."""
    return [
        Scenario("fixed", "3 orderers for all channels", MainChain(share), one),
        Scenario("grown", "orderers grow, every peer keeps the main chain", MainChain(share), grown),
        Scenario("few", f"orderers grow, {DELEGATES} peers keep the main chain", MainChain(share, DELEGATES), grown),
        Scenario("busy", f"the same, {1000 * share:g} % on the main chain", MainChain(10 * share, DELEGATES), grown),
    ]


def run(
    costs: Costs,
    *,
    share: float,
    seed: int,
    link_bytes_s: float = GIGABIT_S,
    shards: Iterable[int] = SHARDS,
    tell: Callable[[Point], None] = lambda _point: None,
) -> list[Point]:
    """Simulate every scenario with every number of shards."""
    points = []
    for scenario in scenarios(share):
        for number in shards:
            if scenario.sets(number) == 1 and heartbeats(costs, number) > MAX_HEARTBEATS:
                continue
            points.append(measure(scenario, number, costs, seed=seed, link_bytes_s=link_bytes_s))
            tell(points[-1])
    return points


def most_shards(costs: Costs) -> int:
    """How many shards' heartbeats three orderers can bear."""
    return int(MAX_HEARTBEATS / costs.idle_cores) - 1


def heartbeats(costs: Costs, shards: int) -> float:
    """The share of an orderer's time that heartbeats of all shards' channels and the main chain take."""
    return (shards + 1) * costs.idle_cores


def measure(
    scenario: Scenario,
    shards: int,
    costs: Costs,
    *,
    seed: int,
    link_bytes_s: float = GIGABIT_S,
) -> Point:
    """One point. At most a few shards are simulated, and stand for all.

    A client that writes to a saturated main chain waits there, and in the end most do: with a share of a thousandth
    that takes minutes of simulated time. So the main chain is saturated by itself, what it does divided by its share.
    """
    simulated = min(shards, SIMULATED_TOGETHER if scenario.sets(shards) == 1 else SIMULATED)
    deployment = scenario.deployment(simulated, link_bytes_s=link_bytes_s)
    deployment = replace(deployment, orderer_sets=scenario.sets(deployment.shards))
    shared = _outcome(deployment, shards, costs, seed)
    # Alone, a chain that a few peers keep does the same whatever the shards are; so it is simulated once.
    fanned = shards if scenario.main.members is None else deployment.shards
    alone = _outcome(replace(deployment, main=replace(scenario.main, share=1.0)), fanned, costs, seed, main_alone=True)
    allowed = alone.tx_s / scenario.main.share
    part = _busiest(alone if allowed < shared.tx_s else shared)
    return Point(scenario.key, shards, shared.tx_s, allowed, part)


@cache
def _outcome(deployment: Deployment, shards: int, costs: Costs, seed: int, *, main_alone: bool = False) -> Outcome:
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


def _busiest(outcome: Outcome) -> str:
    return max(outcome.busy.items(), key=lambda item: item[1])[0]
