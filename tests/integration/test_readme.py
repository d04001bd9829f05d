"""README's section "Your first chaincode": a newcomer who types what stands there gets to a proved transaction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.readme_path import Step, copy_of_the_checkout, environment, move_ports, walk

WITHIN_S = 240.0

pytestmark = pytest.mark.timeout(WITHIN_S + 60)


def said(steps: list[Step], part: str) -> str:
    """What the last command with ``part`` in it said."""
    return next(step.output for step in reversed(steps) if part in step.command)


def test_the_path_of_readme_leads_to_a_proved_transaction(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    move_ports(checkout)
    steps = walk(checkout, environment=environment(), within_s=WITHIN_S)
    assert steps[-1].code == 0, steps[-1]
    assert steps[-1].command.endswith("gridledger down")
    assert json.loads(said(steps, "simulate"))["payload"] == 2.5
    assert " is ready after" in said(steps, "gridledger up")
    assert said(steps, "chaincode deploy").startswith("hello is on shard1")
    assert said(steps, "gridledger query") == "4.0\n"
    assert said(steps, "gridledger events").count("recorded") == 2
    history = steps[-4].output.splitlines()
    assert [line.split()[-2] for line in history[1:]] == ["4.0", "2.5"]
    proof = said(steps, "--proof")
    assert "proof         holds" in proof
    assert "(genuine)" in proof


@pytest.mark.parametrize(
    ("right", "wrong"), [("simulate hello", "simulate hullo"), ("put_state(meter", "put_stat(meter")], ids=str
)
def test_the_path_ends_where_readme_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path)
    readme = checkout / "README.md"
    readme.write_text(readme.read_text().replace(right, wrong))
    steps = walk(checkout, environment=environment(), within_s=WITHIN_S)
    assert steps[-1].code != 0
    assert "simulate" in steps[-1].command
