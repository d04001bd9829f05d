"""Hosts read one state each, though they touch no lock of LMDB's: the peer holds the views that keep it for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from gridledger.contract.hosting.guarded_views import GuardedViews
from gridledger.contract.hosting.host_process import ChaincodeCrashed, ChaincodeTimeout
from gridledger.ledger.errors import StorageFailed
from gridledger.ledger.lmdb_store import DEFAULT_MAP_BYTES, LmdbStore
from tests.support.waiting import until
from tests.support.wild_chaincode import Pools, call, payload

pytestmark = pytest.mark.timeout(120)
KEYS = 60
PADDING = "x" * 3000


@pytest.fixture
def store(make_ledger: Callable[..., LmdbStore]) -> LmdbStore:
    return make_ledger("c1", a=1)


def registered(store: LmdbStore) -> list[tuple[int, str]]:
    """Process and transaction of each reader that LMDB knows."""
    environment = store._environment
    assert environment is not None
    rows = [line.split() for line in environment.handle.readers().splitlines()[1:]]
    return [(int(row[0]), row[-1]) for row in rows]


def open_views(store: LmdbStore) -> list[int]:
    return [process for process, transaction in registered(store) if transaction != "-"]


async def test_a_snapshot_stays_as_it_is_through_200_commits(
    pools: Pools, make_ledger: Callable[..., LmdbStore]
) -> None:
    made = 1

    def commit_all() -> None:
        nonlocal made
        while made <= 200:
            made += 1
            make_ledger("c1", made, **{f"k{number:02}": f"{made} {PADDING}" for number in range(KEYS)})

    make_ledger("c1", 2, **{f"k{number:02}": f"1 {PADDING}" for number in range(KEYS)})
    async with pools(size=2) as pool:
        writing = asyncio.get_running_loop().run_in_executor(None, commit_all)
        states = set()
        while not writing.done():
            for count, values in await asyncio.gather(*(payload(pool, "seen_twice", 0.02) for _ in range(2))):
                assert count == KEYS
                assert len(values) == 1
                states.add(values[0].split()[0])
        await writing
    assert len(states) > 3


async def test_views_are_held_for_calls_and_let_go(pools: Pools, store: LmdbStore) -> None:
    async with pools() as pool:
        running = asyncio.create_task(payload(pool, "nap", 0.3))
        await until(lambda: open_views(store) == [os.getpid()])
        await until(lambda: not pool._views._newest)
        assert open_views(store) == [os.getpid()]
        await running
        await until(lambda: open_views(store) == [])


async def test_views_are_let_go_when_a_host_dies_or_hangs(pools: Pools, store: LmdbStore) -> None:
    async with pools(call_timeout_s=0.5) as pool:
        with pytest.raises(ChaincodeCrashed):
            await call(pool, "die")
        await until(lambda: open_views(store) == [])
        with pytest.raises(ChaincodeTimeout):
            await call(pool, "hang")
        await until(lambda: open_views(store) == [])
        pending = asyncio.create_task(call(pool, "hang"))
        await until(lambda: open_views(store) != [])
    await asyncio.gather(pending, return_exceptions=True)
    assert open_views(store) == []


async def test_a_ledger_that_cannot_be_read_costs_no_host(
    pools: Pools, store: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: GuardedViews, channels: object) -> NoReturn:
        raise StorageFailed("no places for readers are left")

    async with pools() as pool:
        host = await payload(pool, "pid")
        with monkeypatch.context() as patch:
            patch.setattr(GuardedViews, "hold", fails)
            with pytest.raises(StorageFailed):
                await call(pool, "pid")
        assert await payload(pool, "pid") == host
    await until(lambda: open_views(store) == [])


async def test_hosts_do_not_register_with_lmdb(pools: Pools, store: LmdbStore) -> None:
    async with pools() as pool:
        host = await payload(pool, "pid")
        assert host not in [process for process, _ in registered(store)]


@pytest.fixture
def views(ledger_dir: Path, store: LmdbStore) -> Iterator[GuardedViews]:
    del store
    views = GuardedViews(ledger_dir)
    yield views
    views.close()


async def test_batches_that_begin_together_share_a_view(views: GuardedViews, store: LmdbStore) -> None:
    first, second = views.hold(["c1"]), views.hold(["c1"])
    assert len(open_views(store)) == 1
    views.release(first)
    await until(lambda: not views._newest)
    later = views.hold(["c1"])
    assert len(open_views(store)) == 2
    views.release(second)
    assert len(open_views(store)) == 1
    views.release(later)
    await until(lambda: open_views(store) == [])


async def test_a_channel_without_a_ledger_is_left_out(views: GuardedViews, ledger_dir: Path) -> None:
    (ledger_dir / "empty").mkdir()
    (ledger_dir / "begun").mkdir()
    (ledger_dir / "begun" / "data.mdb").write_bytes(b"")
    held = views.hold(["nowhere", "empty", "c1"])
    assert [view.channel for view in held] == ["c1"]
    views.release(held)


def test_addresses_are_bounded_with_room_for_the_maps(views: GuardedViews, store: LmdbStore) -> None:
    assert store.map_bytes() == 1 << 30
    assert views.map_bytes() == DEFAULT_MAP_BYTES
