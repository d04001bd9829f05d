"""The contract ``alarms``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import acknowledging, shelving


class Alarms(Contract):
    """What people do about alarms of the channel's groups. The alarms themselves are what ``dvs`` answers to frames."""

    @transaction(name="Acknowledge")
    def acknowledge(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, kind, raised_us, raised_by?, note?} -> the same with by, time_us, tx"""
        return acknowledging.acknowledge(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Shelve")
    def shelve(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, kind, duration_s, reason} -> {group, kind, until_us, reason, by, time_us, tx}"""
        return shelving.shelve(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Unshelve")
    def unshelve(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, kind} -> {group, kind, by, time_us, tx}"""
        return shelving.unshelve(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetAlarm", readonly=True)
    def get_alarm(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, kind, raised_us} -> the same with acknowledged, shelved"""
        return acknowledging.get_alarm(ctx.stub, argument)

    @transaction(name="ListAcknowledged", readonly=True)
    def list_acknowledged(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, from_us?, limit?, bookmark?} -> {items, bookmark}"""
        return acknowledging.list_acknowledged(ctx.stub, argument)

    @transaction(name="ListShelved", readonly=True)
    def list_shelved(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return shelving.list_shelved(ctx.stub, argument)
