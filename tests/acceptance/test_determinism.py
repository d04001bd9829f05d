"""The same input, the same result: the contract to the bit everywhere, the power flow to the bit here, else to 1e-9."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridledger.grid.case import load_case
from gridledger.grid.power_flow import Grid, GridState, PowerFlow
from tests.support.contract_replay import read, replayed
from tests.support.make_determinism import CONTRACT, POWER_FLOW, made_on, solved_states
from tests.support.processes import REPOSITORY

STATES = read(POWER_FLOW)["states"]
NAMES = [f"{at}-{state['case']}" for at, state in enumerate(STATES)]


def other_pythons() -> list[Path]:
    """Interpreters from 3.11 on that pyenv has, one of each minor version, this one's left out."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(root.glob("*/bin/python")):
        if match := re.fullmatch(r"3\.([0-9]+)\.[0-9]+t?", path.parents[1].name):
            version = (3, int(match[1]))
            if version >= (3, 11) and version != sys.version_info[:2]:
                found[version] = path
    return list(found.values())


def test_the_runs_use_every_part_of_the_contract() -> None:
    """What is compared below: all functions that write, both profiles, injections, merges, releases."""
    calls = read(CONTRACT)["calls"]
    functions = {"InitialGrouping", "UpdateResources", "ComputeVSI", "GlobalController", "Lend", "Adopt", "Split"}
    assert {function for _, function, _ in calls} == functions | {"Restore", "Close"}
    profiles = {argument["profile"] for _, function, argument in calls if function == "InitialGrouping"}
    assert profiles == {"published", "corrected"}
    assert any("release" in argument for _, function, argument in calls if function == "InitialGrouping")
    assert Counter(function for _, function, _ in calls)["ComputeVSI"] > 300


def test_contract_results_are_equal_to_the_bit() -> None:
    golden = read(CONTRACT)
    found = replayed([tuple(call) for call in golden["calls"]])
    for number, (call, answer) in enumerate(zip(golden["calls"], golden["answers"], strict=True)):
        assert found["answers"][number] == answer, (
            f"call {number}, {call[1]} on {call[0]}: run python -m tests.support.make_determinism if this is on purpose"
        )
    assert found["states"] == golden["states"]
    assert set(found["outcomes"]) >= {"normal", "injected", "escalate", "stale", "released"}


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_contract_results_are_equal_under_other_pythons(tmp_path: Path) -> None:
    """The base install of each in an environment of its own."""
    pythons = other_pythons()
    if not pythons:
        pytest.skip("NOT TESTED: pyenv has no other Python from 3.11 on, so nothing was compared across versions")
    golden = read(CONTRACT)
    for python in pythons:
        venv = tmp_path / python.parents[1].name
        subprocess.run([str(python), "-m", "venv", str(venv)], check=True)
        own = venv / "bin" / "python"
        subprocess.run([str(own), "-m", "pip", "install", "--quiet", str(REPOSITORY)], check=True)
        done = subprocess.run(
            [str(own), "-m", "tests.support.contract_replay", str(CONTRACT)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{venv.name}: {done.stderr}"
        found = json.loads(done.stdout)
        assert found["states"] == golden["states"], venv.name
        assert found["answers"] == golden["answers"], venv.name


def solved(golden: dict[str, Any]) -> GridState:
    """The state of a golden one's loads, solved now."""
    grid = Grid(PowerFlow(load_case(golden["case"]), enforce_q_limits=golden["enforce_q_limits"]))
    grid.set_loads({int(bus): (p, q) for bus, (p, q) in golden["loads"]})
    return grid.state()


@pytest.mark.parametrize("golden", STATES, ids=NAMES)
def test_power_flows_are_equal_to_1e_9(golden: dict[str, Any]) -> None:
    state = solved(golden)
    for name in ("vm", "va", "flows"):
        np.testing.assert_allclose(getattr(state, name), np.array(golden[name]), rtol=0.0, atol=1e-9, err_msg=name)


def test_power_flows_are_equal_to_the_bit_under_one_lock_and_processor() -> None:
    made = read(POWER_FLOW)["made_on"]
    if made != made_on():
        pytest.skip(f"the states were made with {made}, this is {made_on()}: 1e-9 holds, bits need not")
    for golden in STATES:
        state = solved(golden)
        for name in ("vm", "va", "flows"):
            assert getattr(state, name).tolist() == golden[name], (golden["case"], name)


def test_power_flows_are_equal_to_the_bit_in_every_process() -> None:
    program = (
        "import json; from tests.support.make_determinism import solved_states; print(json.dumps(solved_states()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=100
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(solved_states()))
