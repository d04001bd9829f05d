"""Assets that change hands: the transactions of Fabric's sample asset-transfer-basic, and the events of its
asset-transfer-events.

An asset is stored under its ID. Each change of one asset sets an event of the transaction's name, with the asset as it
is now, or, where it was deleted, as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gridledger.contract import Context, Contract, ContractError, transaction


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as it is stored, and as events and answers show it."""

    ID: str
    Color: str
    Size: int
    Owner: str
    AppraisedValue: int


FIRST_ASSETS: Final = (
    Asset("asset1", "blue", 5, "Tomoko", 300),
    Asset("asset2", "red", 5, "Brad", 400),
    Asset("asset3", "green", 10, "Jin Soo", 500),
    Asset("asset4", "yellow", 10, "Max", 600),
    Asset("asset5", "black", 15, "Adriana", 700),
    Asset("asset6", "white", 15, "Michel", 800),
)


class AssetTransfer(Contract):
    """Every member who may write to the channel may change every asset, as in the sample."""

    @transaction(name="InitLedger")
    def init_ledger(self, ctx: Context) -> None:
        """Store six assets to begin with."""
        for asset in FIRST_ASSETS:
            ctx.stub.put_state(asset.ID, asset)

    @transaction(name="CreateAsset")
    def create_asset(  # noqa: PLR0917 - the sample's parameters
        self, ctx: Context, asset_id: str, color: str, size: int, owner: str, appraised_value: int
    ) -> None:
        """Add an asset; refused where its ID is taken."""
        if self.asset_exists(ctx, asset_id):
            raise ContractError(f"the asset {asset_id} already exists")
        _store(ctx, "CreateAsset", Asset(asset_id, color, size, owner, appraised_value))

    @transaction(name="ReadAsset", readonly=True)
    def read_asset(self, ctx: Context, asset_id: str) -> Asset:
        """The asset; refused where there is none of this ID."""
        stored = ctx.stub.get_state(asset_id)
        if stored is None:
            raise ContractError(f"the asset {asset_id} does not exist")
        return Asset(**stored)

    @transaction(name="UpdateAsset")
    def update_asset(  # noqa: PLR0917 - the sample's parameters
        self, ctx: Context, asset_id: str, color: str, size: int, owner: str, appraised_value: int
    ) -> None:
        """Replace an asset by one with these values."""
        self.read_asset(ctx, asset_id)
        _store(ctx, "UpdateAsset", Asset(asset_id, color, size, owner, appraised_value))

    @transaction(name="DeleteAsset")
    def delete_asset(self, ctx: Context, asset_id: str) -> None:
        """Remove an asset. Its history stays."""
        asset = self.read_asset(ctx, asset_id)
        ctx.stub.del_state(asset_id)
        ctx.stub.set_event("DeleteAsset", asset)

    @transaction(name="AssetExists", readonly=True)
    def asset_exists(self, ctx: Context, asset_id: str) -> bool:
        """Whether there is an asset of this ID."""
        return ctx.stub.get_state(asset_id) is not None

    @transaction(name="TransferAsset")
    def transfer_asset(self, ctx: Context, asset_id: str, new_owner: str) -> str:
        """Give an asset another owner; answers the one that it had."""
        asset = self.read_asset(ctx, asset_id)
        _store(ctx, "TransferAsset", replace(asset, Owner=new_owner))
        return asset.Owner

    @transaction(name="GetAllAssets", readonly=True)
    def get_all_assets(self, ctx: Context) -> list[Asset]:
        """All assets, by ID."""
        return [Asset(**stored) for _, stored in ctx.stub.get_state_by_range("", "")]


def _store(ctx: Context, event: str, asset: Asset) -> None:
    ctx.stub.put_state(asset.ID, asset)
    ctx.stub.set_event(event, asset)
