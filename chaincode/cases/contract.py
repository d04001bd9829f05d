"""The contract ``cases``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction
from gridledger.contract.arguments import members

from . import life, permissions, queries, work


class Cases(Contract):
    """Cases of one authority, their queries and findings."""

    @transaction(name="SetAuthority")
    def set_authority(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{investigators} -> {mspid, investigators, by, time_us}"""
        return permissions.set_authority(ctx.stub, ctx.client_identity, argument)

    @transaction(name="OpenCase")
    def open_case(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case, purpose, scope} -> the same with by, opened_us, tx"""
        return life.open_case(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Approve")
    def approve(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case} -> {case, by, time_us, tx}"""
        return life.approve(ctx.stub, ctx.client_identity, argument)

    @transaction(name="CloseCase")
    def close_case(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case, reason?} -> {case, reason, by, time_us, tx}"""
        return life.close_case(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Query")
    def query(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case, text} -> the same with by, time_us, tx"""
        return work.query(ctx.stub, ctx.client_identity, argument)

    @transaction(name="RecordFinding")
    def record_finding(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case, package_sha256, title, disclosed?} -> the same with by, time_us, tx"""
        return work.record_finding(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetAuthority", readonly=True)
    def get_authority(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{} -> {mspid, investigators, by, time_us}"""
        members(argument, "", ())
        return permissions.read_authority(ctx.stub)

    @transaction(name="GetCase", readonly=True)
    def get_case(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case} -> the record with status, approved, closed"""
        return queries.get_case(ctx.stub, argument)

    @transaction(name="ListCases", readonly=True)
    def list_cases(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_cases(ctx.stub, argument)

    @transaction(name="ListQueries", readonly=True)
    def list_queries(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_queries(ctx.stub, argument)

    @transaction(name="ListFindings", readonly=True)
    def list_findings(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{case, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_findings(ctx.stub, argument)
