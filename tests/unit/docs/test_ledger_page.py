"""The examples of docs/ledger.md run on a real ledger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.paper import PaperNetwork, PaperPeer

PAGE = Path(__file__).resolve().parents[3] / "docs" / "ledger.md"
OPENING, COMMITTING, VERIFYING = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def peer(tmp_path: Path) -> PaperPeer:
    paper = PaperNetwork("shard1")
    peer = PaperPeer(tmp_path, paper)
    for _ in range(2):
        peer.commit(paper.transaction({"group/1": {"buses": [1]}, "vsi/1/0001": 0.3, "vvc/1": [1.5]}))
    return peer


def run(example: str, **names: Any) -> dict[str, Any]:
    exec(example, names)
    return names


def test_example_of_reading_finds_state_and_history(
    peer: PaperPeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = '"out/network/nodes/peer1/data/ledger"'
    assert folder in OPENING
    run(OPENING.replace(folder, repr(str(tmp_path))).replace('"dvs"', '"kv"'))
    said = capsys.readouterr().out
    assert f"3 {peer.ledger.commit_hash}" in said
    assert "Status(tx_id=" in said
    assert """value=b'{"buses":[1]}'""" in said
    assert "vsi/1/0001 b'0.3'" in said
    assert "2 0 [1.5]\n1 0 [1.5]\n" in said


def test_example_of_committing_commits(peer: PaperPeer, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [peer.chain.next(peer.chain.paper.transaction({"a": 1}))]
    run(COMMITTING, ledger=peer.ledger, blocks=blocks)
    assert peer.ledger.height == 4
    assert capsys.readouterr().out.startswith(f"3 {peer.ledger.commit_hash} (<TxValidationCode.VALID: 0>,) ()")


def test_example_of_verifying_says_that_all_agrees(peer: PaperPeer, capsys: pytest.CaptureFixture[str]) -> None:
    run(VERIFYING, ledger=peer.ledger)
    assert "3 blocks, 3 transactions" in capsys.readouterr().out
