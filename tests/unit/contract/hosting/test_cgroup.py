"""Control groups of hosts: where one can be made, what it bounds, and that it goes with its host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gridledger.contract.hosting import cgroup
from gridledger.contract.hosting.cgroup import HostGroup, delegated
from tests.support.wild_chaincode import Pools, payload

MIB = 1 << 20


def tree(folder: Path, *, outer: str, inner: str) -> tuple[Path, Path]:
    """Control groups as files: ``unit`` with these controllers for its children, and ``peer`` in it. The root, and what
    the kernel says of this process."""
    root = folder / "cgroup"
    (root / "unit" / "peer").mkdir(parents=True)
    for group, controllers in (("unit", outer), ("unit/peer", inner)):
        (root / group / "cgroup.subtree_control").write_text(controllers)
        (root / group / "cgroup.procs").write_text("")
    own = folder / "own"
    own.write_text("1:name=systemd:/other\n0::/unit/peer\n")
    return root, own


@pytest.mark.parametrize(
    ("outer", "inner", "found"),
    [("cpu", "memory pids", "unit/peer"), ("memory pids", "", "unit"), ("cpu pids", "", None)],
)
def test_a_group_is_made_where_memory_is_delegated(tmp_path: Path, outer: str, inner: str, found: str | None) -> None:
    root, own = tree(tmp_path, outer=outer, inner=inner)
    assert delegated(root, own) == (None if found is None else root / found)


@pytest.mark.parametrize("text", ["4:memory:/x\n", ""])
def test_version_1_alone_delegates_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "own").write_text(text)
    assert delegated(tmp_path, tmp_path / "own") is None
    assert delegated(tmp_path, tmp_path / "missing") is None


def test_a_host_is_put_into_a_bounded_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = tree(tmp_path, outer="memory pids", inner="")
    monkeypatch.setattr(cgroup, "delegated", lambda *_: root / "unit")
    group = HostGroup.of(4711, 512 * MIB)
    assert group is not None
    assert group.folder == root / "unit" / f"chaincode-{os.getpid()}-4711"
    written = {path.name: path.read_text() for path in group.folder.iterdir()}
    assert written == {
        "memory.max": str(1280 * MIB),
        "pids.max": "1",
        "memory.swap.max": "0",
        "cgroup.procs": "4711",
    }
    assert HostGroup.of(4711, 512 * MIB) is None  # it is there already


@pytest.mark.skipif(
    delegated(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")) is None, reason="no group is delegated"
)
async def test_a_hosts_group_goes_with_it(pools: Pools) -> None:
    parent = delegated(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    assert parent is not None
    async with pools() as pool:
        host = await payload(pool, "pid")
        folder = parent / f"chaincode-{os.getpid()}-{host}"
        assert (folder / "cgroup.procs").read_text().split() == [str(host)]
    assert not folder.exists()


async def test_a_group_is_removed_when_its_host_ends(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[HostGroup] = []
    removed: list[HostGroup] = []

    def of(pid: int, memory_bytes: int) -> HostGroup:
        made.append(HostGroup(Path(f"/nowhere/{pid}-{memory_bytes}")))
        return made[-1]

    def remove(group: HostGroup) -> None:
        removed.append(group)

    monkeypatch.setattr(HostGroup, "of", of)
    monkeypatch.setattr(HostGroup, "remove", remove)
    async with pools(memory_bytes=256 * MIB) as pool:
        host = await payload(pool, "pid")
        assert [group.folder.name for group in made] == [f"{host}-{256 * MIB}"]
        assert removed == []
    assert removed == made
