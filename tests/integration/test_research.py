"""The script of docs/research.md as a researcher runs it: a MATPOWER file and a running network in, a figure out."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.feeder.results.figures import named_buses
from services.feeder.results.run_folder import RunFolder
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.mark.deep
async def test_a_script_of_thirty_lines_draws_a_comparison(network: LocalNetwork, tmp_path: Path) -> None:
    script = REPOSITORY / "docs" / "examples" / "voltages.py"
    text = script.read_text()
    assert len(text.splitlines()) <= 30
    assert text.split("\n", 2)[2] in (REPOSITORY / "docs" / "research.md").read_text()
    case = REPOSITORY / "tests" / "data" / "cases" / "case39.m"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), str(case), str(network.folder.root), str(tmp_path)),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert {path.name for path in tmp_path.glob("voltages.*")} == {"voltages.png", "voltages.svg", "voltages.pdf"}
    controlled, uncontrolled = (RunFolder.at(tmp_path / name) for name in ("controlled", "uncontrolled"))
    assert controlled.info["actions"] >= 1, output
    assert uncontrolled.info["actions"] == 0
    bus = named_buses(controlled)[0]
    v = {}
    for run in (controlled, uncontrolled):
        buses = run.to_frame("buses")
        v[run.path.name] = list(buses[buses["bus"] == bus]["v_pu"])
    assert v["controlled"][0] == v["uncontrolled"][0]
    assert v["controlled"][-1] > v["uncontrolled"][-1] + 0.001, (bus, v)
