"""Costs fitted to a report."""

from __future__ import annotations

import pytest

from benchmarks.model.costs import fit, loads_of, saturation, used_cores
from tests.support.model_loads import KNOWN, model_load, model_report


def test_the_fit_finds_the_costs_that_the_loads_were_made_with():
    costs = fit(
        model_report(model_load("three-shards", 800, 9.0, 100), model_load("three-shards", 600, 4.0, 40)),
        "three-shards",
        "put",
    )
    for name in ("client", "edge", "edge_block", "host", "orderer", "orderer_block", "commit", "commit_block"):
        assert getattr(costs, name) == pytest.approx(getattr(KNOWN, name), rel=0.03), name


def test_a_quiet_load_is_left_out_of_the_fit():
    loads = [model_load("three-shards", 800, 9.0, 100), model_load("three-shards", 600, 4.0, 40)]
    quiet = model_load("three-shards", 20, 1.0, 9)
    quiet = quiet.model_copy(update={"processes": [use.model_copy(update={"cores": 0.0}) for use in quiet.processes]})
    assert fit(model_report(*loads, quiet), "three-shards", "put") == fit(model_report(*loads), "three-shards", "put")


def test_saturation_is_the_highest_throughput_refusals_or_not():
    below, refusing = model_load("three-shards", 600, 4.0, 40), model_load("three-shards", 800, 9.0, 100)
    refusing = refusing.model_copy(update={"refused": {"BUSY": refusing.sent // 5}})
    assert saturation(model_report(below, refusing), "three-shards", "put") == refusing
    assert loads_of(model_report(below, refusing), "three-shards", "put") == [below]


def test_costs_from_blocks_of_one_size_add_up_to_the_measured():
    costs = fit(model_report(model_load("three-shards", 800, 9.0, 100)), "three-shards", "put")
    total = 2 * (costs.commit_total(2) + costs.commit_block / 9)
    assert total == pytest.approx(2 * (KNOWN.commit_total(2) + KNOWN.commit_block / 9), rel=0.01)


def test_the_generator_s_processes_are_the_client():
    used = used_cores(model_load("three-shards", 800, 9.0, 100))
    assert set(used) == {"client", "edge", "host", "orderer", "committer"}
    assert used["client"] == pytest.approx(800 * KNOWN.client)
