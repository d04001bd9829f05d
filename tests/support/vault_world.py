"""A vault on paper, for tests of holders: a ledger in memory that answers as the contract does, holders with real keys
and files, objects that are really split, and a server of holders on a real socket."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.msp import MSP, Identity, MSPManager
from gridledger.identity.signer import SigningIdentity
from gridledger.shares import Pool
from gridledger.sharing import commitment, profiles, sealed
from gridledger.web import Limits, ServerSettings, TLSFiles, WebServer, admins_and, by_certificate, create_app
from services.vault.holder.mending import Mending
from services.vault.holder.own import Own
from services.vault.holder.serving import Serving
from services.vault.holder.store import Store
from services.vault.holder.upkeep import Upkeep
from services.vault.hosting import Host, Hosted
from services.vault.records import HolderRecord, Manifest
from services.vault.routes import make_router
from services.vault.transport import X25519, Kem, PrivateKey
from services.vault.wire import PUT
from tests.support.paper import PaperOrganisation
from tests.support.processes import free_ports

CHANNEL = "vault"
FAR_US = 10**18


def refused(message: str) -> GridLedgerError:
    """What the SDK raises where the contract refuses."""
    return GridLedgerError(message, code="CHAINCODE_REFUSED", status=400)


@dataclass
class Chain:
    """What all peers have."""

    base: str = "BaseMSP"
    objects: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)
    abandoned: set[str] = field(default_factory=set)
    holders: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    revoked_readers: set[str] = field(default_factory=set)
    reads: dict[str, dict[str, Any]] = field(default_factory=dict)
    acks: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)
    deleted: dict[tuple[str, int, str], str] = field(default_factory=dict)
    audits: list[tuple[str, str, int, int, str]] = field(default_factory=list)
    away: bool = False

    def grant(self, name: str, reader: SigningIdentity, purpose: str, *, until_us: int = FAR_US) -> str:
        """A committed read; its transaction."""
        read = sha256(f"{name} {reader.fingerprint} {purpose} {len(self.reads)}".encode()).hexdigest()
        self.reads[read] = {
            "object": name,
            "version": max(self.objects[name]),
            "reader": {"mspid": reader.mspid, "certificate": reader.fingerprint},
            "purpose": purpose,
            "until_us": until_us,
        }
        return read


class PaperLedger:
    """The chain as one holder's identity calls it."""

    def __init__(self, chain: Chain, holder: str) -> None:
        self.chain = chain
        self.holder = holder

    async def get_object(self, name: str, version: int | None = None) -> dict[str, Any]:
        versions = self._chain().objects.get(name, {})
        found = versions.get(max(versions, default=0) if version is None else version)
        if found is None:
            raise refused(f"object: there is no {name}, version {version}")
        abandoned = {"reason": "test"} if name in self.chain.abandoned else None
        return {**found, "stored": self.chain.stored.get(name), "status": "open", "abandoned": abandoned}

    async def get_holder(self, holder: str) -> dict[str, Any]:
        record = self._chain().holders.get(holder)
        if record is None:
            raise refused(f"holder: there is no holder {holder}")
        revoked = {"reason": "test"} if holder in self.chain.revoked else None
        admitted = record.get("admitted", True)
        return {
            "holder": holder,
            "record": record if admitted else None,
            "join": None if admitted else record,
            "revoked": revoked,
            "active": admitted and revoked is None,
        }

    async def get_read(self, name: str, read: str) -> dict[str, Any]:
        entry = self._chain().reads.get(read)
        if entry is None or entry["object"] != name:
            raise refused(f"read: {read} is no read of {name}")
        why = None
        if self.holder in self.chain.revoked:
            why = f"{self.holder} is revoked"
        elif entry["reader"]["certificate"] in self.chain.revoked_readers:
            why = "the reader is revoked"
        elif name in self.chain.abandoned:
            why = f"{name} was abandoned"
        return {"read": read, **entry, "serve": {"holder": self.holder, "allowed": why is None, "why": why}}

    async def get_acks(self, name: str, version: int | None = None) -> dict[str, Any]:
        acks = [ack for (found, number, _), ack in self._chain().acks.items() if (found, number) == (name, version)]
        return {"object": name, "version": version, "acks": acks}

    async def list_clusters(self, *, limit: int | None = None, bookmark: str | None = None) -> dict[str, Any]:
        del limit, bookmark
        return {"items": [], "bookmark": None, "base": self._chain().base}

    async def join(self, holder: str, cluster: str, x: str, kem_key: str, url: str) -> dict[str, Any]:
        record = {"holder": holder, "cluster": cluster, "id": x, "kem_key": kem_key, "url": url, "admitted": False}
        self._chain().holders[holder] = record
        return record

    async def ack_share(self, name: str, version: int, root: str, log_head: str) -> dict[str, Any]:
        if self.holder in self._chain().revoked:
            raise refused(f"holder: {self.holder} was revoked")
        ack = {"holder": self.holder, "root": root, "log_head": log_head}
        self.chain.acks[name, version, self.holder] = ack
        return ack

    async def ack_deleted(self, name: str, version: int, log_head: str) -> dict[str, Any]:
        self._chain().deleted[name, version, self.holder] = log_head
        return {}

    async def audit_share(self, name: str, version: int, number: int, answer: str) -> dict[str, Any]:
        self._chain().audits.append((self.holder, name, version, number, answer))
        return {}

    def _chain(self) -> Chain:
        if self.chain.away:
            raise GridLedgerError("the peer is away", code="UNAVAILABLE", status=503)
        return self.chain


@dataclass
class Dealt:
    """An object that was split: its manifest stands on the ledger, its shares are here by holder."""

    manifest: Manifest
    data: bytes
    shares: dict[str, bytes]


class VaultWorld:
    """One cluster of holders of the organisation Security, a base, a dealer, a reader, and strangers."""

    def __init__(self, folder: Path, names: Sequence[str], *, t: int, kem: Kem = X25519, wait_s: float = 0.1) -> None:
        self.folder = folder
        self.t = t
        self.chain = Chain()
        self.security = PaperOrganisation("SecurityMSP")
        self.base_organisation = PaperOrganisation("BaseMSP")
        self.stranger_organisation = PaperOrganisation("StrangerMSP")
        self.base = self.base_organisation.issue("base", "client", attributes={"vault.role": "base"})
        self.dealer = self.security.issue("m1-head-dealer", "client", attributes={"vault.role": "dealer"})
        self.reader = self.security.issue("reader", "client", attributes={"vault.role": "reader"})
        self.admin = self.security.issue("admin", "admin")
        self.false_base = self.security.issue("false-base", "client", attributes={"vault.role": "base"})
        self.stranger = self.stranger_organisation.issue("base", "client", attributes={"vault.role": "base"})
        self.msps = MSPManager(
            {one.mspid: MSP(one.mspid, [one.root]) for one in (self.security, self.base_organisation)}
        )
        self.work = Pool("bytes of shares in work", 1 << 30, retry_after_s=1.0)
        self.wait_s = wait_s
        self.kem = kem
        self.hosted: dict[str, Hosted] = {}
        for number, name in enumerate(names, start=101):
            self.add(name, number)

    def add(self, name: str, x: int) -> Hosted:
        """A further holder, known to the ledger."""
        attributes = {"vault.role": "sensor", "vault.cluster": "M1", "vault.id": str(x)}
        identity = self.security.issue(name, "client", attributes=attributes)
        key = PrivateKey.generate(self.kem)
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        store = Store(self.folder / name, now_us)
        own = Own(name, CHANNEL, identity, key, store, PaperLedger(self.chain, name), self.work, now_us, self.wait_s)
        self.hosted[name] = Hosted(own, Serving(own), Mending(own), Upkeep(own))
        self.chain.holders[name] = {
            "holder": name,
            "cluster": "M1",
            "id": str(x),
            "mspid": "SecurityMSP",
            "kem_key": key.public.text,
            "url": f"https://127.0.0.1:1/holders/{name}",
            "public_keys": [{"public_key": public_pem(identity)}],
        }
        return self.hosted[name]

    def deal(
        self, name: str, data: bytes, *, profile: str = "sealed", names: Sequence[str] | None = None, version: int = 1
    ) -> Dealt:
        """Split ``data`` and put the manifest on the ledger; nothing is sent."""
        names = list(self.hosted) if names is None else list(names)
        ids = [int(self.chain.holders[one]["id"]) for one in names]
        head = self._head(name, version, profile, ids, len(data))
        shares: dict[str, bytes] = dict.fromkeys(names, b"")
        keys: dict[str, bytes] = dict.fromkeys(names, b"")
        parts, at = [], 0
        for number, length in enumerate(profiles.part_lengths(len(data))):
            associated = jsontext.dumps({**head, "part": number})
            cut = profiles.split(profile, data[at : at + length], self.t, ids, head=associated, randbytes=os.urandom)
            parts.append({"length": length, "cipher_sha256": cut.cipher_sha256})
            for one, x in zip(names, ids, strict=True):
                shares[one] += cut.shares[x]
                keys[one] += sealed.key_share_bytes(cut.shares[x]) if profile == "sealed" else b""
            at += length
        entries = [
            {
                "holder": one,
                "id": str(x),
                "bytes": len(shares[one]),
                "root": commitment.root(shares[one]).hex(),
                "key_sha256": sha256(keys[one]).hexdigest() if profile == "sealed" else None,
                "audit_root": "0" * 64,
            }
            for one, x in zip(names, ids, strict=True)
        ]
        kept = {
            **{member: head[member] for member in ("object", "version", "cycle", "profile", "t", "length")},
            "owner": {"mspid": self.dealer.mspid, "id": "dealer", "certificate": self.dealer.fingerprint},
            "head": head,
            "parts": parts,
            "shares": entries,
        }
        self.chain.objects.setdefault(name, {})[version] = kept
        return Dealt(Manifest.of({**kept, "status": "open", "stored": None, "abandoned": None}), data, shares)

    def _head(self, name: str, version: int, profile: str, ids: Sequence[int], length: int) -> dict[str, Any]:
        return {
            "channel": CHANNEL,
            "object": name,
            "version": version,
            "cycle": 1,
            "layer": 2,
            "cluster": "M1",
            "profile": profile,
            "t": self.t,
            "ids": [str(x) for x in ids],
            "length": length,
        }

    def sealed_share(self, dealt: Dealt, holder: str, share: bytes | None = None) -> bytes:
        """A share, or other bytes, as the dealer sends it."""
        own = self.hosted[holder].own
        return own.key.public.seal(
            dealt.shares[holder] if share is None else share, own.place(dealt.manifest).info(PUT)
        )

    async def hand_out(self, dealt: Dealt, *, but: Sequence[str] = ()) -> None:
        """Give the holders their shares."""
        for name in dealt.shares:
            if name not in but:
                await self.give(dealt, name)

    async def give(
        self, dealt: Dealt, holder: str, share: bytes | None = None, *, by: SigningIdentity | None = None
    ) -> None:
        """Give one holder a share, the right one or another."""
        body = self.sealed_share(dealt, holder, share)

        async def read_body(max_bytes: int) -> bytes:
            assert len(body) <= max_bytes
            return body

        key = (dealt.manifest.object, dealt.manifest.version)
        await self.hosted[holder].serving.take(self.identity(by or self.dealer), key, read_body)

    def identity(self, identity: SigningIdentity) -> Identity:
        """A caller, as the server knows it."""
        return self.msps.identify(identity.certificate, now_us())

    def records(self) -> dict[str, HolderRecord]:
        """All holders that are not revoked."""
        found = {}
        for name, record in self.chain.holders.items():
            if name not in self.chain.revoked:
                found[name] = HolderRecord.of({"holder": name, "record": record, "active": True})
        return found

    def share_file(self, name: str, object_name: str, version: int = 1) -> Path:
        """Where a holder has a share."""
        return self.folder / name / "shares" / f"{object_name}.{version}"

    @asynccontextmanager
    async def serving(self, limits: Limits | None = None) -> AsyncIterator[int]:
        """All holders on one socket, over mutual TLS; its port."""
        (port,) = free_ports(1)
        server = self.folder / "server"
        self.security.issue("server", "client").save(server)
        app = create_app(
            "vault",
            by_certificate(lambda certificate: self.msps.identify(certificate, now_us())),
            limits,
            host.health if (host := Host(self.hosted, {"m1-out": "line 3"})) else None,
            node="m1",
            may_read_metrics=admins_and((), ("SecurityMSP",)),
        )
        app.include_router(make_router(host))
        roots = [self.security.root, self.base_organisation.root, self.stranger_organisation.root]
        files = TLSFiles(server / "cert.pem", server / "key.pem", roots)
        for name, record in self.chain.holders.items():
            record["url"] = f"https://localhost:{port}/holders/{name}"
        async with WebServer(app, ServerSettings("127.0.0.1", port, files, graceful_stop_s=3)):
            yield port

    def close(self) -> None:
        """Give all files back."""
        for hosted in self.hosted.values():
            hosted.own.store.close()


def public_pem(identity: SigningIdentity) -> str:
    """The PEM of an identity's public key."""
    key = identity.certificate.public_key
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def now_us() -> int:
    return time.time_ns() // 1000


async def gathered(*work: Any) -> list[Any]:
    """What each gave, or the error that it raised."""
    return await asyncio.gather(*work, return_exceptions=True)
