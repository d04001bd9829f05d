"""Reading benchmark files, and the loads of their rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.commands.bench import DEFAULT
from benchmarks.load.bench_network import WORKLOADS
from benchmarks.load.benchmark_file import load_config, load_spec
from gridledger.errors import SettingsError


def test_the_default_has_every_workload_below_and_past_saturation() -> None:
    test = load_config(DEFAULT)
    assert sorted({item.workload.module for item in test.rounds}) == sorted(WORKLOADS)
    saturation = dict.fromkeys(WORKLOADS, 1000.0)
    loads = [load_spec(test, item, saturation) for item in test.rounds if item.workload.module == "put"]
    assert [load.controller.opts for load in loads] == [{"users": 512}, {"tps": 100}, {"tps": 700.0}, {"tps": 1300.0}]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text("test: [")
    with pytest.raises(SettingsError, match="no YAML"):
        load_config(tmp_path / "bench.yaml")
    with pytest.raises(SettingsError, match="cannot read"):
        load_config(tmp_path / "another.yaml")


def test_a_share_of_what_was_not_measured_is_refused() -> None:
    test = load_config(DEFAULT)
    share = next(item for item in test.rounds if item.rateControl.opts.get("tps") == "70 %")
    with pytest.raises(SettingsError, match="of what"):
        load_spec(test, share, {})
