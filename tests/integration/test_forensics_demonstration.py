"""The demonstration of forensics as a person starts it: everything planted is found and proved, nobody else accused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridledger.network.schema import load_network_config
from services.case.demonstration.demo import NETWORK
from services.case.replay.ukraine2015 import story
from tests.support.network_configs import with_free_ports
from tests.support.processes import REPOSITORY, running

SEED, REPLAY_S, QUANTITY = 7, 240.0, 0.5

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(1800)]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One that was run: how its command ended, and where its files are."""

    code: int
    said: str
    out: Path
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    place = tmp_path_factory.mktemp("forensics")
    config = load_network_config(NETWORK)
    offset = with_free_ports(config).ca.port - config.ca.port
    how = ["--seed", str(SEED), "--replay-s", f"{REPLAY_S:g}", "--quantity", f"{QUANTITY:g}"]
    where = ["--dir", str(place / "net"), "--out", str(place / "out"), "--port-offset", str(offset)]
    command = [sys.executable, "-m", "services.case", "demo", *how, *where]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1500, check=False)
    summary = json.loads((place / "out" / "summary.json").read_bytes())
    yield Demonstration(done.returncode, done.stdout + done.stderr, place / "out", summary)
    assert running(str(place / "net")) == []


def test_all_that_was_planted_is_found_and_proved(shown: Demonstration) -> None:
    assert shown.code == 0, shown.said
    assert shown.summary["passed"]
    assert [each["text"] for each in shown.summary["expectations"] if not each["held"]] == []
    planted = story(SEED, replay_s=REPLAY_S, quantity=QUANTITY).truth.planted
    told = {(each["rule"], *sorted(each["subject"].items())) for each in shown.summary["planted"]}
    assert {(each.rule, *sorted(each.subject.items())) for each in planted} <= told
    assert shown.summary["package"]["outcome"] == "proved"
    assert shown.summary["package"]["elsewhere"]["code"] == 0


def test_what_it_leaves_is_there(shown: Demonstration) -> None:
    for name in ("report.html", "case.zip", "timeline.csv", "clock.png", "enf-call.png", "enf-other.png"):
        assert (shown.out / name).stat().st_size > 1_000, name
    with (shown.out / "timeline.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= shown.summary["played"]["events"]
    page = (shown.out / "report.html").read_text(encoding="utf-8")
    assert shown.summary["package"]["sha256"] in page
    assert "gps-spoofing" in page
