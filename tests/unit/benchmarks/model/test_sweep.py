"""The scale run: where its lines bend, what is said of that, and the law behind the main chain's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.model import figure, markdown
from benchmarks.model.deployment import ORDERERS, Deployment, MainChain
from benchmarks.model.simulate import simulate
from benchmarks.model.sweep import ModelPoint, about, bend, most_shards, sweep_lines
from services.orderer.settings import Pacing
from tests.support.model_loads import KNOWN as COSTS

LINES = sweep_lines(0.001)


def points(key, shards_tx_s, main_allows_tx_s, station):
    """A line of three points."""
    return [
        ModelPoint(key, shards, each, allowed, station)
        for shards, each, allowed in zip((1, 10, 100), shards_tx_s, main_allows_tx_s, strict=True)
    ]


STRAIGHT = points("few", (1000, 9900, 98_000), (1e6, 1e6, 1e6), "edge")
BENT = points("grown", (1000, 9900, 98_000), (1e6, 1e5, 4e4), "orderer's link")


def test_a_line_bends_where_it_leaves_proportion():
    assert bend(STRAIGHT) is None
    assert bend(BENT) is BENT[2]


def test_what_bounds_a_line_is_told():
    assert "in proportion up to 100 shards, 98,000 tx/s, bound by each shard's edges" in markdown.finding(
        LINES[2], STRAIGHT, COSTS
    )
    told = markdown.finding(LINES[1], BENT, COSTS)
    assert told == "at most 40,000 tx/s, at 100 shards; from 100 on the links of the main chain's orderers are full."


def test_heartbeats_bound_what_one_set_of_orderers_serves():
    assert most_shards(COSTS) == pytest.approx(0.9 / COSTS.idle_cores, abs=2)
    fixed = points("fixed", (1000, 9900, 12_000), (1e6, 1e6, 1e6), "orderer")
    assert f"Beyond {most_shards(COSTS)} shards heartbeats" in markdown.finding(LINES[0], fixed, COSTS)


def test_a_throughput_is_told_to_three_digits():
    assert [about(value) for value in (7.2, 1344.4, 263_815.0)] == ["7", "1,340", "264,000"]


def test_a_main_chain_on_all_peers_is_bound_by_its_orderers_links():
    """Each block goes to every peer: no more than ORDERERS * bandwidth / (peers * size) transactions a second."""
    main, link_bytes_s, shards = MainChain(0.001), 5e6, 100
    deployment = Deployment(
        shards=4, peers=2, endorsers=2, orderer_sets=2, main=main, link_bytes_s=link_bytes_s, pacing=Pacing()
    )
    outcome = simulate(
        deployment, COSTS, seed=1, clients=16, represented=shards, main_alone=True, warmup_s=10.0, measured_s=60.0
    )
    bound = ORDERERS * link_bytes_s / (2 * shards * COSTS.size(main.endorsers))
    assert 0.6 * bound < outcome.tx_s <= 1.05 * bound


def test_the_figure_is_drawn(tmp_path):
    lines = {line.key: STRAIGHT if line.key != "grown" else BENT for line in LINES}
    drawn = [replace(point, line=key) for key, line in lines.items() for point in line]
    figure.draw(tmp_path / "scale.png", LINES, drawn, ends=500, note="made for a test")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
