"""The hosts of installed packages: real folders, real processes."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.contract import packaging
from gridledger.contract.hosting import landlock
from gridledger.contract.hosting.host_process import ChaincodeUnavailable
from gridledger.contract.loader import ChaincodeLoadError
from gridledger.protocol.result import Result
from services.peer.channel import Channel
from services.peer.endorser.endorser import AdmittedProposal
from services.peer.endorser.hosts import ChaincodeHosts
from services.peer.endorser.packages import Packages
from services.peer.errors import ChaincodeNotInstalled
from services.peer.settings import HostLimits
from tests.support.packages import KV, KV_ID, broken_package
from tests.support.paper import PaperNetwork, PaperPeer
from tests.support.processes import children_of


class House:
    def __init__(self, folder: Path) -> None:
        self.paper = PaperNetwork(package=KV_ID)
        self.channel = Channel(PaperPeer(folder / "ledger", self.paper).ledger)
        self.packages = Packages(folder / "packages")
        self.hosts = ChaincodeHosts(self.packages, folder / "ledger", HostLimits(processes=1))

    def admitted(self, *args: Any, function: str = "put", **definition: Any) -> AdmittedProposal:
        signed = self.paper.signed_proposal(function, *args)
        known = replace(self.channel.config.chaincodes["kv"], **definition)
        return AdmittedProposal(signed, self.channel, known, self.paper.identity(self.paper.client))


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


async def test_a_package_is_checked_in_a_host_of_its_own(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.hosts.check(KV_ID, house.packages.unpack(KV))
    assert children_of(os.getpid(), "hosting.host") == []
    folder = house.packages.unpack(broken_package(tmp_path / "broken"))
    with pytest.raises(ChaincodeLoadError, match=r"^contract\.py, line 1: ValueError: it does not load$"):
        await house.hosts.check("id", folder)
    assert children_of(os.getpid(), "hosting.host") == []


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")
async def test_a_package_that_is_checked_sees_no_ledger(tmp_path: Path) -> None:
    house = House(tmp_path)
    source = tmp_path / "curious"
    source.mkdir()
    (source / "contract.py").write_text(f"import os\nos.listdir({str(tmp_path / 'ledger')!r})\n")
    with pytest.raises(ChaincodeLoadError, match="line 2: PermissionError"):
        await house.hosts.check("id", house.packages.unpack(packaging.pack(source)))


async def test_a_package_that_hangs_at_import_is_refused_in_time(tmp_path: Path) -> None:
    house = House(tmp_path)
    hosts = ChaincodeHosts(house.packages, tmp_path / "ledger", HostLimits(start_timeout_s=1.0))
    source = tmp_path / "hanging"
    source.mkdir()
    (source / "contract.py").write_text("while True: pass\n")
    with pytest.raises(ChaincodeLoadError, match=r"its host was not ready after 1\.0 s"):
        await hosts.check("id", house.packages.unpack(packaging.pack(source)))
    assert children_of(os.getpid(), "hosting.host") == []
