"""Benchmark files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.commands.bench import DEFAULT, chosen
from benchmarks.load.bench_network import WORKLOADS
from benchmarks.load.benchmark_file import load_config, spec_of
from gridledger.errors import SettingsError

CONFIGS = sorted(DEFAULT.parent.glob("*.yaml"))


def options(**changes: object) -> argparse.Namespace:
    given = {
        "config": DEFAULT,
        "topology": None,
        "workload": None,
        "controller": None,
        "seconds": None,
        "workers": None,
    }
    return argparse.Namespace(**given | changes)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_ships_can_be_run(path: Path) -> None:
    assert chosen(options(config=path)).rounds


def test_the_default_has_every_workload_at_saturation_below_and_past_it() -> None:
    test = load_config(DEFAULT)
    assert sorted({item.workload.module for item in test.rounds}) == sorted(WORKLOADS)
    saturation = dict.fromkeys(WORKLOADS, 1000.0)
    loads = [spec_of(test, item, saturation) for item in test.rounds if item.workload.module == "put"]
    assert [load.controller.opts for load in loads] == [{"users": 512}, {"tps": 100}, {"tps": 700.0}, {"tps": 1300.0}]


def test_the_command_line_changes_a_file() -> None:
    test = chosen(options(workload=["query"], seconds=2.0, workers=3))
    assert {item.workload.module for item in test.rounds} == {"query"}
    assert {item.txDuration for item in test.rounds} == {2.0}
    assert test.workers.number == 3
    (only,) = chosen(
        options(workload=["put"], controller='{"type": "fixed-load", "opts": {"transactionLoad": 5}}', seconds=1.0)
    ).rounds
    assert only.rateControl.type == "fixed-load"


def one_round(**changes: object) -> dict[str, object]:
    return {"label": "a", "workload": {"module": "put"}, "txNumber": 1, "rateControl": {"type": "zero-rate"}} | changes


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"rounds": []}, "test.rounds"),
        ({"rounds": [one_round(txDuration=3)]}, "either txNumber or txDuration"),
        ({"rounds": [one_round(workload={"module": "sing"})]}, "there are the workloads put"),
        ({"rounds": [one_round(rateControl={"type": "fixed-rate", "opts": {"speed": 1}})]}, "fixed-rate: tps"),
        ({"rounds": [one_round()], "topologies": ["ring"]}, "no topology 'ring'"),
        ({"rounds": [one_round()], "rnds": 1}, "test.rnds"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(tmp_path: Path, test: dict[str, object], said: str) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(json.dumps({"test": {"name": "x"} | test}))
    with pytest.raises(SettingsError, match=said):
        chosen(options(config=path))


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
        spec_of(test, share, {})
