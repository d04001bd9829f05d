"""A ledger on disk with a world state, and chaincode folders, for the tests of hosts and pools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gridledger import jsontext
from gridledger.contract.hosting.pool import HostPool
from gridledger.ledger import Head
from gridledger.ledger.codec import HEAD, Table, cut_key, pack_state, whole_key
from gridledger.ledger.lmdb_store import LmdbStore
from gridledger.ledger.store import CommitBatch
from gridledger.protocol.result import Version
from tests.support.wild_chaincode import CONTRACT, Pools

MakeLedger = Callable[..., LmdbStore]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Peers run on uvloop, which starts and reaps processes in its own way."""
    del config, item
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def ledger_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "ledgers"
    folder.mkdir()
    return folder


@pytest.fixture
def make_ledger(ledger_dir: Path) -> MakeLedger:
    """Create or continue the ledger of a channel with these values of namespace ``test``."""

    def make(channel: str, height: int = 1, **values: Any) -> LmdbStore:
        (ledger_dir / channel).mkdir(exist_ok=True)
        store = LmdbStore(ledger_dir / channel, readonly=False, map_bytes=1 << 30)
        with store.reader() as reader:
            batch = CommitBatch(head_before=reader.get(Table.META, HEAD))
        batch.put(Table.META, HEAD, Head(height, 1, "0" * 64, "0" * 64, 0, height).to_bytes())
        for key, value in values.items():
            whole = whole_key("test", key)
            text = jsontext.dumps(value)
            batch.put(Table.STATE, cut_key(whole), pack_state(whole, Version(height - 1, 0), text))
        store.commit(batch)
        return store

    return make


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "contract.py").write_text(CONTRACT)
    return folder


@pytest.fixture
def pools(package: Path, ledger_dir: Path, make_ledger: Callable[..., Any]) -> Pools:
    make_ledger("c1", a=1, b=2)

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[HostPool]:
        pool = HostPool(package, ledger_dir, **({"size": 1, "call_timeout_s": 10.0} | options))
        async with pool:
            yield pool

    return make
