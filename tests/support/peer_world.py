"""Organisations, identities, channel configs and proposals for tests, made with real keys."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol.block import ZERO_HASH, Block, HeaderSignature, SignedBlock
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Node, Organisation
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.fields import hash_of, to_base64
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement, Event, Read, Response, Result, Version, Write, endorsement_text
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text

NOW_US = 1_700_000_000_000_000


def now_us() -> int:
    """The wall clock, for processes that go by it."""
    return time.time_ns() // 1000


START = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2050, 1, 1, tzinfo=UTC)


class Org:
    """An organisation with its own CA."""

    def __init__(self, mspid: str) -> None:
        self.mspid = mspid
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{mspid} CA")])
        self._serial = 1
        self.root = self._build(self._name, self._key.public_key(), ca=True)
        self.root_pem = self.root.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: str, role: str) -> SigningIdentity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        certificate = self._build(subject, key.public_key(), ca=False)
        return SigningIdentity(
            Certificate.from_der(certificate.public_bytes(serialization.Encoding.DER)), key, self.mspid
        )

    def crl(self, *revoked: SigningIdentity) -> str:
        """A revocation list (PEM) of these."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(START).next_update(END)
        for item in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(item.certificate.serial).revocation_date(START)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def _build(self, subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.Certificate:
        self._serial += 1
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(self._serial)
            .not_valid_before(START)
            .not_valid_after(END)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        )
        if not ca:
            hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@cache
def org(number: int) -> Org:
    return Org(f"Org{number}MSP")


@cache
def orderer_org() -> Org:
    return Org("OrdererMSP")


@cache
def peer(number: int) -> SigningIdentity:
    return org(number).issue(f"peer{number}", "peer")


@cache
def orderer(number: int) -> SigningIdentity:
    return orderer_org().issue(f"orderer{number}", "orderer")


@cache
def client(number: int = 1) -> SigningIdentity:
    return org(number).issue(f"client{number}", "client")


@cache
def admin(number: int = 1) -> SigningIdentity:
    return org(number).issue(f"admin{number}", "admin")


def identity(signer: SigningIdentity, role: str) -> Identity:
    return Identity(signer.mspid, role, signer.certificate)


def node(name: str, signer: SigningIdentity, url: str) -> Node:
    return Node(name, signer.mspid, url, signer.certificate)


def config(
    peers: int = 2,
    *,
    policy: str = "OutOf(2, all)",
    channel: str = "shard1",
    package: str = "0" * 64,
    sequence: int = 0,
    ports: Mapping[str, int] | None = None,
    writers: str = "any.member",
    **changes: Any,
) -> ChannelConfig:
    """A channel with ``peers`` organisations of one peer each, and three orderers."""
    ports = ports or {}

    def url(name: str) -> str:
        return f"https://localhost:{ports.get(name, 1)}"

    organisations = {f"Org{n}MSP": Organisation(f"Org{n}MSP", (org(n).root_pem,)) for n in range(1, peers + 1)}
    organisations["OrdererMSP"] = Organisation("OrdererMSP", (orderer_org().root_pem,))
    return ChannelConfig(
        channel=channel,
        sequence=sequence,
        organisations=organisations,
        peers={f"peer{n}": node(f"peer{n}", peer(n), url(f"peer{n}")) for n in range(1, peers + 1)},
        orderers={f"orderer{n}": node(f"orderer{n}", orderer(n), url(f"orderer{n}")) for n in range(1, 4)},
        policies={"admins": "MAJORITY(all.admin)", "readers": "any.member", "writers": writers},
        chaincodes={"kv": ChaincodeDefinition("kv", 1, "1.0", package, policy)},
        **changes,
    )


def genesis(configuration: ChannelConfig) -> Block:
    return Block.build(
        channel=configuration.channel,
        number=0,
        previous_hash=ZERO_HASH,
        timestamp_us=NOW_US,
        envelopes=[ConfigUpdate.build(configuration).to_bytes()],
    )


def proposal(
    *args: Any,
    channel: str = "shard1",
    chaincode: str = "kv",
    sequence: int = 1,
    function: str = "put",
    nonce: int = 1,
    time_us: int = NOW_US,
    signer: SigningIdentity | None = None,
    transient: Mapping[str, Any] | None = None,
) -> SignedProposal:
    signer = signer or client()
    made = Proposal.build(
        channel=channel,
        chaincode=chaincode,
        sequence=sequence,
        function=function,
        args=args,
        creator=to_base64(signer.certificate.der),
        nonce=f"{nonce:032x}",
        time_us=time_us,
        transient=transient,
    )
    return SignedProposal(made, signer.sign(made.text.encode()), transient)


def result(
    made: Proposal,
    *,
    reads: Sequence[tuple[str, tuple[int, int] | None]] = (),
    writes: Sequence[tuple[str, Any]] = (),
    status: int = 200,
    message: str = "",
    payload: Any = None,
    event: tuple[str, Any] | None = None,
) -> Result:
    return Result.build(
        tx_id=made.tx_id,
        channel=made.channel,
        chaincode=made.chaincode,
        sequence=made.sequence,
        reads=[Read(key, None if version is None else Version(*version)) for key, version in reads],
        writes=[Write(key, value) for key, value in writes],
        response=Response(status, message, payload),
        event=None if event is None else Event(*event),
    )


def endorse(outcome: Result, signer: SigningIdentity) -> Endorsement:
    return Endorsement(signer.fingerprint, signer.sign(endorsement_text(signer.fingerprint, outcome.hash)))


def transaction(
    signed: SignedProposal,
    outcome: Result,
    endorsers: Sequence[SigningIdentity],
    signer: SigningIdentity | None = None,
) -> Transaction:
    endorsements = tuple(endorse(outcome, item) for item in endorsers)
    text = endorsements_text(endorsements)
    signed_text = signing_text(signed.proposal.tx_id, outcome.hash, hash_of(text))
    return Transaction(signed.proposal, outcome, endorsements, text, (signer or client()).sign(signed_text))


class Chain:
    """A channel's chain as the orderers would make it, and a ledger that follows it in ``folder``."""

    def __init__(self, folder: Path, configuration: ChannelConfig | None = None) -> None:
        first = genesis(configuration or config())
        self.ledger = Ledger.create(folder, first, map_bytes=64 * 1024 * 1024)
        self.blocks: list[Block] = [first]
        self._committer = BlockCommitter(self.ledger)

    def next(self, *envelopes: bytes, signer: SigningIdentity | None = None) -> SignedBlock:
        """The next block, signed by an orderer, not committed."""
        last = self.blocks[-1].header
        block = Block.build(
            channel=last.channel,
            number=last.number + 1,
            previous_hash=last.hash,
            timestamp_us=last.timestamp_us + 1000,
            envelopes=envelopes,
        )
        self.blocks.append(block)
        return signed_block(block, signer or orderer(1))

    def commit(self, *envelopes: bytes) -> CommittedBlock:
        """Make the next block and commit it."""
        return self._committer.process([self.next(*envelopes)])[0]


def signed_block(block: Block, signer: SigningIdentity) -> SignedBlock:
    return SignedBlock(block, HeaderSignature(signer.fingerprint, signer.sign(block.header.text.encode())))


def envelope(key: str, value: Any, *, nonce: int = 1, event: tuple[str, Any] | None = None, peers: int = 2) -> bytes:
    """A valid transaction that sets one key without reading it."""
    signed = proposal(key, value, nonce=nonce)
    outcome = result(signed.proposal, writes=[(key, value)], event=event)
    return transaction(signed, outcome, [peer(number) for number in range(1, peers + 1)]).to_bytes()
