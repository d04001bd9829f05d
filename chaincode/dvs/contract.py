"""The contract ``dvs``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written. LocalController has no entry of its own: it is part of ComputeVSI.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import keys, merging, monitoring, queries, resources
from .grouping import check_record
from .permissions import require_planner


class DVS(Contract):
    """Distributed voltage stability: groups, their resources, frames, and merges of groups."""

    @transaction(name="InitialGrouping")
    def initial_grouping(self, ctx: Context, record: Any) -> dict[str, Any]:
        """Stores the record of a group or merged group, in place of an older one; touches no VVC list."""
        head, matrices, lines = check_record(record)
        require_planner(ctx.stub, ctx.client_identity, head)
        ctx.stub.put_state(keys.group(head["id"]), head)
        ctx.stub.put_state(keys.matrix(head["id"]), matrices)
        if lines is not None:
            ctx.stub.put_state(keys.check(head["id"]), lines)
        return {"group": head["id"]}

    @transaction(name="UpdateResources")
    def update_resources(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, vvc, standing?} -> {group, vvc, actions, standing?}"""
        return resources.update_resources(ctx.stub, ctx.client_identity, argument)

    @transaction(name="ComputeVSI")
    def compute_vsi(self, ctx: Context, frame: Any) -> dict[str, Any]:
        """frame -> {group, time, profile, vsi, weak_bus, threshold, alarm, outcome, control}"""
        return monitoring.compute_vsi(ctx.stub, ctx.client_identity, frame)

    @transaction(name="GlobalController")
    def global_controller(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group} -> {merge, group, status, components}"""
        return merging.global_controller(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Lend")
    def lend(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, merge} -> {group, merge, vvc, standing?}"""
        return resources.lend(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Adopt")
    def adopt(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{merge, group, vvc, channel, tx_id, standing?} -> {merge, group, status, components}"""
        return merging.adopt(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Split")
    def split(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{merge} -> {merge, group, status, components, vvc, standing?}"""
        return merging.split(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Restore")
    def restore(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, merge, vvc, standing?} -> {group, merge, vvc, standing?}"""
        return resources.restore(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Close")
    def close(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{merge, group, tx_id} -> {merge, group, status, components}"""
        return merging.close(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetGroup", readonly=True)
    def get_group(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group} -> the record without its matrices"""
        return queries.get_group(ctx.stub, argument)

    @transaction(name="GetResources", readonly=True)
    def get_resources(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group} -> {group, vvc, actions, standing?}"""
        return queries.get_resources(ctx.stub, argument)

    @transaction(name="GetVSI", readonly=True)
    def get_vsi(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, from, to, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_vsi(ctx.stub, argument)

    @transaction(name="GetActions", readonly=True)
    def get_actions(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{group, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_actions(ctx.stub, argument)
