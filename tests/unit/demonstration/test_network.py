"""A demonstration's network: which folders are cleared, what ends its work, and what is wrong at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from gridledger.client.profile import ConnectionProfile
from gridledger.demonstration.network import DemoNetwork, Place, clear, described, disagreements
from gridledger.errors import SettingsError
from gridledger.network.folder import NetworkFolder
from gridledger.network.status import ChannelState, NetworkState, PeerState
from gridledger.network.supervisor import ProcessEnded, Supervisor
from tests.support.processes import REPOSITORY


class Watched:
    """The part of a supervisor that is needed here: it ends the network when it is told to."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def watch(self) -> None:
        await self.ended.wait()
        raise ProcessEnded("peer1 ended")


def network(supervisor: Watched | None) -> DemoNetwork:
    return DemoNetwork(cast("ConnectionProfile", None), 1.0, cast("Supervisor | None", supervisor))


def test_the_folder_of_an_earlier_network_is_cleared(tmp_path: Path) -> None:
    folder = NetworkFolder(tmp_path / "network")
    clear(folder)
    folder.root.mkdir()
    folder.config.write_text("{}")
    clear(folder)
    assert not folder.root.exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("three years of work")
    with pytest.raises(SettingsError, match="holds something other than a network"):
        clear(NetworkFolder(tmp_path))
    assert (tmp_path / "thesis.odt").exists()


def test_companions_have_further_settings_for_a_demonstration() -> None:
    place = Place(
        REPOSITORY / "network-config" / "substation.yaml",
        REPOSITORY / "out",
        REPOSITORY,
        port_offset=7,
        settings={"server5004": {"minute_s": 6}},
    )
    companions = {spec.name: spec for spec in described(place).companions}
    assert companions["server5004"].settings == {**companions["server5005"].settings, "server": "5004", "minute_s": 6}
    assert "minute_s" not in companions["server5005"].settings
    assert companions["server5004"].port == 5011


@pytest.mark.parametrize("supervised", [False, True])
async def test_work_that_ends_gives_its_result(supervised: bool) -> None:
    async def work() -> int:
        return 7

    assert await network(Watched() if supervised else None).run(work()) == 7


async def test_work_ends_with_the_network() -> None:
    supervisor = Watched()
    left_off = asyncio.Event()

    async def work() -> None:
        supervisor.ended.set()
        try:
            await asyncio.Event().wait()
        finally:
            left_off.set()

    with pytest.raises(ProcessEnded, match="peer1 ended"):
        await network(supervisor).run(work())
    assert left_off.is_set()


def test_channels_that_are_not_level_and_nodes_down_are_told() -> None:
    level = ChannelState({"peer1": PeerState(3, "aa"), "peer2": PeerState(3, "aa")})
    behind = ChannelState({"peer1": PeerState(3, "aa"), "peer2": PeerState(2, "bb")})
    state = NetworkState({"one": level, "two": behind}, {"orderer1": "no answer"}, [])
    assert disagreements(state) == ["two", "orderer1 is down"]
