"""The whole model: laws that hold whatever the costs are, and that a few shards may stand for many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.model.costs import REMOTE_SHARE, Costs
from benchmarks.model.deployment import Deployment, MainChain
from benchmarks.model.simulate import simulate
from services.orderer.settings import Pacing
from tests.support.model_loads import KNOWN as COSTS

NOTHING = Costs(
    client=0, edge=0, edge_block=0, host=0, orderer=0, orderer_block=0, verify=0, commit=0, commit_block=0,
    append_s=0, flush_s=0, idle_cores=0, deliver_s=0, deliver_byte_s=0,
)  # fmt: skip
PACING = Pacing(calm_rate=100, busy_rate=150, busy_interval_ms=50, busy_batches=4)
TOGETHER = Deployment(shards=3, peers=2, endorsers=2, together=True, pacing=PACING)


def core_s(deployment, costs, block_size):
    """Core time of one transaction in all, by hand."""
    block = deployment.peers * (costs.edge_block + costs.commit_block) + costs.orderer_block
    committer = deployment.peers * (costs.commit + (1 + deployment.endorsers) * costs.verify)
    edges = costs.edge * (1 + REMOTE_SHARE * (deployment.endorsers - 1))
    return costs.client + edges + deployment.endorsers * costs.host + costs.orderer + committer + block / block_size


@pytest.mark.parametrize(
    "deployment", [TOGETHER, Deployment(shards=1, peers=6, endorsers=3, together=True, pacing=PACING)]
)
def test_a_saturated_machine_does_what_its_cores_allow(deployment):
    outcome = simulate(deployment, COSTS, seed=1, clients=96 / deployment.shards, measured_s=2.0)
    bound = deployment.cores / core_s(deployment, COSTS, outcome.block_size)
    assert 0.93 * bound < outcome.tx_s <= 1.01 * bound
    assert outcome.busy["machine"] <= 1.001


@pytest.mark.parametrize("clients", [4, 64, 256])
def test_nothing_is_in_use_for_more_than_all_the_time(clients):
    deployment = Deployment(
        shards=4, peers=2, endorsers=2, pacing=PACING, main=MainChain(0.05), link_bytes_s=2e7, latency_s=0.0005
    )
    outcome = simulate(deployment, COSTS, seed=1, clients=clients, warmup_s=0.5, measured_s=1.0)
    parts = {kind: share for kind, share in outcome.busy.items() if "link" not in kind}
    assert max(parts.values()) <= 1.02, parts


def test_twice_the_cores_do_twice_as_much():
    # Without costs for each block, for more cores make smaller blocks.
    costs = replace(COSTS, edge_block=0, orderer_block=0, commit_block=0)
    small = simulate(replace(TOGETHER, cores=2.0), costs, seed=1, clients=150, measured_s=2.0)
    large = simulate(replace(TOGETHER, cores=4.0), costs, seed=1, clients=150, measured_s=2.0)
    assert large.tx_s / small.tx_s == pytest.approx(2, rel=0.12)


def test_twice_the_shards_on_more_machines_do_twice_as_much():
    apart = Deployment(shards=2, peers=2, endorsers=2, pacing=PACING, orderer_sets=2)
    two = simulate(apart, COSTS, seed=1, clients=48, warmup_s=0.5, measured_s=1.0)
    four = simulate(replace(apart, shards=4, orderer_sets=4), COSTS, seed=1, clients=48, warmup_s=0.5, measured_s=1.0)
    assert four.tx_s / two.tx_s == pytest.approx(2, rel=0.1)


def test_without_costs_only_the_pace_of_blocks_is_left():
    outcome = simulate(TOGETHER, NOTHING, seed=1, clients=4, measured_s=0.5, warmup_s=0.1)
    assert outcome.p50_s < 0.005
    assert outcome.busy["machine"] == 0


def test_with_a_latency_only_the_way_takes_it():
    """To the gateway, back, to it again, to the leader, a follower and back, to the peer, to the client: 8, and between
    peers one more pair."""
    apart = Deployment(shards=1, peers=2, endorsers=2, pacing=PACING, latency_s=0.1)
    outcome = simulate(apart, NOTHING, seed=1, clients=1, measured_s=10.0)
    assert outcome.p50_s == pytest.approx(0.1 * 10, abs=0.06)


def test_an_open_loop_is_served_at_the_rate_offered():
    outcome = simulate(TOGETHER, COSTS, seed=1, rate=100.0, measured_s=5.0)
    assert outcome.tx_s == pytest.approx(100, rel=0.02)
    assert outcome.p50_s < 0.03


def test_a_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = (simulate(TOGETHER, COSTS, seed=seed, clients=16, measured_s=1.0) for seed in (3, 3, 4))
    assert first == again
    assert first.p50_s != other.p50_s


def test_the_main_chain_gets_its_share():
    deployment = Deployment(shards=4, peers=2, endorsers=2, pacing=PACING, orderer_sets=2, main=MainChain(0.1))
    outcome = simulate(deployment, COSTS, seed=1, clients=32, warmup_s=0.5, measured_s=1.0)
    assert outcome.main_tx_s / outcome.tx_s == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize(("sets", "part_sets"), [(1, 1), (4, 2)])
def test_a_few_shards_may_stand_for_many(sets, part_sets):
    """The same network simulated in full, and by half of its shards: the orderers are the bound, or are not."""
    main = MainChain(0.002, members=6)
    full = Deployment(shards=8, peers=2, endorsers=2, orderer_sets=sets, main=main, latency_s=0.0005, pacing=PACING)
    part = replace(full, shards=4, orderer_sets=part_sets)
    whole = simulate(full, COSTS, seed=1, clients=48, warmup_s=0.3, measured_s=0.5)
    half = simulate(part, COSTS, seed=1, clients=48, represented=8, warmup_s=0.3, measured_s=0.5)
    assert half.tx_s == pytest.approx(whole.tx_s, rel=0.1)
