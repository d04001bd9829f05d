"""The contract ``access``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import denials, queries, sessions


class Access(Contract):
    """Sessions and commands of operators, and denied logins."""

    @transaction(name="OpenSession")
    def open_session(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{session, operator, terminal, section, reason} -> the same with by, suspicious, opened_us, tx"""
        return sessions.open_session(ctx.stub, ctx.client_identity, argument)

    @transaction(name="CloseSession")
    def close_session(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{session, reason?} -> {session, reason, time_us, tx}"""
        return sessions.close_session(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Command")
    def command(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{session, device, command, value?} -> the same with operator, terminal, section, suspicious, time_us, tx"""
        return sessions.command(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Deny")
    def deny(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{operator, terminal, why} -> the same with by, time_us, tx"""
        return denials.deny(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetSession", readonly=True)
    def get_session(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{session} -> the record with closed, suspicious"""
        return queries.get_session(ctx.stub, argument)

    @transaction(name="GetSessions", readonly=True)
    def get_sessions(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{operator?, terminal?, section?, certificate?, open?, suspicious?, from?, to?, limit?, bookmark?} -> page"""
        return queries.get_sessions(ctx.stub, argument)

    @transaction(name="GetCommands", readonly=True)
    def get_commands(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{session?, device?, operator?, from?, to?, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_commands(ctx.stub, argument)

    @transaction(name="GetDenials", readonly=True)
    def get_denials(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{operator?, terminal?, from?, to?, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_denials(ctx.stub, argument)
