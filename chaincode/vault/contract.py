"""The contract ``vault``: every function takes one JSON object as its only argument, and answers one.

A refusal names the field, and nothing is written.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, transaction

from . import acks, audits, base, cycles, health, holders, objects, queries, reads, repairs


class Vault(Contract):
    """Objects shared among holders: who holds, reads, audits and repairs what."""

    @transaction(name="SetBase")
    def set_base(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{kem_key, url} -> {mspid, kem_key, url, time_us}"""
        return base.set_base(ctx.stub, ctx.client_identity, argument)

    @transaction(name="SetCluster")
    def set_cluster(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{cluster, t, profile, spare, mspid?, head?} -> record"""
        return cycles.set_cluster(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Join")
    def join(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{holder, cluster, id, kem_key, url} -> the same with mspid, role, public_key, certificate, time_us"""
        return holders.join(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Admit")
    def admit(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{holder} -> the holder's record"""
        return holders.admit(ctx.stub, ctx.client_identity, argument)

    @transaction(name="ReportLost")
    def report_lost(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{holder, reason, object?, read?} -> {holder, by, reason, time_us}"""
        return holders.report_lost(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Revoke")
    def revoke(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{holder | certificate, reason} -> the same with cycle, time_us"""
        return holders.revoke(ctx.stub, ctx.client_identity, argument)

    @transaction(name="BeginCycle")
    def begin_cycle(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{cycle, heads?, without?} -> {cycle, clusters: [{cluster, mspid, head, t, spare, ...}], time_us}"""
        return cycles.begin_cycle(ctx.stub, ctx.client_identity, argument)

    @transaction(name="PutObject")
    def put_object(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """manifest -> manifest, version 1, as it is kept"""
        return objects.put_object(ctx.stub, ctx.client_identity, argument)

    @transaction(name="AckShare")
    def ack_share(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version, root, log_head} -> the same with holder, time_us"""
        return acks.ack_share(ctx.stub, ctx.client_identity, argument)

    @transaction(name="AckShares")
    def ack_shares(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version, said: [{text, signature}]} -> {object, version, status, acks, needed, added}"""
        return acks.ack_shares(ctx.stub, ctx.client_identity, argument)

    @transaction(name="AckDeleted")
    def ack_deleted(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version, log_head} -> the same with holder, time_us"""
        return acks.ack_deleted(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Settle")
    def settle(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version?} -> {object, version, status, acks, needed}"""
        return objects.settle(ctx.stub, ctx.client_identity, argument)

    @transaction(name="RequestRead")
    def request_read(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, purpose, version?} -> {object, version, read, holders, until_s, until_us}"""
        return reads.request_read(ctx.stub, ctx.client_identity, argument)

    @transaction(name="ReportBad")
    def report_bad(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{answer, signature} -> {object, version, holder, read, root, by, answer, signature, time_us}"""
        return reads.report_bad(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Challenge")
    def challenge(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, holder, number, nonce, commitment, path, version?} -> the audit, open for 60 s"""
        return audits.challenge(ctx.stub, ctx.client_identity, argument)

    @transaction(name="AuditShare")
    def audit_share(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version, number, answer} -> the audit, passed or failed"""
        return audits.audit_share(ctx.stub, ctx.client_identity, argument)

    @transaction(name="CloseAudit")
    def close_audit(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, holder, number, finding?, version?} -> the audit, unanswered or with a finding"""
        return audits.close_audit(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Repair")
    def repair(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version, read, share, audits?, audit_secret?} -> {holder, repairs, series, ...}"""
        return repairs.repair(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Reshare")
    def reshare(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """manifest and read -> manifest of the next version, as it is kept"""
        return repairs.reshare(ctx.stub, ctx.client_identity, argument)

    @transaction(name="Abandon")
    def abandon(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, reason} -> {object, reason, by, time_us}"""
        return objects.abandon(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetBase", readonly=True)
    def get_base(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{} -> {mspid, kem_key, url, time_us}"""
        return base.get_base(ctx.stub, argument)

    @transaction(name="GetObject", readonly=True)
    def get_object(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version?} -> manifest with readers, meta, newest, stored, status, abandoned"""
        return queries.get_object(ctx.stub, argument)

    @transaction(name="ListObjects", readonly=True)
    def list_objects(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{cluster?, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_objects(ctx.stub, argument)

    @transaction(name="GetHolder", readonly=True)
    def get_holder(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{holder} -> {holder, record, join, revoked, active, suspicions}"""
        return queries.get_holder(ctx.stub, argument)

    @transaction(name="ListHolders", readonly=True)
    def list_holders(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{cluster?, limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_holders(ctx.stub, argument)

    @transaction(name="ListJoins", readonly=True)
    def list_joins(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark}"""
        return queries.list_joins(ctx.stub, argument)

    @transaction(name="GetCluster", readonly=True)
    def get_cluster(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{cluster} -> record"""
        return queries.get_cluster(ctx.stub, argument)

    @transaction(name="ListClusters", readonly=True)
    def list_clusters(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{limit?, bookmark?} -> {items, bookmark, base}"""
        return queries.list_clusters(ctx.stub, argument)

    @transaction(name="GetCycle", readonly=True)
    def get_cycle(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{cycle?} -> {cycle, clusters, time_us}"""
        return queries.get_cycle(ctx.stub, argument)

    @transaction(name="GetAcks", readonly=True)
    def get_acks(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version?} -> {object, version, acks}"""
        return queries.get_acks(ctx.stub, argument)

    @transaction(name="GetRead", readonly=True)
    def get_read(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, read} -> the entry with holders, reader_revoked, serve"""
        return queries.get_read(ctx.stub, ctx.client_identity, argument)

    @transaction(name="GetReads", readonly=True)
    def get_reads(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, limit?, bookmark?} -> {items, bookmark}"""
        return queries.get_reads(ctx.stub, argument)

    @transaction(name="GetRepair", readonly=True)
    def get_repair(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, holder, version?} -> {holder, repairs, series, audits, audit_root, audit_secret, ...}"""
        return queries.get_repair(ctx.stub, argument)

    @transaction(name="GetAudit", readonly=True)
    def get_audit(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, holder, number, version?} -> the audit"""
        return queries.get_audit(ctx.stub, argument)

    @transaction(name="ListAudits", readonly=True)
    def list_audits(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, holder, version?, limit?, bookmark?} -> {items, bookmark, tally}"""
        return queries.list_audits(ctx.stub, argument)

    @transaction(name="GetHealth", readonly=True)
    def get_health(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """{object, version?} -> {object, version, status, live, needed, enough, reshare_due, holders, ...}"""
        return health.get_health(ctx.stub, argument)
