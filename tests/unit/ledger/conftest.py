"""A network on paper with three organisations, its chain, and a ledger on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from tests.support.paper import PaperChain, PaperNetwork


@pytest.fixture
def paper() -> PaperNetwork:
    return PaperNetwork(organisations=3)


@pytest.fixture
def chain(paper: PaperNetwork) -> PaperChain:
    return PaperChain(paper)


@pytest.fixture
def ledger(tmp_path: Path, paper: PaperNetwork) -> Iterator[Ledger]:
    with Ledger.create(tmp_path, paper.genesis) as opened:
        yield opened


@pytest.fixture
def committer(ledger: Ledger) -> BlockCommitter:
    return BlockCommitter(ledger)
