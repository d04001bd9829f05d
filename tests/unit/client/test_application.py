"""Where an application is, in which order its peers are used, and its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridledger.client.application import ContractCalls, application_of, each_item, given, peers_of
from gridledger.client.testing import FakeGateway
from gridledger.errors import SettingsError
from tests.support.paper_profile import paper_profile


def test_the_peer_of_the_own_organisation_comes_first(tmp_path: Path) -> None:
    found = paper_profile(tmp_path, {})
    assert peers_of(found, "main", "S2MSP") == ["peer2", "peer1", "peer3"]
    assert peers_of(found, "main", "S2MSP", "peer3") == ["peer3", "peer2", "peer1"]
    with pytest.raises(SettingsError, match="no peer peer9 on main; there are: peer1, peer2, peer3"):
        peers_of(found, "main", "S2MSP", "peer9")
    with pytest.raises(SettingsError, match="no peer of the channel other"):
        peers_of(found, "other", "S2MSP")


def test_a_network_without_the_application_is_told(tmp_path: Path) -> None:
    there = paper_profile(tmp_path, {"meters": {"channel": "main", "chaincode": "meter"}})
    assert application_of(there, "meters", "meter reading") == ("main", "meter")
    with pytest.raises(SettingsError, match=r"has no tariffs: its description wants applications\.tariffs"):
        application_of(there, "tariffs", "tariffs")
    half = paper_profile(tmp_path, {"meters": {"channel": "main"}})
    with pytest.raises(SettingsError, match=r"applications\.meters of the network net lacks 'chaincode'"):
        application_of(half, "meters", "meter reading")


async def test_the_next_page_is_asked_for_when_the_one_before_is_used_up() -> None:
    pages = {None: (["a", "b"], "c"), "c": ([], "d"), "d": (["e"], None)}
    asked: list[str | None] = []

    async def page(bookmark: str | None) -> dict[str, Any]:
        asked.append(bookmark)
        items, after = pages[bookmark]
        return {"items": [{"name": name} for name in items], "bookmark": after}

    found = each_item(page)
    assert (await anext(found), asked) == ({"name": "a"}, [None])
    assert [item["name"] async for item in found] == ["b", "e"]
    assert asked == [None, "c", "d"]


async def test_a_contract_alone_has_no_channel() -> None:
    contract = FakeGateway({"meter": {}}).get_network("main").get_contract("meter")
    with pytest.raises(SettingsError, match="for a contract alone"):
        await ContractCalls(contract).chain_info()
    assert given(limit=0, bookmark=None) == {"limit": 0}
