"""The contract ``anchors``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import agents, attesting, cosigning, membership, queries


class Anchors(Contract):
    """Heads of other channels' block trees: what their organisations say, and what is final."""

    @transaction(name="SetMembers")
    def set_members(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel, organisations, genesis} -> the same with mspid, time_us, in_force"""
        return membership.set_members(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Attest")
    def attest(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel, size, root, header_hash, commit_hash, height, consistency, opens?, conclude?} -> what was said"""
        return attesting.attest(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Conclude")
    def conclude(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel, size, consistency} -> {channel, size, anchored, forked}"""
        return attesting.conclude(ctx.stub, ctx.client_identity, argument)

    @transaction(name="SetAgent")
    def set_agent(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{url} -> {mspid, url, key, time_us}"""
        return agents.set_agent(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Cosign")
    def cosign(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{rounds: [{channel, size, base, consistency, heads}]} -> {rounds: what became of each}"""
        return cosigning.cosign(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetMembers", readonly=True)
    def get_members(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel} -> {channel, organisations, genesis, time_us}"""
        return queries.get_members(ctx.stub, argument)

    @transaction(name="GetStatus", readonly=True)
    def get_status(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel} -> its status; {limit?, bookmark?} -> {items, bookmark} of all channels"""
        return queries.get_status(ctx.stub, argument)

    @transaction(name="GetAnchor", readonly=True)
    def get_anchor(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel, size?} -> the first anchor of at least this size, or the newest"""
        return queries.get_anchor(ctx.stub, argument)

    @transaction(name="ListAnchors", readonly=True)
    def list_anchors(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_anchors(ctx.stub, argument)

    @transaction(name="ListForks", readonly=True)
    def list_forks(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{channel, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_forks(ctx.stub, argument)

    @transaction(name="ListAgents", readonly=True)
    def list_agents(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_agents(ctx.stub, argument)
