"""Installed packages, in real folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError, LimitError
from services.peer.endorser import packages as packages_module
from services.peer.endorser.packages import Packages
from tests.support.packages import KV, KV_ID, broken_package


def test_package_is_installed_once(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    assert packages.installed() == []
    assert packages.folder(KV_ID) is None
    assert packages.install(KV) == KV_ID == packages.install(KV)
    assert [(item.id, item.size) for item in packages.installed()] == [(KV_ID, len(KV))]
    folder = Packages(tmp_path).folder(KV_ID)
    assert folder is not None
    assert (folder / "contract.py").exists()


def test_what_is_unpacked_can_be_kept_or_discarded(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    folder = packages.unpack(KV)
    assert (folder / "contract.py").exists()
    assert (packages.installed(), packages.folder(KV_ID)) == ([], None)
    packages.discard(KV)
    assert not folder.exists()
    packages.unpack(KV)
    assert packages.keep(KV) == KV_ID
    packages.discard(KV)  # it is installed: nothing is removed
    assert (folder / "contract.py").exists()
    assert packages.folder(KV_ID) == folder


def test_missing_package_is_taken_from_the_seeds(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / f"{KV_ID}.tar.gz").write_bytes(KV)
    (seeds / f"{'0' * 64}.tar.gz").write_bytes(KV)
    packages = Packages(tmp_path / "own", seeds)
    assert packages.folder(KV_ID) is not None
    # A seed under a name that is not its own hash is no such package.
    assert packages.folder("0" * 64) is None
    assert packages.folder("../" + KV_ID) is None
    assert [item.id for item in packages.installed()] == [KV_ID]


def test_rubbish_and_too_many_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = Packages(tmp_path / "own")
    with pytest.raises(InputError):
        packages.install(b"rubbish")
    monkeypatch.setattr(packages_module, "MAX_PACKAGES", 1)
    packages.install(KV)
    with pytest.raises(LimitError):
        packages.install(broken_package(tmp_path / "broken"))
