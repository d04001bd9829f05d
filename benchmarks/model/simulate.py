"""A run of the model: a deployment under load for some time, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simpy import Environment

from benchmarks.measure.results import percentile
from benchmarks.model.costs import Costs
from benchmarks.model.deployment import MAIN, Deployment
from benchmarks.model.network import ModelNetwork


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """Transactions per second, ``main_tx_s`` of them on the main chain; latency in seconds; transactions per block on
    the shards; and for each kind of station how busy the busiest one was, from 0 to 1."""

    tx_s: float
    main_tx_s: float
    p50_s: float
    p99_s: float
    block_size: float
    busy: dict[str, float]


def simulate(
    deployment: Deployment,
    costs: Costs,
    *,
    seed: int,
    clients: float | None = None,
    rate: float | None = None,
    represented: int | None = None,
    main_alone: bool = False,
    warmup_s: float = 1.0,
    measured_s: float = 4.0,
    transactions: int | None = None,
) -> ModelOutcome:
    """Simulate a deployment in a closed loop with ``clients`` for each shard, or in an open loop at ``rate`` in all.

    ``represented``: the number of shards that the deployment's shards stand for (default: their own). ``main_alone``:
    clients use only the main chain. ``transactions``: end the measured time early once so many are done.
    """
    weight = (represented or deployment.shards) / deployment.shards
    env = Environment()
    random = Random(seed)  # noqa: S311 - a simulation's
    network = ModelNetwork(env, deployment, costs, random=random, weight=weight, main_alone=main_alone)
    if rate is None:
        network.closed_loop(clients or 1)
    else:
        network.open_loop(rate / weight)
    env.run(until=warmup_s)
    network.served.clear()
    begun, (blocks, ordered) = _busy_s(network), _blocks(network)
    step_s = measured_s / 16
    while env.now < warmup_s + measured_s - step_s / 2:
        env.run(until=env.now + step_s)
        if transactions is not None and len(network.served) >= transactions:
            break
    elapsed_s = env.now - warmup_s
    ended_blocks, ended_ordered = _blocks(network)
    latencies = sorted(item.ended_at - item.begun_at for item in network.served)
    busy: dict[str, float] = {}
    for (kind, used_s), (_, before_s) in zip(_busy_s(network), begun, strict=False):
        busy[kind] = max(busy.get(kind, 0.0), (used_s - before_s) / elapsed_s)
    if main_alone:
        weight = 1.0
    return ModelOutcome(
        tx_s=weight * len(latencies) / elapsed_s,
        main_tx_s=weight * sum(item.channel == MAIN for item in network.served) / elapsed_s,
        p50_s=percentile(latencies, 0.50),
        p99_s=percentile(latencies, 0.99),
        block_size=(ended_ordered - ordered) / max(1, ended_blocks - blocks),
        busy=busy,
    )


def _busy_s(network: ModelNetwork) -> list[tuple[str, float]]:
    """The kind of every station, and the seconds for which it was fully busy so far."""
    shared = network.placement.shared
    parts = [("machine", shared.busy_s / shared.whole / shared.speed)] if shared else []
    for orderer in network.orderers:
        parts += [("orderer", orderer.loop.busy_s), ("orderer's link", orderer.link.full_s)]
    for peer in network.peers:
        parts += [
            ("edge", peer.edge.busy_s / network.costs.edges),
            ("host", peer.hosts.busy_s / network.costs.hosts),
            ("peer's cores", 0.0 if shared else peer.cores.busy_s / peer.cores.whole),
            ("peer's link", peer.link.full_s),
        ]
        parts += [("committer", process.busy_s) for process in peer.committers.values()]
    return parts


def _blocks(network: ModelNetwork) -> tuple[int, int]:
    return sum(shard.blocks for shard in network.shards), sum(shard.ordered for shard in network.shards)
