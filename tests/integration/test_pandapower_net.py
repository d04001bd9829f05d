"""The script of docs/cases.md: a pandapower net in the closed loop."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.feeder.results.run_folder import RunFolder
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.mark.deep
async def test_a_pandapower_net_runs_in_the_closed_loop(network: LocalNetwork, tmp_path: Path) -> None:
    script = REPOSITORY / "docs" / "examples" / "pandapower_net.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), str(network.folder.root), str(tmp_path)),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        output = (await process.communicate())[0].decode()
    assert process.returncode in (0, 1), output
    run = RunFolder.at(tmp_path / "pandapower")
    assert run.info["actions"] >= 1, output
    assert len(set(run.to_frame("buses")["bus"])) == 24
