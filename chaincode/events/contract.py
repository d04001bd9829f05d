"""The contract ``events``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import admission, gaps, queries, recording


class Events(Contract):
    """What the devices of a section say: each event proved by its device, and chained to the one before."""

    @transaction(name="AdmitDevice")
    def admit_device(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, mspid, proof_key, tx} -> record"""
        return admission.admit_device(ctx.stub, ctx.client_identity, argument)

    @transaction(name="SuspendDevice")
    def suspend_device(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, tx, revoked_us} -> record"""
        return admission.suspend_device(ctx.stub, ctx.client_identity, argument)

    @transaction(name="RekeyDevice")
    def rekey_device(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, proof_key, certificate_sha256, channel, tx, proof_old, proof_new} -> record"""
        return admission.rekey_device(ctx.stub, ctx.client_identity, argument)

    @transaction(name="LogEvent")
    def log_event(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, seq, prev, kind, time_us, body | body_hash, sealed?, proof} -> {device, seq, sha256, marks, tx}"""
        return recording.log_event(ctx.stub, ctx.client_identity, argument)

    @transaction(name="LogEvents")
    def log_events(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, events} -> {device, from_seq, to_seq, sha256, marks, tx}"""
        return recording.log_events(ctx.stub, ctx.client_identity, argument)

    @transaction(name="LogDevices")
    def log_devices(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{devices} -> {devices, tx}, each {device, events} -> {device, from_seq, to_seq, sha256, marks}"""
        return recording.log_devices(ctx.stub, ctx.client_identity, argument)

    @transaction(name="LogBatch")
    def log_batch(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, seq, prev, from_us, to_us, rows, root, sha256, uri, synopsis, proof} -> as LogEvent"""
        return recording.log_batch(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetEvent", readonly=True)
    def get_event(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device, seq} -> the event with text, sha256, tx, block, at_us, marks"""
        return queries.get_event(ctx.stub, argument)

    @transaction(name="ListEvents", readonly=True)
    def list_events(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device | kind, from_seq?, to_seq?, from_us?, to_us?, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_events(ctx.stub, argument)

    @transaction(name="GetDevice", readonly=True)
    def get_device(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device} -> record with head: {seq, sha256}"""
        return queries.get_device(ctx.stub, argument)

    @transaction(name="ListDevices", readonly=True)
    def list_devices(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_devices(ctx.stub, argument)

    @transaction(name="GetGaps", readonly=True)
    def get_gaps(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{device?, limit?, bookmark?} -> {items, revoked_late, bookmark}"""
        return gaps.get_gaps(ctx.stub, argument)
