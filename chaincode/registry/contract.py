"""The contract ``registry``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import authority, devices, filters, queries, rotation


class Registry(Contract):
    """Which devices there are, whose they are, their keys, and the filter of their names."""

    @transaction(name="SetAuthority")
    def set_authority(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{} -> {mspid, time_us, tx}"""
        return authority.set_authority(ctx.stub, ctx.client_identity, argument)

    @transaction(name="RegisterDevice")
    def register_device(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, type, section, site, vendor, model, proof_key, certificate, proof} -> record"""
        return devices.register_device(ctx.stub, ctx.client_identity, argument)

    @transaction(name="RotateKey")
    def rotate_key(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, proof_key, certificate?, proof_old, proof_new} -> record"""
        return rotation.rotate_key(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Retire")
    def retire(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device} -> record"""
        return devices.retire(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Revoke")
    def revoke(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, reason} -> {device, section, mspid, reason, by, time_us, tx}"""
        return devices.revoke(ctx.stub, ctx.client_identity, argument)

    @transaction(name="PublishFilter")
    def publish_filter(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{epoch, m, k, from, limit} -> {epoch, m, k, added, devices, next}"""
        return filters.publish_filter(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetAuthority", readonly=True)
    def get_authority(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{} -> {mspid, time_us, tx}"""
        return authority.get_authority(ctx.stub, argument)

    @transaction(name="GetFilter", readonly=True)
    def get_filter(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{epoch?, part?, limit?, bookmark?} -> {epoch, m, k, ..., newest, building, bits, since, bookmark}"""
        return filters.get_filter(ctx.stub, argument)

    @transaction(name="GetDevice", readonly=True)
    def get_device(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device} -> record with revoked"""
        return queries.get_device(ctx.stub, argument)

    @transaction(name="ListDevices", readonly=True)
    def list_devices(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{section?, type?, status?, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_devices(ctx.stub, argument)

    @transaction(name="GetKeys", readonly=True)
    def get_keys(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_keys(ctx.stub, argument)

    @transaction(name="GetRevoked", readonly=True)
    def get_revoked(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_revoked(ctx.stub, argument)
