"""A channel made in memory: organisations with CAs, peers, an orderer, clients; and the chain that they would make."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gridledger.identity.certificate import ATTRIBUTES_OID, Certificate, encode_attributes
from gridledger.identity.signer import SigningIdentity, generate_key
from gridledger.protocol.block import ZERO_HASH, Block, BlockHeader, HeaderSignature, SignedBlock
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Node, Organisation
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.fields import hash_of, to_base64
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Endorsement, Event, RangeRead, Read, Response, Result, Write, endorsement_text
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text

BORN = datetime(2026, 1, 1, tzinfo=UTC)
START_US = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
DAY_US = 86_400 * 1_000_000


class Authority:
    """One organisation's CA."""

    def __init__(self, mspid: str) -> None:
        self.mspid = mspid
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{mspid} root")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._root = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), 1)
            .not_valid_before(BORN)
            .not_valid_after(BORN + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(True, 0), True)
            .add_extension(usage, True)
            .sign(self._key, hashes.SHA256())
        )
        self._serial = itertools.count(2)

    @property
    def root_pem(self) -> str:
        return self._root.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        name: str,
        role: str,
        *,
        days: int = 365,
        attributes: Mapping[str, str] | None = None,
    ) -> SigningIdentity:
        key = generate_key()
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), next(self._serial))
            .not_valid_before(BORN)
            .not_valid_after(BORN + timedelta(days=days))
            .add_extension(x509.BasicConstraints(False, None), True)
        )
        if attributes:
            extension = x509.UnrecognizedExtension(ATTRIBUTES_OID, encode_attributes(attributes))
            builder = builder.add_extension(extension, False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return SigningIdentity(Certificate.from_der(certificate.public_bytes(Encoding.DER)), key, self.mspid)


@dataclass
class Channel:
    """The members of one channel and what they sign. ``kv`` is its chaincode."""

    name: str
    authorities: dict[str, Authority]
    peers: dict[str, SigningIdentity]
    orderer: SigningIdentity
    admins: list[SigningIdentity]
    client: SigningIdentity
    config: ChannelConfig
    nonces: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def make(cls, name: str = "shard1", *, organisations: int = 3, policy: str = "OutOf(2, all)") -> Channel:
        authorities = {f"Org{n}MSP": Authority(f"Org{n}MSP") for n in range(1, organisations + 1)}
        grid = Authority("OrdererMSP")
        peers = {f"peer{n}": ca.issue(f"peer{n}", "peer") for n, ca in enumerate(authorities.values(), 1)}
        orderer = grid.issue("orderer1", "orderer")
        admins = [ca.issue("admin", "admin") for ca in authorities.values()]
        first = next(iter(authorities.values()))
        client = first.issue("aggregator", "client", attributes={"group": "1"})
        config = ChannelConfig(
            channel=name,
            sequence=0,
            organisations={
                **{mspid: Organisation(mspid, (ca.root_pem,)) for mspid, ca in authorities.items()},
                "OrdererMSP": Organisation("OrdererMSP", (grid.root_pem,)),
            },
            peers={
                peer: Node(peer, item.mspid, f"https://localhost/{peer}", item.certificate)
                for peer, item in peers.items()
            },
            orderers={"orderer1": Node("orderer1", "OrdererMSP", "https://localhost/orderer1", orderer.certificate)},
            policies={"admins": "MAJORITY(all.admin)", "readers": "any.member", "writers": "any.member"},
            chaincodes={"kv": ChaincodeDefinition("kv", 1, "1.0", "0" * 64, policy)},
        )
        authorities["OrdererMSP"] = grid
        return cls(name, authorities, peers, orderer, admins, client, config)

    @property
    def genesis(self) -> Block:
        return Block.build(
            channel=self.name,
            number=0,
            previous_hash=ZERO_HASH,
            timestamp_us=START_US,
            envelopes=[ConfigUpdate.build(self.config).to_bytes()],
        )

    def proposal(self, function: str = "put", args: Sequence[Any] = (), **changes: Any) -> Proposal:
        parts: dict[str, Any] = {
            "channel": self.name,
            "chaincode": "kv",
            "sequence": 1,
            "function": function,
            "args": args,
            "creator": to_base64(self.client.certificate.der),
            "nonce": f"{next(self.nonces):032x}",
            "time_us": START_US,
        }
        return Proposal.build(**{**parts, **changes})

    def transaction(
        self,
        writes: Mapping[str, Any] | None = None,
        *,
        reads: Sequence[Read] = (),
        ranges: Sequence[RangeRead] = (),
        event: Event | None = None,
        response: Response | None = None,
        proposal: Proposal | None = None,
        endorsers: Sequence[str] = ("peer1", "peer2"),
        client: SigningIdentity | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Transaction:
        """A transaction with all its signatures; ``result`` changes members of the result before it is endorsed."""
        client = client or self.client
        proposal = proposal or self.proposal(creator=to_base64(client.certificate.der))
        parts: dict[str, Any] = {
            "tx_id": proposal.tx_id,
            "channel": proposal.channel,
            "chaincode": proposal.chaincode,
            "sequence": proposal.sequence,
            "reads": reads,
            "ranges": ranges,
            "writes": [Write(key, value) for key, value in (writes or {}).items()],
            "response": response or Response(200, "", None),
            "event": event,
        }
        built = Result.build(**{**parts, **(result or {})})
        return self.signed(proposal, built, [self.endorsement(name, built) for name in endorsers], client)

    def endorsement(self, peer: str, result: Result) -> Endorsement:
        signer = self.peers[peer]
        return Endorsement(signer.fingerprint, signer.sign(endorsement_text(signer.fingerprint, result.hash)))

    def signed(
        self,
        proposal: Proposal,
        result: Result,
        endorsements: Sequence[Endorsement],
        client: SigningIdentity | None = None,
    ) -> Transaction:
        text = endorsements_text(endorsements)
        signature = (client or self.client).sign(signing_text(proposal.tx_id, result.hash, hash_of(text)))
        return Transaction(proposal, result, tuple(endorsements), text, signature)

    def update(self, signers: Sequence[SigningIdentity] | None = None, **changes: Any) -> ConfigUpdate:
        """A signed update of the present configuration (not applied: set ``config`` when it is committed)."""
        following = replace(self.config, **{"sequence": self.config.sequence + 1, **changes})
        return ConfigUpdate.build(following, self.admins if signers is None else signers)

    def sign_block(self, block: Block) -> SignedBlock:
        signature = self.orderer.sign(block.header.text.encode())
        return SignedBlock(block, HeaderSignature(self.orderer.fingerprint, signature))


class Chain:
    """The chain that the channel's orderer makes: each call of :meth:`next` is one more signed block."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.tip: BlockHeader = channel.genesis.header

    def next(self, *envelopes: Transaction | ConfigUpdate | bytes, after_us: int = 1000) -> SignedBlock:
        packed = [item if isinstance(item, bytes) else item.to_bytes() for item in envelopes]
        block = Block.build(
            channel=self.channel.name,
            number=self.tip.number + 1,
            previous_hash=self.tip.hash,
            timestamp_us=self.tip.timestamp_us + after_us,
            envelopes=packed,
        )
        self.tip = block.header
        return self.channel.sign_block(block)
