"""A part of the network of network-config/substation-vault.yaml on free ports: some of its clusters, with holders."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.users import enroll_user
from gridledger.sharing import commitment, profiles, sealed
from services.vault.holder_client import HolderClients
from services.vault.ledger import VaultLedger, vault_ledger
from services.vault.records import HolderRecord, Manifest
from services.vault.transport import PrivateKey
from services.vault.wire import PUT, SERVED, Answer, Place, ServeRequest
from tests.support.local_network import LocalNetwork, local_network
from tests.support.processes import REPOSITORY, hold_ports
from tests.support.waiting import eventually

CHANNEL = "vault"
READERS = "OR('SecurityMSP.client', 'BaseMSP.client')"


def vault_description(
    clusters: Sequence[str], *, orderers: int = 1, base: Mapping[str, Any] | None = None
) -> NetworkConfig:
    """The description with these clusters' organisations, peers and holders alone, on free ports; and with a base that
    has these settings, if any are given."""
    described = load_network_config(REPOSITORY / "network-config/substation-vault.yaml").model_dump(mode="json")
    vault = described["applications"]["vault"]
    kept = {"Orderer", "Base", *(vault["clusters"][cluster]["organisation"] for cluster in clusters)}
    described["organisations"] = [one for one in described["organisations"] if one["name"] in kept]
    described["orderers"] = described["orderers"][:orderers]
    described["peers"] = [one for one in described["peers"] if one["organisation"] in kept]
    described["channels"][CHANNEL]["peers"] = [one["name"] for one in described["peers"]]
    described["companions"] = [
        one
        for one in described["companions"]
        if (one["kind"] == "vault-base" and base is not None)
        or (one["kind"] == "vault-holder" and {each["organisation"] for each in one["identities"]} <= kept)
    ]
    for one in described["companions"]:
        one["settings"] |= dict(base or {}) if one["kind"] == "vault-base" else {"look_over_s": 5.0}
    vault["clusters"] = {name: one for name, one in vault["clusters"].items() if name in clusters}
    config = NetworkConfig.model_validate(described)
    for offset in random.sample(range(2000, 25_000, 13), 100):
        moved = config.with_port_offset(offset)
        with suppress(OSError):
            companions = [one.port for one in moved.companions if one.port]
            hold_ports([moved.ca.port, *(node.port for node in (*moved.orderers, *moved.peers)), *companions])
            return moved
    raise AssertionError("no free ports")


class VaultNetwork:
    """A running network with holders. Made by :func:`vault_network`."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.clusters: Mapping[str, Any] = network.config.applications["vault"]["clusters"]

    async def user(self, organisation: str, name: str, **attributes: str) -> SigningIdentity:
        """A client with ``vault`` attributes, enrolled when first asked for."""
        told = {f"vault.{key}": value for key, value in attributes.items()}
        return await enroll_user(self.network.profile, organisation, name, "client", told)

    async def base(self) -> SigningIdentity:
        """The base."""
        return await self.user("Base", "base-station", role="base")

    async def dealer(self, cluster: str) -> SigningIdentity:
        """Who may put objects of a cluster beside its head."""
        organisation = self.clusters[cluster]["organisation"]
        return await self.user(organisation, f"dealer-{cluster.lower()}", role="dealer", cluster=cluster)

    @asynccontextmanager
    async def ledger(self, identity: SigningIdentity) -> AsyncIterator[VaultLedger]:
        """The contract as this identity calls it."""
        async with vault_ledger(self.network.profile, identity) as ledger:
            yield ledger

    @asynccontextmanager
    async def holders(self, identity: SigningIdentity) -> AsyncIterator[HolderClients]:
        """The holders as this identity calls them."""
        async with HolderClients(identity, self.network.roots) as calls:
            yield calls

    async def set_up(self) -> None:
        """Set the clusters, wait until their holders have joined, admit them, and begin the first cycle."""
        async with self.ledger(await self.base()) as ledger:
            for name, one in self.clusters.items():
                mspid = self.network.config.mspid(one["organisation"])
                await ledger.set_cluster(name, one["t"], one["profile"], one["spare"], mspid=mspid)
            for holder in [holder for one in self.clusters.values() for holder in one["holders"]]:
                await eventually(partial(_joined, ledger, holder), within_s=60, what=f"{holder} joins")
                await ledger.admit(holder)
            await ledger.begin_cycle(1, {name: one["head"] for name, one in self.clusters.items()})

    def share_file(self, companion: str, holder: str, object_name: str, version: int = 1) -> Path:
        """Where a holder has a share."""
        return self.network.folder.companion(companion) / "data" / holder / "shares" / f"{object_name}.{version}"


class Put:
    """An object whose manifest is on the ledger, and its shares."""

    def __init__(self, manifest: Manifest, shares: dict[str, bytes], records: dict[str, HolderRecord]) -> None:
        self.manifest = manifest
        self.shares = shares
        self.records = records

    def place(self, holder: str) -> Place:
        return Place(CHANNEL, self.manifest.object, self.manifest.version, holder, self.manifest.cycle)

    def sealed(self, holder: str, share: bytes | None = None) -> bytes:
        """The message in which the holder gets its share, or other bytes."""
        told = self.shares[holder] if share is None else share
        return self.records[holder].kem_key.seal(told, self.place(holder).info(PUT))

    async def give(self, calls: HolderClients, holder: str, share: bytes | None = None) -> str:
        """Give a holder its share; the root that it answers."""
        record = self.records[holder]
        sealed_share = self.sealed(holder, share)
        return (await calls.put(record.url, self.manifest.object, self.manifest.version, sealed_share)).root

    async def serve(self, calls: HolderClients, holder: str, read: str) -> tuple[bytes, Answer]:
        """What a holder serves, and its answer."""
        key = PrivateKey.generate()
        request = ServeRequest(read, key.public.text)
        answer = await calls.serve(self.records[holder].url, self.manifest.object, self.manifest.version, request)
        return key.open(answer.sealed, self.place(holder).info(SERVED, read)), answer


async def split(ledger: VaultLedger, name: str, data: bytes, cluster: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A manifest of version 1 in the present cycle, and the shares."""
    cycle = await ledger.get_cycle()
    found = next(one for one in cycle["clusters"] if one["cluster"] == cluster)
    names = [one["holder"] for one in found["holders"]]
    ids = [int(one["id"]) for one in found["holders"]]
    head = {
        "channel": CHANNEL,
        "object": name,
        "version": 1,
        "cycle": cycle["cycle"],
        "layer": 2,
        "cluster": cluster,
        "profile": "sealed",
        "t": found["t"],
        "ids": [str(x) for x in ids],
        "length": len(data),
    }
    associated = jsontext.dumps({**head, "part": 0})
    cut = profiles.split("sealed", data, found["t"], ids, head=associated, randbytes=os.urandom)
    shares = {one: cut.shares[x] for one, x in zip(names, ids, strict=True)}
    entries = [
        {
            "holder": one,
            "id": str(x),
            "bytes": len(shares[one]),
            "root": commitment.root(shares[one]).hex(),
            "key_sha256": sealed.key_share_sha256(shares[one]),
            "audit_root": commitment.audit_root(audit_commitments(one, shares[one])).hex(),
        }
        for one, x in zip(names, ids, strict=True)
    ]
    fixed = {member: head[member] for member in ("object", "cycle", "layer", "cluster", "profile", "t", "length")}
    manifest = {
        **fixed,
        "n": len(names),
        "head": head,
        "shares": entries,
        "parts": [{"length": len(data), "cipher_sha256": cut.cipher_sha256}],
        "audits": AUDITS,
        "audit_secret": "c2VjcmV0",
        "readers": READERS,
    }
    return manifest, shares


AUDITS = 4
SECRET = b"s" * 32


def audit_commitments(holder: str, share: bytes) -> list[bytes]:
    """The commitments of a share's audits."""
    return [
        commitment.audit_commitment(commitment.audit_nonce(SECRET, holder, number), share) for number in range(AUDITS)
    ]


async def put_object(ledger: VaultLedger, name: str, data: bytes, cluster: str) -> Put:
    """Commit a manifest; nothing is sent to holders."""
    manifest, shares = await split(ledger, name, data, cluster)
    await ledger.put_object(manifest)
    return Put(Manifest.of(await ledger.get_object(name)), shares, await records_of(ledger, shares))


async def records_of(ledger: VaultLedger, names: Iterator[str] | Mapping[str, Any]) -> dict[str, HolderRecord]:
    """Holders as the ledger has them."""
    return {name: HolderRecord.of(await ledger.get_holder(name)) for name in names}


async def _joined(ledger: VaultLedger, holder: str) -> bool:
    with suppress(GridLedgerError):
        return (await ledger.get_holder(holder))["join"] is not None
    return False


def unique(word: str) -> str:
    """A name that no other test has."""
    return f"{word}-{sha256(str(time.time_ns()).encode()).hexdigest()[:8]}"


@contextmanager
def vault_network(config: NetworkConfig, folder: Path) -> Iterator[VaultNetwork]:
    """The network with its holders, stopped at the end."""
    with local_network(config, folder, companions=config.companions) as network:
        yield VaultNetwork(network)
