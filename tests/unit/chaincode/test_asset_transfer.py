"""The sample asset_transfer: what Fabric's asset-transfer-basic does, with the events of asset-transfer-events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from chaincode.samples.asset_transfer.contract import FIRST_ASSETS
from gridledger.contract.simulator.simulator import Simulator
from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "chaincode" / "samples" / "asset_transfer"
BLUE = {"ID": "asset7", "Color": "blue", "Size": 5, "Owner": "Tomoko", "AppraisedValue": 300}
CHANGES = ("CreateAsset", "UpdateAsset")


@pytest.fixture
def assets() -> Simulator:
    return Simulator(FOLDER)


@pytest.fixture
def with_blue(assets: Simulator) -> Simulator:
    assert assets.invoke("CreateAsset", *BLUE.values()).successful
    return assets


def test_the_ledger_begins_with_six_assets(assets: Simulator) -> None:
    begun = assets.invoke("InitLedger")
    assert (begun.status, begun.payload, begun.event) == (200, None, None)
    listed = assets.invoke("GetAllAssets").payload
    assert listed == [asdict(asset) for asset in FIRST_ASSETS]
    assert listed[2] == {"ID": "asset3", "Color": "green", "Size": 10, "Owner": "Jin Soo", "AppraisedValue": 500}
    assert [asset["ID"] for asset in listed] == [f"asset{number}" for number in range(1, 7)]


def test_an_asset_is_created_and_read(assets: Simulator) -> None:
    created = assets.invoke("CreateAsset", *BLUE.values())
    assert (created.status, created.payload, created.writes) == (200, None, {"asset7": BLUE})
    assert created.event == {"name": "CreateAsset", "payload": BLUE}
    assert assets.invoke("ReadAsset", "asset7").payload == BLUE
    assert [assets.invoke("AssetExists", name).payload for name in ("asset7", "asset8")] == [True, False]


def test_an_asset_is_created_once(with_blue: Simulator) -> None:
    refused = with_blue.invoke("CreateAsset", "asset7", "red", 1, "Max", 1)
    assert (refused.status, refused.message) == (400, "the asset asset7 already exists")
    assert with_blue.invoke("GetAllAssets").payload == [BLUE]


def test_an_update_replaces_all_but_the_id(with_blue: Simulator) -> None:
    updated = with_blue.invoke("UpdateAsset", "asset7", "red", 6, "Brad", 400)
    red = {"ID": "asset7", "Color": "red", "Size": 6, "Owner": "Brad", "AppraisedValue": 400}
    assert (updated.payload, updated.event) == (None, {"name": "UpdateAsset", "payload": red})
    assert with_blue.invoke("ReadAsset", "asset7").payload == red


def test_a_transfer_answers_the_owner_before(with_blue: Simulator) -> None:
    given = with_blue.invoke("TransferAsset", "asset7", "Christopher")
    assert given.payload == "Tomoko"
    assert given.event == {"name": "TransferAsset", "payload": BLUE | {"Owner": "Christopher"}}
    assert with_blue.invoke("ReadAsset", "asset7").payload == BLUE | {"Owner": "Christopher"}


def test_a_deleted_asset_is_told_as_it_was(with_blue: Simulator) -> None:
    deleted = with_blue.invoke("DeleteAsset", "asset7")
    assert (deleted.payload, deleted.event) == (None, {"name": "DeleteAsset", "payload": BLUE})
    assert deleted.writes == {"asset7": None}
    assert with_blue.invoke("AssetExists", "asset7").payload is False
    assert with_blue.invoke("GetAllAssets").payload == []


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("ReadAsset", ()),
        ("UpdateAsset", ("red", 1, "Max", 1)),
        ("DeleteAsset", ()),
        ("TransferAsset", ("Max",)),
    ],
)
def test_what_is_not_there_is_refused(assets: Simulator, function: str, args: tuple[Any, ...]) -> None:
    refused = assets.invoke(function, "asset9", *args)
    assert (refused.status, refused.message) == (400, "the asset asset9 does not exist")
    assert (refused.event, refused.writes) == (None, {})


@pytest.mark.parametrize("function", CHANGES)
def test_values_of_another_type_are_refused(with_blue: Simulator, function: str) -> None:
    refused = with_blue.invoke(function, "asset7", "red", "large", "Max", 1)
    assert (refused.status, refused.message) == (400, 'size: must be an integer (int), not "large"')
    assert with_blue.invoke("CreateAsset", "", "red", 1, "Max", 1).status == 400


@pytest.mark.parametrize("function", ["ReadAsset", "AssetExists", "GetAllAssets"])
def test_queries_are_tagged_as_such(assets: Simulator, function: str) -> None:
    (contract,) = assets.invoke("org.hyperledger.fabric:GetMetadata").payload["contracts"].values()
    tags = {each["name"]: each["tag"] for each in contract["transactions"]}
    assert tags[function] == ["evaluate"]
    assert len(tags) == 8
