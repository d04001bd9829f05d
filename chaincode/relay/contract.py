"""The contract ``relay``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import attestation, captures, faults, queries, registration, silence, synopsis


class Relay(Contract):
    """Relay monitoring: what several servers read of a relay, one record of each minute."""

    @transaction(name="RegisterRelay")
    def register_relay(self, ctx: Context, record: Any) -> dict[str, Any]:
        """record -> record, as it is kept"""
        return registration.register_relay(ctx.stub, ctx.client_identity, record)

    @transaction(name="UpdateRelay")
    def update_relay(self, ctx: Context, record: Any) -> dict[str, Any]:
        """record -> record, as it is kept"""
        return registration.update_relay(ctx.stub, ctx.client_identity, record)

    @transaction(name="RecordCapture")
    def record_capture(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, text, source, minute?, revision?} -> {relay, minute, server, sha256, readings, faults, breaches}"""
        return captures.record_capture(ctx.stub, ctx.client_identity, argument)

    @transaction(name="AttestCapture")
    def attest_capture(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, minute, sha256, text?} -> {relay, minute, server, match}"""
        return attestation.attest_capture(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Conclude")
    def conclude(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, minute} -> {relay, minute, status, sha256, by, for, against}"""
        return attestation.conclude(ctx.stub, ctx.client_identity, argument)

    @transaction(name="ReportSilence")
    def report_silence(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, minute, reason} -> {relay, from, reason, server, time_us, until, ended_by}"""
        return silence.report_silence(ctx.stub, ctx.client_identity, argument)

    @transaction(name="EndSilence")
    def end_silence(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, minute} -> {relay, from, reason, server, time_us, until, ended_by}"""
        return silence.end_silence(ctx.stub, ctx.client_identity, argument)

    @transaction(name="CloseHour")
    def close_hour(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, hour} -> synopsis"""
        return synopsis.close_hour(ctx.stub, ctx.client_identity, argument)

    @transaction(name="RecordFault")
    def record_fault(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, sha256, station, device, trigger_time, samples, channels, bytes, revision_year} -> the statement"""
        return faults.record_fault(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetRelay", readonly=True)
    def get_relay(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, revision?} -> record with silence"""
        return queries.get_relay(ctx.stub, argument)

    @transaction(name="ListRelays", readonly=True)
    def list_relays(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_relays(ctx.stub, argument)

    @transaction(name="GetCapture", readonly=True)
    def get_capture(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, minute} -> the capture with readings, attestations, verdict, record"""
        return queries.get_capture(ctx.stub, argument)

    @transaction(name="GetAttestation", readonly=True)
    def get_attestation(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, minute, server} -> {server, sha256, match, time_us, text?}"""
        return queries.get_attestation(ctx.stub, argument)

    @transaction(name="ListCaptures", readonly=True)
    def list_captures(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, from, to, limit?, bookmark?, texts?} -> {items, bookmark}"""
        return queries.list_captures(ctx.stub, argument)

    @transaction(name="GetGaps", readonly=True)
    def get_gaps(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, from, to, bookmark?} -> {gaps, captures, bookmark}"""
        return queries.get_gaps(ctx.stub, argument)

    @transaction(name="GetStatistics", readonly=True)
    def get_statistics(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, from_hour, to_hour} -> {hours, total, open_hours}"""
        return queries.get_statistics(ctx.stub, argument)

    @transaction(name="GetDisputes", readonly=True)
    def get_disputes(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_disputes(ctx.stub, argument)

    @transaction(name="GetSilences", readonly=True)
    def get_silences(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_silences(ctx.stub, argument)

    @transaction(name="GetFaults", readonly=True)
    def get_faults(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{relay, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_faults(ctx.stub, argument)
