"""The relay's demonstration as a person starts it: a network, its faults and lies, and the files that it leaves."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gridledger.network.schema import load_network_config
from services.relay.article import verify_chain
from tests.support.network_configs import with_free_ports
from tests.support.processes import REPOSITORY, running

SUBSTATION = REPOSITORY / "network-config" / "substation.yaml"

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(400)]


def test_the_story_is_told_and_all_expectations_hold(tmp_path: Path) -> None:
    config, out = load_network_config(SUBSTATION), tmp_path / "out"
    offset = with_free_ports(config).ca.port - config.ca.port
    arguments = ["--dir", str(tmp_path / "net"), "--out", str(out), "--port-offset", str(offset)]
    command = [sys.executable, "-m", "services.relay", "demo", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nAll 10 expectations held." in done.stdout
    assert done.stderr == ""
    summary = json.loads((out / "summary.json").read_bytes())
    minutes = {minute["number"]: minute for minute in summary["minutes"]}
    assert list(minutes) == list(range(1, 13))
    assert summary["gaps"] == []
    assert [number for number, minute in minutes.items() if minute["verdict"] == "disputed"] == [9]
    assert minutes[8]["against"] == ["5006"]
    assert minutes[12]["against"] == [minutes[12]["winner"]] == ["5007"]
    assert minutes[12]["record_sha256"] == minutes[12]["told_sha256"] != summary["lies"]["12"]
    assert 0 < summary["update_ms"]["p50"] < 1000
    (channel,) = summary["channels"].values()
    assert len({peer["commit_hash"] for peer in channel["peers"].values()}) == 1
    assert verify_chain((out / "chain.json").read_bytes()) == summary["chain"]
    assert summary["chain"]["length"] == 1 + 12
    with (out / "captures.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 12 * 6
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "All 10 expectations held" in (out / "report.html").read_text(encoding="utf-8")
    assert running(str(tmp_path / "net")) == []
