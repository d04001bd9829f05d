"""A channel and its chain, once for all tests of a module: keys and certificates are what costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from tests.support.channel import Chain, Channel


@pytest.fixture
def channel() -> Channel:
    return Channel.make()


@pytest.fixture
def chain(channel: Channel) -> Chain:
    return Chain(channel)


@pytest.fixture
def ledger(tmp_path: Path, channel: Channel) -> Iterator[Ledger]:
    with Ledger.create(tmp_path, channel.genesis) as opened:
        yield opened


@pytest.fixture
def committer(ledger: Ledger) -> BlockCommitter:
    return BlockCommitter(ledger)
