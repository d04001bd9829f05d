"""The model against reports."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.model import check as module
from benchmarks.model import markdown
from benchmarks.model.check import APPEND_S, check
from benchmarks.model.costs import ReportUnusable
from benchmarks.model.deployment import Deployment
from benchmarks.model.simulate import simulate
from tests.support.model_loads import KNOWN, model_load, model_report

CLIENTS = 300
"""Transactions under way: enough to fill the machine, however blocks are paced."""


@pytest.fixture(autouse=True)
def few_append_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit simulates each time that it tries: five over the whole range, instead of 17, show whether it holds."""
    monkeypatch.setattr(module, "APPEND_S", APPEND_S[::4])


@cache
def modelled_load(topology):
    """A saturating load that the model itself makes."""
    shards, peers, endorsers = TOPOLOGIES[topology]
    deployment = Deployment(shards=shards, peers=peers, endorsers=endorsers, together=True)
    outcome = simulate(deployment, KNOWN, seed=5, clients=CLIENTS / shards)
    return model_load(topology, outcome.tx_s, outcome.block_size, CLIENTS / outcome.tx_s * 1000)


@pytest.mark.timeout(300)  # 10 s of one core's time, which beside other work may become two minutes
def test_the_check_holds_for_a_report_of_the_model_s_own():
    done = check(model_report(*map(modelled_load, TOPOLOGIES), model_load("three-shards", 600, 4.0, 40)), "put",
                 fitted="three-shards", seed=1)  # fmt: skip
    assert done.holds, [(row.topology, row.error) for row in done.rows]
    assert [row.fitted for row in done.rows] == [False, False, True]
    assert "| three-shards |" in markdown.check_table(done)


@pytest.mark.timeout(300)
def test_the_check_fails_for_a_throughput_that_is_far_off():
    wrong = modelled_load("no-shard").model_copy(update={"tx_s": 200.0})
    done = check(
        model_report(wrong, *map(modelled_load, ("two-shards", "three-shards"))), "put", fitted="three-shards", seed=1
    )
    assert not done.holds
    assert "outside 15%" in markdown.check_table(done)


def test_a_report_without_a_topology_is_refused():
    with pytest.raises(ReportUnusable, match="no-shard"):
        check(model_report(model_load("three-shards", 800, 9.0, 100)), "put", fitted="three-shards", seed=1)
