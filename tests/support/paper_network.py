"""A network on paper: organisations, nodes, clients and a channel's configuration, without a process.

Certificates are made here with the cryptography library, so that a test has a whole membership in milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gridledger.identity.certificate import ATTRIBUTES_OID, Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol import (
    Block,
    ChaincodeDefinition,
    ChannelConfig,
    ConfigUpdate,
    Endorsement,
    Node,
    Organisation,
    Proposal,
    Response,
    Result,
    Transaction,
    endorsement_text,
    endorsements_text,
    signing_text,
)
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.fields import hash_of, to_base64

NOW_US = 1_767_225_600_000_000
"""2026-01-01: what the paper network's clocks show."""
_NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)


class PaperOrganisation:
    """One organisation with its own root. ``now``: when its certificates are made; they hold from a day before."""

    def __init__(self, mspid: str, now: datetime = _NOW) -> None:
        self.mspid = mspid
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{mspid} root")])
        valid_from = now - timedelta(days=1)
        builder = _builder(self._name, self._name, self._key.public_key(), timedelta(days=3650), valid_from)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.root = _pem(builder.sign(self._key, hashes.SHA256()))

    def issue(
        self,
        name: str,
        role: str,
        *,
        attributes: dict[str, str] | None = None,
        not_before: datetime | None = None,
        lifetime: timedelta = timedelta(days=365),
    ) -> SigningIdentity:
        """A signing identity of this organisation, good for TLS on 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        not_before = not_before or self._now - timedelta(days=1)
        builder = _builder(subject, self._name, key.public_key(), lifetime, not_before)
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(alternative, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        text = json.dumps({"attrs": attributes or {}}).encode()
        builder = builder.add_extension(x509.UnrecognizedExtension(ATTRIBUTES_OID, text), critical=False)
        certificate = Certificate.from_pem(_pem(builder.sign(self._key, hashes.SHA256())))
        return SigningIdentity(certificate, key, self.mspid)


@dataclass
class PaperNetwork:
    """Organisations Org1..OrgN with one peer, one admin and one client each, and three orderers of their own."""

    channel: str = "paper"
    organisations: int = 2
    policy: str = "OutOf(2, all)"
    now_us: int = NOW_US
    urls: dict[str, str] = field(default_factory=dict)
    orgs: dict[str, PaperOrganisation] = field(default_factory=dict)
    peers: dict[str, SigningIdentity] = field(default_factory=dict)
    orderers: dict[str, SigningIdentity] = field(default_factory=dict)
    admins: dict[str, SigningIdentity] = field(default_factory=dict)
    clients: dict[str, SigningIdentity] = field(default_factory=dict)
    _nonce: int = 0

    def __post_init__(self) -> None:
        now = datetime.fromtimestamp(self.now_us / 1e6, UTC)
        for number in range(1, self.organisations + 1):
            mspid = f"Org{number}MSP"
            org = self.orgs[mspid] = PaperOrganisation(mspid, now)
            self.peers[f"peer{number}"] = org.issue(f"peer{number}", "peer")
            self.admins[mspid] = org.issue("admin", "admin")
            self.clients[mspid] = org.issue("alice", "client")
        ordering = self.orgs["OrdererMSP"] = PaperOrganisation("OrdererMSP", now)
        self.orderers = {f"orderer{n}": ordering.issue(f"orderer{n}", "orderer") for n in (1, 2, 3)}

    def config(self, **changes: Any) -> ChannelConfig:
        """The channel's first configuration, with the chaincode ``kv``."""
        members: dict[str, Any] = {
            "channel": self.channel,
            "sequence": 0,
            "organisations": {mspid: Organisation(mspid, (org.root,)) for mspid, org in self.orgs.items()},
            "peers": self._nodes(self.peers),
            "orderers": self._nodes(self.orderers),
            "policies": {"admins": "MAJORITY(all.admin)", "readers": "any.member", "writers": "any.member"},
            "chaincodes": {"kv": ChaincodeDefinition("kv", 1, "1.0", "0" * 64, self.policy)},
        }
        return ChannelConfig(**{**members, **changes})

    def genesis(self, config: ChannelConfig | None = None) -> Block:
        """Block 0."""
        envelope = ConfigUpdate.build(config or self.config()).to_bytes()
        return Block.build(
            channel=self.channel, number=0, previous_hash=ZERO_HASH, timestamp_us=self.now_us, envelopes=[envelope]
        )

    def proposal(
        self, function: str = "put", *args: Any, client: SigningIdentity | None = None, **changes: Any
    ) -> Proposal:
        """A proposal of Org1's client with a nonce of its own."""
        self._nonce += 1
        members: dict[str, Any] = {
            "channel": self.channel,
            "chaincode": "kv",
            "sequence": 1,
            "function": function,
            "args": list(args),
            "creator": to_base64((client or self.clients["Org1MSP"]).certificate.der),
            "nonce": f"{self._nonce:032x}",
            "time_us": self.now_us,
        }
        return Proposal.build(**{**members, **changes})

    def transaction(
        self,
        proposal: Proposal | None = None,
        *,
        client: SigningIdentity | None = None,
        endorsers: tuple[str, ...] = ("peer1", "peer2"),
        **result: Any,
    ) -> Transaction:
        """An endorsed, signed transaction; keywords go to the result (reads, ranges, writes, event)."""
        client = client or self.clients["Org1MSP"]
        proposal = proposal or self.proposal(client=client)
        made = Result.build(
            tx_id=proposal.tx_id,
            channel=proposal.channel,
            chaincode=proposal.chaincode,
            sequence=proposal.sequence,
            **{"response": Response(200, "", None), **result},
        )
        signers = [self.peers[name] for name in endorsers]
        endorsements = tuple(
            Endorsement(signer.fingerprint, signer.sign(endorsement_text(signer.fingerprint, made.hash)))
            for signer in signers
        )
        text = endorsements_text(endorsements)
        signature = client.sign(signing_text(proposal.tx_id, made.hash, hash_of(text)))
        return Transaction(proposal, made, endorsements, text, signature)

    def _nodes(self, identities: dict[str, SigningIdentity]) -> dict[str, Node]:
        return {
            name: Node(name, identity.mspid, self.urls.get(name, f"https://{name}.test:7051"), identity.certificate)
            for name, identity in identities.items()
        }


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    lifetime: timedelta,
    not_before: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + lifetime)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
