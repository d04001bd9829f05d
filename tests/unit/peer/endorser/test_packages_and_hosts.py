"""Installed packages, and the hosts that run them: real folders, real processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.contract import packaging
from gridledger.contract.hosting.host_process import ChaincodeUnavailable
from gridledger.errors import InputError, LimitError
from gridledger.protocol.result import Result
from services.peer.channel import Channel
from services.peer.endorser import packages as packages_module
from services.peer.endorser.endorser import Admitted
from services.peer.endorser.hosts import ChaincodeHosts
from services.peer.endorser.packages import Packages
from services.peer.errors import ChaincodeNotInstalled
from services.peer.settings import HostLimits
from tests.support import peer_world as world
from tests.support.processes import REPOSITORY

KV = packaging.pack(REPOSITORY / "chaincode" / "kv")
KV_ID = packaging.package_id(KV)


def broken_package(folder: Path) -> bytes:
    folder.mkdir()
    (folder / "contract.py").write_text("raise ValueError('it does not load')\n")
    return packaging.pack(folder)


def test_package_is_installed_once(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    assert packages.installed() == []
    assert packages.folder(KV_ID) is None
    assert packages.install(KV) == KV_ID == packages.install(KV)
    assert [(item.id, item.size) for item in packages.installed()] == [(KV_ID, len(KV))]
    folder = Packages(tmp_path).folder(KV_ID)
    assert folder is not None
    assert (folder / "contract.py").exists()


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


class House:
    def __init__(self, folder: Path) -> None:
        self.chain = world.Chain(folder / "ledger", world.config(package=KV_ID))
        self.channel = Channel(self.chain.ledger)
        self.packages = Packages(folder / "packages")
        self.hosts = ChaincodeHosts(self.packages, folder / "ledger", HostLimits(processes=1))

    def admitted(self, *args: Any, function: str = "put", **definition: Any) -> Admitted:
        signed = world.proposal(*args, function=function)
        known = replace(self.channel.config.chaincodes["kv"], **definition)
        return Admitted(signed, self.channel, known, world.identity(world.client(), "client"))


async def test_hosts_follow_configs_and_installations(tmp_path: Path) -> None:
    house = House(tmp_path)
    try:
        await house.hosts.follow([house.channel.config])
        with pytest.raises(ChaincodeNotInstalled) as caught:
            await house.hosts.run(house.admitted("k", 1))
        assert caught.value.details["package"] == KV_ID
        await asyncio.to_thread(house.packages.install, KV)
        await house.hosts.installed(KV_ID)
        result = Result.parse(await house.hosts.run(house.admitted("k", 1)))
        assert [tuple(write) for write in result.writes] == [("k", 1)]
        assert len(house.hosts.status()) == 1
        # A config that names the package no more ends its hosts.
        await house.hosts.follow([replace(house.channel.config, chaincodes={})])
        assert house.hosts.status() == {}
    finally:
        await house.hosts.close()


async def test_chaincode_that_does_not_load_says_so_at_every_call(tmp_path: Path) -> None:
    house = House(tmp_path)
    package = broken_package(tmp_path / "broken")
    identifier = house.packages.install(package)
    broken = replace(house.channel.config.chaincodes["kv"], package=identifier)
    try:
        await house.hosts.follow([replace(house.channel.config, chaincodes={"kv": broken})])
        with pytest.raises(ChaincodeUnavailable, match="it does not load"):
            await house.hosts.run(house.admitted("k", 1, package=identifier))
    finally:
        await house.hosts.close()
