"""A network on a disk that becomes full: one clear line, no traceback, and it goes on once there is room."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from gridledger.client import connect
from gridledger.errors import GridLedgerError
from tests.support.command import Up, gridledger
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import all_gone, family
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
FULL = "no space left on device: free space in "


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """The network's folder is the disk's top folder; what the command says is written elsewhere."""
    with small_disk(tmp_path / "network") as disk:
        yield disk


def _describe(tmp_path: Path, on_exit: str = "leave") -> Path:
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump({**few_nodes().model_dump(mode="json"), "on_exit": on_exit}))
    return path


async def _put(folder: Path, value: int) -> list[object]:
    """Write a key; all values that it has had, the newest first."""
    async with await connect(folder) as gateway:
        network = gateway.get_network(CHANNEL)
        await network.get_contract("kv").submit_transaction("put", "k", value)
        return [item.value for item in await network.get_history("kv", "k")]


async def _goes_on(folder: Path) -> None:
    """Wait until a transaction is taken again: nodes try their neighbours again after pauses."""

    async def taken() -> bool:
        return (await _put(folder, 2))[0] == 2

    await eventually(taken, within_s=90, what="a transaction that is taken", ignore=(GridLedgerError,))


async def _fill_until_an_orderer_ends(disk: SmallDisk) -> None:
    disk.fill()
    with suppress(GridLedgerError):
        await _put(disk.root, 0)


@pytest.mark.parametrize("free_kib", [0, 60, 100, 180, 300])
async def test_a_start_on_a_full_disk_is_refused_in_one_line(tmp_path: Path, disk: SmallDisk, free_kib: int) -> None:
    """Wherever the disk becomes full: before the CA starts, in its registry, while certificates are made."""
    description = _describe(tmp_path)
    disk.fill(free_kib=free_kib)
    done = await asyncio.to_thread(gridledger, "up", description, "--dir", disk.root)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert done.stderr.startswith(f"error: {FULL}{disk.root}")


@pytest.mark.deep
async def test_a_start_that_found_no_room_is_begun_anew(tmp_path: Path, disk: SmallDisk) -> None:
    description = _describe(tmp_path)
    disk.fill(free_kib=180)
    done = await asyncio.to_thread(gridledger, "up", description, "--dir", disk.root)
    assert done.returncode == 1
    disk.make_room()
    up = Up(description, disk.root)
    await up.start("--quiet")
    try:
        assert await _put(disk.root, 1) == [1]
    finally:
        assert await up.end(signal.SIGTERM) == 0


@pytest.mark.deep
async def test_a_network_that_ran_out_of_room_goes_on(tmp_path: Path, disk: SmallDisk) -> None:
    """Detached: the supervisor's own log has no room either."""
    description = _describe(tmp_path)
    done = await asyncio.to_thread(gridledger, "up", description, "--dir", disk.root, "--detach")
    assert done.returncode == 0, done.stderr
    everything = family(int((disk.root / "supervisor.lock").read_text()))
    try:
        assert await _put(disk.root, 1) == [1]
        await _fill_until_an_orderer_ends(disk)
        shown = await asyncio.to_thread(gridledger, "status", "--dir", disk.root)
        place = re.escape(f"{FULL}{disk.root}/nodes/orderer1/data")
        ending = re.compile(rf"orderer1     ended with exit code 1: {place}\S* \(gridledger start orderer1\)")
        assert any(ending.fullmatch(line) for line in shown.stdout.splitlines()), shown.stdout
        assert "\npeer1        up " in shown.stdout
        disk.make_room()
        started = await asyncio.to_thread(gridledger, "start", "orderer1", "--dir", disk.root)
        assert (started.returncode, started.stderr) == (0, "")
        await _goes_on(disk.root)
        for log in (disk.root / "logs").iterdir():
            assert not any(line.startswith("Traceback") for line in log.read_text().splitlines()), log
    finally:
        down = await asyncio.to_thread(gridledger, "down", "--dir", disk.root)
    assert (down.returncode, down.stderr) == (0, "")
    await all_gone(everything)


@pytest.mark.deep
async def test_a_restarting_network_goes_on_by_itself(tmp_path: Path, disk: SmallDisk) -> None:
    up = Up(_describe(tmp_path, "restart"), disk.root)
    await up.start("--quiet")
    try:
        assert await _put(disk.root, 1) == [1]
        await _fill_until_an_orderer_ends(disk)

        async def told(text: str) -> bool:
            return text in up.stderr

        await eventually(lambda: told(f"orderer1 ended with exit code 1: {FULL}"), within_s=20, what="one line")
        disk.make_room()
        await _goes_on(disk.root)
        assert "orderer1 is up again" in up.stderr
        assert all(line.startswith("orderer1 ") for line in up.stderr.splitlines()), up.stderr
    finally:
        assert await up.end(signal.SIGTERM) == 0
