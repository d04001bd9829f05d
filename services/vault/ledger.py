"""The contract ``vault`` through the SDK: one method for each of its functions, for holders, base and commands alike.

Arguments and answers are those of docs/vault-reference.md: ids (``x``) are decimal text, hashes hexadecimal, signatures
base64, times microseconds since 1970. ``name`` is an object's name; without ``version`` its newest version is meant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from gridledger.client import Retry, SigningIdentity
from gridledger.client import application as applications
from gridledger.client.application import Answer, ContractCalls, each_item, given, network_through, peers_of
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import SettingsError

APPLICATION: Final = "vault"

_AGAIN: Final = Retry(attempts=8, total_s=20.0)
"""A transaction that lost to a concurrent one had no effect, and may be made anew: several holders answer audits, and
several callers settle, at once. What has changed meanwhile the contract then refuses by name."""


class VaultLedger(ContractCalls):
    """One identity's calls of the contract."""

    again = _AGAIN

    # Clusters, holders, cycles

    async def set_cluster(
        self, cluster: str, t: int, profile: str, spare: int, *, mspid: str | None = None, head: str | None = None
    ) -> Answer:
        """SetCluster: the cluster's record. ``mspid`` binds a new cluster to its organisation; the first call of all
        binds the vault to the caller's organisation, the base."""
        argument = {"cluster": cluster, "t": t, "profile": profile, "spare": spare, **given(mspid=mspid, head=head)}
        return await self._submit("SetCluster", argument)

    async def set_base(self, kem_key: str, url: str) -> Answer:
        """SetBase: the base's record. Dealers seal audits' secrets to ``kem_key``; as the first call of all it binds
        the vault to the caller's organisation."""
        return await self._submit("SetBase", {"kem_key": kem_key, "url": url})

    async def join(self, holder: str, cluster: str, x: str, kem_key: str, url: str) -> Answer:
        """Join: the caller's certificate becomes the holder's. ``kem_key``: its public key of HPKE, base64."""
        argument = {"holder": holder, "cluster": cluster, "id": x, "kem_key": kem_key, "url": url}
        return await self._submit("Join", argument)

    async def admit(self, holder: str) -> Answer:
        """Admit: the holder's record; it is active from the next cycle."""
        return await self._submit("Admit", {"holder": holder})

    async def report_lost(
        self, holder: str, reason: str, *, name: str | None = None, read: str | None = None
    ) -> Answer:
        """ReportLost: the caller suspects a holder: of its cluster, or of the object ``name`` that it was granted."""
        return await self._submit("ReportLost", {"holder": holder, "reason": reason, **given(object=name, read=read)})

    async def revoke(self, reason: str, *, holder: str | None = None, certificate: str | None = None) -> Answer:
        """Revoke a holder, or whoever calls with the certificate of this SHA-256."""
        return await self._submit("Revoke", {**given(holder=holder, certificate=certificate), "reason": reason})

    async def begin_cycle(
        self, cycle: int, heads: Mapping[str, str] | None = None, without: Sequence[str] = ()
    ) -> Answer:
        """BeginCycle: {cycle, clusters: [{cluster, head, t, spare, profile, holders: [{holder, id}]}], time_us}.

        ``heads`` names the head of clusters by name; the others keep theirs. The clusters ``without`` take no part."""
        more: Answer = {} if heads is None else {"heads": dict(heads)}
        if without:
            more["without"] = list(without)
        return await self._submit("BeginCycle", {"cycle": cycle, **more})

    # Objects

    async def put_object(self, manifest: Mapping[str, Any]) -> Answer:
        """PutObject: the manifest as it is kept, version 1."""
        return await self._submit("PutObject", manifest)

    async def ack_share(self, name: str, version: int, root: str, log_head: str) -> Answer:
        """AckShare: the caller holds its share on disk."""
        argument = {"object": name, "version": version, "root": root, "log_head": log_head}
        return await self._submit("AckShare", argument)

    async def ack_shares(self, name: str, version: int, said: Sequence[tuple[str, str]]) -> Answer:
        """AckShares: what :meth:`settle` answers, and ``added``. ``said`` are texts that holders signed, each with its
        signature, base64 of DER."""
        texts = [{"text": text, "signature": signature} for text, signature in said]
        return await self._submit("AckShares", {"object": name, "version": version, "said": texts})

    async def ack_deleted(self, name: str, version: int, log_head: str) -> Answer:
        """AckDeleted: the caller holds its share of a replaced version or an abandoned object no more."""
        return await self._submit("AckDeleted", {"object": name, "version": version, "log_head": log_head})

    async def settle(self, name: str, version: int | None = None) -> Answer:
        """Settle: {object, version, status: stored|incomplete|open, acks, needed}."""
        return await self._submit("Settle", {"object": name, **given(version=version)})

    async def repair(self, repair: Mapping[str, Any]) -> Answer:
        """Repair: {object, version, read, share, audits?, audit_secret?}; the share as the manifest has it, with a new
        ``audit_root`` where new audits come with it."""
        return await self._submit("Repair", repair)

    async def reshare(self, manifest: Mapping[str, Any]) -> Answer:
        """Reshare: the next version's manifest, as it is kept. ``read`` names the read with purpose ``reshare``."""
        return await self._submit("Reshare", manifest)

    async def abandon(self, name: str, reason: str) -> Answer:
        """Abandon: nobody reads the object any more."""
        return await self._submit("Abandon", {"object": name, "reason": reason})

    # Reads

    async def request_read(self, name: str, purpose: str, version: int | None = None) -> Answer:
        """RequestRead: {object, version, read, holders: [{holder, id, url, kem_key, root}], until_s, until_us}.

        Without ``version``: the newest one that is stored, or the newest where none is."""
        return await self._submit("RequestRead", {"object": name, "purpose": purpose, **given(version=version)})

    async def report_bad(self, answer: str, signature: str) -> Answer:
        """ReportBad: ``answer`` is the text that the holder signed, ``signature`` base64 of DER."""
        return await self._submit("ReportBad", {"answer": answer, "signature": signature})

    # Audits

    async def challenge(
        self,
        name: str,
        holder: str,
        number: int,
        *,
        nonce: str,
        commitment: str,
        path: Sequence[str],
        version: int | None = None,
    ) -> Answer:
        """Challenge: the audit, open for 60 s. ``nonce``, ``commitment`` and ``path`` are hexadecimal."""
        audit = {"object": name, "holder": holder, "number": number, **given(version=version)}
        return await self._submit("Challenge", {**audit, "nonce": nonce, "commitment": commitment, "path": list(path)})

    async def audit_share(self, name: str, version: int, number: int, answer: str) -> Answer:
        """AuditShare: the audit with its outcome, passed or failed."""
        argument = {"object": name, "version": version, "number": number, "answer": answer}
        return await self._submit("AuditShare", argument)

    async def close_audit(
        self,
        name: str,
        holder: str,
        number: int,
        *,
        finding: str | None = None,
        version: int | None = None,
    ) -> Answer:
        """CloseAudit: unanswered, or a finding on one that failed."""
        audit = {"object": name, "holder": holder, "number": number}
        return await self._submit("CloseAudit", {**audit, **given(finding=finding, version=version)})

    # Queries

    async def get_object(self, name: str, version: int | None = None) -> Answer:
        """GetObject: the version's manifest, with status, newest, stored, abandoned."""
        return await self._evaluate("GetObject", {"object": name, **given(version=version)})

    async def list_objects(
        self, *, cluster: str | None = None, limit: int | None = None, bookmark: str | None = None
    ) -> Answer:
        """ListObjects: one page, ``items`` (heads, no shares) and ``bookmark``."""
        return await self._evaluate("ListObjects", given(cluster=cluster, limit=limit, bookmark=bookmark))

    async def get_holder(self, holder: str) -> Answer:
        """GetHolder: {holder, record, join, revoked, active, suspicions}."""
        return await self._evaluate("GetHolder", {"holder": holder})

    async def list_holders(
        self, *, cluster: str | None = None, limit: int | None = None, bookmark: str | None = None
    ) -> Answer:
        """ListHolders: one page of admitted holders' records, each with ``revoked`` and ``active``."""
        return await self._evaluate("ListHolders", given(cluster=cluster, limit=limit, bookmark=bookmark))

    async def list_joins(self, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """ListJoins: one page of those that wait to be admitted."""
        return await self._evaluate("ListJoins", given(limit=limit, bookmark=bookmark))

    async def get_base(self) -> Answer:
        """GetBase: {mspid, kem_key, url, time_us}."""
        return await self._evaluate("GetBase", {})

    async def get_cluster(self, cluster: str) -> Answer:
        """GetCluster: the record."""
        return await self._evaluate("GetCluster", {"cluster": cluster})

    async def list_clusters(self, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """ListClusters: one page of records, and ``base``: the MSP of the base."""
        return await self._evaluate("ListClusters", given(limit=limit, bookmark=bookmark))

    async def get_cycle(self, cycle: int | None = None) -> Answer:
        """GetCycle: the present one, or an earlier one."""
        return await self._evaluate("GetCycle", given(cycle=cycle))

    async def get_acks(self, name: str, version: int | None = None) -> Answer:
        """GetAcks: {object, version, acks: [{holder, root, log_head, time_us}]}."""
        return await self._evaluate("GetAcks", {"object": name, **given(version=version)})

    async def get_read(self, name: str, read: str) -> Answer:
        """GetRead: the entry, with ``holders``, and ``serve``: {holder, allowed, why} for the holder that asks."""
        return await self._evaluate("GetRead", {"object": name, "read": read})

    async def get_reads(self, name: str, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """GetReads: one page of who read, repaired or reshared what, when, why; by transaction."""
        return await self._evaluate("GetReads", {"object": name, **given(limit=limit, bookmark=bookmark)})

    async def get_repair(self, name: str, holder: str, version: int | None = None) -> Answer:
        """GetRepair: the last repair of a share, with the audits that hold since."""
        return await self._evaluate("GetRepair", {"object": name, "holder": holder, **given(version=version)})

    async def get_audit(
        self,
        name: str,
        holder: str,
        number: int,
        version: int | None = None,
    ) -> Answer:
        """GetAudit: {nonce, commitment, outcome, ...}."""
        audit = {"object": name, "holder": holder, "number": number}
        return await self._evaluate("GetAudit", {**audit, **given(version=version)})

    async def list_audits(
        self,
        name: str,
        holder: str,
        *,
        version: int | None = None,
        limit: int | None = None,
        bookmark: str | None = None,
    ) -> Answer:
        """ListAudits: one page of a holder's audits of one version."""
        more = given(version=version, limit=limit, bookmark=bookmark)
        return await self._evaluate("ListAudits", {"object": name, "holder": holder, **more})

    async def get_health(self, name: str, version: int | None = None) -> Answer:
        """GetHealth: {object, version, status, t, spare, n, live, needed, enough, reshare_due, holders: [...]}."""
        return await self._evaluate("GetHealth", {"object": name, **given(version=version)})

    # Pages

    def objects(self, cluster: str | None = None) -> AsyncIterator[Answer]:
        """All of ListObjects, page after page."""
        return each_item(lambda bookmark: self.list_objects(cluster=cluster, bookmark=bookmark))

    def holders(self, cluster: str | None = None) -> AsyncIterator[Answer]:
        """All of ListHolders."""
        return each_item(lambda bookmark: self.list_holders(cluster=cluster, bookmark=bookmark))

    def joins(self) -> AsyncIterator[Answer]:
        """All of ListJoins."""
        return each_item(lambda bookmark: self.list_joins(bookmark=bookmark))

    def clusters(self) -> AsyncIterator[Answer]:
        """All of ListClusters."""
        return each_item(lambda bookmark: self.list_clusters(bookmark=bookmark))

    def reads(self, name: str) -> AsyncIterator[Answer]:
        """All of GetReads."""
        return each_item(lambda bookmark: self.get_reads(name, bookmark=bookmark))

    def audits(self, name: str, holder: str, version: int | None = None) -> AsyncIterator[Answer]:
        """All of ListAudits."""
        return each_item(lambda bookmark: self.list_audits(name, holder, version=version, bookmark=bookmark))


@asynccontextmanager
async def vault_ledger(
    profile: ConnectionProfile, signer: SigningIdentity, *, own_peer: str | None = None
) -> AsyncIterator[VaultLedger]:
    """The contract as ``signer`` calls it; its gateways are open in the block. What lost to a concurrent transaction is
    made anew.

    The first gateway is ``own_peer``, or a peer of the signer's organisation; the channel's other peers take over when
    it fails.
    """
    channel, chaincode = application_of(profile)
    peers = peers_of(profile, channel, signer.mspid, own_peer)
    async with network_through(profile, channel, peers, signer, retry=_AGAIN) as network:
        yield VaultLedger(network.get_contract(chaincode), network)


@asynccontextmanager
async def own_ledger(
    profile: ConnectionProfile, identity: SigningIdentity, own_peer: str | None
) -> AsyncIterator[VaultLedger]:
    """The contract through peers of the identity's own organisation alone: what a holder takes for granted or revoked
    is what its own organisation's peer says. Raises :class:`SettingsError` where there is none."""
    channel, chaincode = application_of(profile)
    peers = [
        name
        for name in peers_of(profile, channel, identity.mspid, own_peer)
        if profile.peers[name].mspid == identity.mspid and own_peer in (None, name)
    ]
    if not peers:
        raise SettingsError(f"{identity.mspid} has no peer on {channel}: a holder asks a peer of its own organisation")
    async with network_through(profile, channel, peers, identity, retry=_AGAIN) as network:
        yield VaultLedger(network.get_contract(chaincode), network)


def application_of(profile: ConnectionProfile) -> tuple[str, str]:
    """The channel and the chaincode of the vault; :class:`SettingsError` where a network has none."""
    return applications.application_of(profile, APPLICATION, "vault")
