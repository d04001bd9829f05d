"""What ``make bench`` runs, given a file and a command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.commands.bench import DEFAULT, selected
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
    assert selected(options(config=path)).rounds


def test_the_command_line_changes_a_file() -> None:
    test = selected(options(workload=["query"], seconds=2.0, workers=3))
    assert {item.workload.module for item in test.rounds} == {"query"}
    assert {item.txDuration for item in test.rounds} == {2.0}
    assert test.workers.number == 3
    (only,) = selected(
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
        selected(options(config=path))
