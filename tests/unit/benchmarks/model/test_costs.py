"""Costs fitted to a report, the check against it, and the page that says so."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.measure.results import BlockSizes, Latency, Load, ProcessUse, Report
from benchmarks.model import page
from benchmarks.model.check import check
from benchmarks.model.costs import REMOTE_SHARE, Costs, ReportUnusable, fit, kind_of, loads_of, saturation
from benchmarks.model.deployment import TOPOLOGIES, Deployment
from benchmarks.model.simulate import simulate
from gridledger.errors import InputError

KNOWN = Costs(
    client=0.0006,
    edge=0.0008,
    edge_block=0.0012,
    host=0.00015,
    orderer=0.0002,
    orderer_block=0.003,
    verify=0.00006,
    commit=0.00012,
    commit_block=0.0011,
    append_s=0.003,
)

CLIENTS = 300
"""Transactions under way: enough to fill the machine, however blocks are paced."""


def load(topology, tx_s, block, mean_ms):
    """A load as it would have been measured, were the costs the known ones."""
    shards, peers, endorsers = TOPOLOGIES[topology]
    per_block = 1 / block
    per_tx = {
        "engine": KNOWN.client,
        "edge": KNOWN.edge * (1 + REMOTE_SHARE * (endorsers - 1)) + peers * per_block * KNOWN.edge_block,
        "host": endorsers * KNOWN.host,
        "orderer": KNOWN.orderer + per_block * KNOWN.orderer_block,
        "committer": peers * (KNOWN.commit_total(endorsers) + per_block * KNOWN.commit_block),
        "CA": 1.0,
    }
    processes = [
        ProcessUse(name=f"{kind}{index}", kind=kind, pid=index, cores=cost * tx_s / 2,
                   rss_first_bytes=0, rss_last_bytes=0, rss_max_bytes=0)
        for kind, cost in per_tx.items()
        for index in range(2)
    ]  # fmt: skip
    count = int(tx_s * 10)
    blocks = [
        BlockSizes(channel=f"shard{index}", blocks=round(count / block / shards), transactions=count // shards,
                   mean=block, p50=round(block), max=round(block))
        for index in range(shards)
    ]  # fmt: skip
    latency = Latency(mean_ms=mean_ms, p50_ms=mean_ms, p95_ms=mean_ms, p99_ms=mean_ms, max_ms=mean_ms)
    return Load(
        topology=topology, workload="put", controller={}, workers=2, offered_tx_s=None, started_at="", measured_s=10,
        sent=count, valid=count, tx_s=tx_s, codes={"VALID": count}, refused={}, latency=latency, payload_bytes=100,
        disk_bytes_per_tx=None, floor_tx_s=None, generator_cores=KNOWN.client * tx_s, generator_us_per_request=600,
        processes=processes, blocks=blocks, seconds=[],
    )  # fmt: skip


@cache
def modelled_load(topology):
    """A saturating load that the model itself makes."""
    shards, peers, endorsers = TOPOLOGIES[topology]
    deployment = Deployment(shards=shards, peers=peers, endorsers=endorsers, together=True)
    outcome = simulate(deployment, KNOWN, seed=5, clients=CLIENTS / shards)
    return load(topology, outcome.tx_s, outcome.block_size, CLIENTS / outcome.tx_s * 1000)


def report(*loads):
    machine = {"cores": 4, "verify_s": KNOWN.verify, "commit": "0", "processor": "none", "python": "3.11"}
    return Report(title="made for a test", machine=machine, configuration={}, loads=list(loads))


def test_the_fit_finds_the_costs_that_the_loads_were_made_with():
    costs = fit(report(load("three-shards", 800, 9.0, 100), load("three-shards", 600, 4.0, 40)), "three-shards", "put")
    for name in ("client", "edge", "edge_block", "host", "orderer", "orderer_block", "commit", "commit_block"):
        assert getattr(costs, name) == pytest.approx(getattr(KNOWN, name), rel=0.03), name


def test_a_quiet_load_is_left_out_of_the_fit():
    loads = [load("three-shards", 800, 9.0, 100), load("three-shards", 600, 4.0, 40)]
    quiet = load("three-shards", 20, 1.0, 9)
    quiet = quiet.model_copy(update={"processes": [use.model_copy(update={"cores": 0.0}) for use in quiet.processes]})
    assert fit(report(*loads, quiet), "three-shards", "put") == fit(report(*loads), "three-shards", "put")


def test_the_saturation_is_the_highest_throughput_whatever_was_refused_beside_it():
    below, refusing = load("three-shards", 600, 4.0, 40), load("three-shards", 800, 9.0, 100)
    refusing = refusing.model_copy(update={"refused": {"BUSY": refusing.sent // 5}})
    assert saturation(report(below, refusing), "three-shards", "put") == refusing
    assert loads_of(report(below, refusing), "three-shards", "put") == [below]


def test_with_blocks_of_one_size_what_is_fitted_adds_up_to_what_was_measured():
    costs = fit(report(load("three-shards", 800, 9.0, 100)), "three-shards", "put")
    total = 2 * (costs.commit_total(2) + costs.commit_block / 9)
    assert total == pytest.approx(2 * (KNOWN.commit_total(2) + KNOWN.commit_block / 9), rel=0.01)


def test_the_kinds_of_processes_are_told_apart():
    kinds = {name: kind_of(name) for name in ("committer", "peers' edges", "chaincode hosts", "locust", "engine", "CA")}
    assert list(kinds.values()) == ["committer", "edge", "host", "client", "client", None]


@pytest.mark.timeout(300)  # 10 s of one core's time, which beside other work may become two minutes
def test_the_check_holds_for_a_report_that_the_model_could_have_made():
    done = check(report(*map(modelled_load, TOPOLOGIES), load("three-shards", 600, 4.0, 40)), "put",
                 fitted="three-shards", seed=1)  # fmt: skip
    assert done.holds, [(row.topology, row.error) for row in done.rows]
    assert [row.fitted for row in done.rows] == [False, False, True]
    assert "| three-shards |" in page.check_table(done)


@pytest.mark.timeout(300)
def test_the_check_fails_for_one_that_it_could_not():
    wrong = modelled_load("no-shard").model_copy(update={"tx_s": 200.0})
    done = check(
        report(wrong, *map(modelled_load, ("two-shards", "three-shards"))), "put", fitted="three-shards", seed=1
    )
    assert not done.holds
    assert "outside 15%" in page.check_table(done)


def test_a_report_without_a_topology_is_refused():
    with pytest.raises(ReportUnusable, match="no-shard"):
        check(report(load("three-shards", 800, 9.0, 100)), "put", fitted="three-shards", seed=1)


def test_the_page_keeps_all_that_is_not_between_the_markers(tmp_path):
    path = tmp_path / "scale.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", encoding="utf-8")
    page.rewrite(path, "new")
    assert path.read_text(encoding="utf-8") == f"before\n{page.BEGIN}\n\nnew\n\n{page.END}\nafter\n"
    path.write_text("no markers", encoding="utf-8")
    with pytest.raises(InputError, match="lacks the lines"):
        page.rewrite(path, "new")
