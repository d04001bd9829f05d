"""docs/tutorial.md, carried out as it stands: the same contract from the shell, Python, curl and the REST bridge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY
from tests.support.readme_path import copy_of_the_checkout, environment, move_ports, walk_page

WITHIN_S = 240.0
BRIDGE, GATEWAY = 7180, 7151

pytestmark = [pytest.mark.integration, pytest.mark.timeout(WITHIN_S + 60)]


@pytest.mark.deep
def test_the_tutorial_leads_through_every_way_of_calling(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    offset = move_ports(checkout)
    page = (REPOSITORY / "docs/tutorial.md").read_text().replace(f":{BRIDGE}", f":{BRIDGE + offset}")
    begin = [". .venv/bin/activate", "mkdir -p out"]
    text = "".join(f"    {line}\n" for line in begin) + page
    terminal = {**environment(), "GATEWAY": f"https://127.0.0.1:{GATEWAY + offset}"}
    steps = walk_page(text, checkout, environment=terminal, within_s=WITHIN_S)
    assert steps[-1].code == 0, steps[-1]
    assert steps[-1].command == "gridledger down"

    def said(part: str) -> str:
        return next(step.output for step in steps if part in step.command)

    assert "the asset meter7 already exists" in said("refused, as it should be")
    assert "size: must be an integer (int)" in said("refused: size is a number")
    assert said("transfer.py").splitlines()[-1] == "event TransferAsset Bob"
    assert said("fake.py") == "works without a network\n"
    assert json.loads(said("transaction.sh"))["code_name"] == "VALID"
    assert json.loads(said("curl"))["payload"]["Owner"] == "Carol"
    assert [line.count("Bob") for line in said("history").splitlines()].count(1) == 1
    assert "not all is well" in said("gridledger status")
