"""A week of forensics as ledgers of one peer, built through the committer directly: no network, no process beside.

Everything else is real: contracts are executed on the ledger's state, devices prove their events, two peers endorse,
clients and the orderer sign, and the committer judges each block. Called again it goes on where the ledgers end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.contract.executor import execute
from gridledger.contract.hosting.pool import client_identity
from gridledger.contract.loader import load
from gridledger.evidence import events, p256, schnorr
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity, generate_key
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol import (
    Block,
    ChaincodeDefinition,
    ChannelConfig,
    ConfigUpdate,
    Endorsement,
    HeaderSignature,
    Node,
    Organisation,
    Proposal,
    SignedBlock,
    Transaction,
    endorsement_text,
    endorsements_text,
    signing_text,
)
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.fields import hash_of, to_base64
from services.ca.authority import DAY_US, Authority

GENERAL, REGISTRY, ACCESS = "general", "devices", "access"
SECTIONS: Final = ("section-plant", "section-home")
CHAINCODES: Final[Mapping[str, str]] = {
    GENERAL: "anchors",
    REGISTRY: "registry",
    ACCESS: "access",
    **dict.fromkeys(SECTIONS, "events"),
}
MSPIDS: Final = ("KyivMSP", "LvivMSP", "AuthorityMSP")
PEOPLE: Final[Mapping[str, Mapping[str, str]]] = {
    "registrar": {"forensics.role": "registrar"},
    "lightnode": {"forensics.role": "lightnode"},
    "operator": {"forensics.role": "operator"},
    "agent": {"anchor.role": "agent"},
}
APPLICATIONS: Final[Mapping[str, Any]] = {
    "forensics": {
        "channel": "cases",
        "chaincode": "cases",
        "devices": {"channel": REGISTRY, "chaincode": "registry"},
        "access": {"channel": ACCESS, "chaincode": "access"},
        "sections": dict.fromkeys(SECTIONS, "events"),
    },
    "anchors": {"channel": GENERAL, "chaincode": "anchors"},
}
S: Final = 1_000_000
BEGIN_US: Final = 1_796_000_000 * S
WEEK_US: Final = 7 * DAY_US
MAP_BYTES: Final = 64 << 30
_CHAINCODE: Final = Path(__file__).parents[2] / "chaincode"
_YEARS: Final = 3650


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who signs, from files, so that a history goes on with the same keys."""

    roots: dict[str, str]
    by_name: dict[str, SigningIdentity]

    @classmethod
    def in_folder(cls, folder: Path) -> People:
        """Read them, or make them."""
        names = [f"{mspid}/{name}" for mspid in MSPIDS for name in ("peer", *PEOPLE)] + ["OrdererMSP/orderer"]
        if not (folder / "complete").exists():
            for mspid in (*MSPIDS, "OrdererMSP"):
                authority = Authority.create("root", mspid, now_us=BEGIN_US, lifetime_us=_YEARS * DAY_US)
                for name in (each for each in names if each.startswith(f"{mspid}/")):
                    _issued(authority, mspid, name.partition("/")[2]).save(folder / name)
                (folder / mspid / "root.pem").write_text(authority.root.pem)
            (folder / "complete").touch()
        roots = {mspid: (folder / mspid / "root.pem").read_text() for mspid in (*MSPIDS, "OrdererMSP")}
        return cls(roots, {name: SigningIdentity.load(folder / name) for name in names})

    def of(self, name: str, mspid: str = "KyivMSP") -> SigningIdentity:
        """Somebody by name and organisation."""
        return self.by_name[f"{mspid}/{name}"]


class PaperChannel:
    """One channel: its ledger in ``folder``, and the blocks that follow."""

    def __init__(self, folder: Path, people: People, channel: str) -> None:
        self.channel, self.chaincode, self.people = channel, CHAINCODES[channel], people
        self._package = load(_CHAINCODE / self.chaincode)
        self.ledger = Ledger.create(folder, self._genesis(), map_bytes=MAP_BYTES)
        self._committer = BlockCommitter(self.ledger)
        self._waiting: list[bytes] = []

    def call(self, function: str, argument: Any, by: SigningIdentity, time_us: int) -> str:
        """Have the next block take a transaction, endorsed on the ledger as it is; its id."""
        proposal = Proposal.build(
            channel=self.channel,
            chaincode=self.chaincode,
            sequence=1,
            function=function,
            args=(argument,),
            creator=to_base64(by.certificate.der),
            nonce=os.urandom(24).hex(),
            time_us=time_us,
        )
        who = client_identity(Identity(by.mspid, "client", by.certificate))
        with self.ledger.snapshot() as snapshot:
            result = execute(self._package, proposal, who, snapshot)
        if result.response.status != 200:  # noqa: PLR2004
            raise RuntimeError(f"{function}: {result.response.message}")
        peers = [self.people.of("peer", mspid) for mspid in MSPIDS[:2]]
        endorsed = tuple(
            Endorsement(peer.fingerprint, peer.sign(endorsement_text(peer.fingerprint, result.hash))) for peer in peers
        )
        text = endorsements_text(endorsed)
        signature = by.sign(signing_text(proposal.tx_id, result.hash, hash_of(text)))
        self._waiting.append(Transaction(proposal, result, endorsed, text, signature).to_bytes())
        return proposal.tx_id

    def block(self, at_us: int) -> None:
        """Commit what waits as the next block; every transaction of it must be valid."""
        head, orderer = self.ledger.head, self.people.of("orderer", "OrdererMSP")
        block = Block.build(
            channel=self.channel,
            number=head.height,
            previous_hash=head.header_hash,
            timestamp_us=max(at_us, head.timestamp_us),
            envelopes=self._waiting,
        )
        self._waiting = []
        signature = HeaderSignature(orderer.fingerprint, orderer.sign(block.header.text.encode()))
        (committed,) = self._committer.process([SignedBlock(block, signature)])
        if any(committed.codes):
            raise RuntimeError(f"block {committed.number} of {self.channel} is not valid: {set(committed.codes)}")

    def value(self, key: str) -> Any:
        """A value of the contract's state; None where there is none."""
        with self.ledger.snapshot() as snapshot:
            found = snapshot.get(self.chaincode, key)
        return None if found is None else jsontext.loads_trusted(found.value)

    def _genesis(self) -> Block:
        peers = {mspid: self.people.of("peer", mspid) for mspid in MSPIDS}
        orderer = self.people.of("orderer", "OrdererMSP")
        policy = "OutOf(2, all)"
        config = ChannelConfig(
            channel=self.channel,
            sequence=0,
            organisations={
                mspid: Organisation(mspid, (root,), kind="orderer" if mspid == "OrdererMSP" else "application")
                for mspid, root in sorted(self.people.roots.items())
            },
            peers={mspid: _node(mspid, peer) for mspid, peer in peers.items()},
            orderers={"orderer": _node("orderer", orderer)},
            chaincodes={self.chaincode: ChaincodeDefinition(self.chaincode, 1, "1.0", "0" * 64, policy)},
        )
        return Block.build(
            channel=self.channel,
            number=0,
            previous_hash=ZERO_HASH,
            timestamp_us=BEGIN_US,
            envelopes=[ConfigUpdate.build(config).to_bytes()],
        )


class ProvingDevice:
    """A device that tells events: its place in its chain is what the ledger says."""

    def __init__(self, channel: str, name: str, head: Mapping[str, Any] | None) -> None:
        self._channel, self.name = channel, name
        self._secret = int.from_bytes(sha256(name.encode()).digest(), "big") % (p256.ORDER - 1) + 1
        self.public = schnorr.public_of(self._secret).hex()
        self._seq = 0 if head is None else int(head["seq"])
        self._prev = events.NO_EVENT if head is None else str(head["sha256"])

    def tell(self, kind: str, time_us: int, body: str) -> dict[str, Any]:
        """The next event, proved, as LogEvents takes it."""
        self._seq += 1
        text = events.event_text(
            self._channel,
            self.name,
            self._seq,
            self._prev,
            kind=kind,
            time_us=time_us,
            body_sha256=events.text_hash(body),
        )
        told = {"seq": self._seq, "prev": self._prev, "kind": kind, "time_us": time_us, "body": body}
        self._prev = events.text_hash(text)
        return {**told, "proof": self.prove(text)}

    def prove(self, text: str) -> str:
        """A proof of a text."""
        return schnorr.prove(self._secret, self.name, text, randbytes=os.urandom).text


def ledgers(folder: Path, channels: Sequence[str]) -> dict[str, Ledger]:
    """The ledgers of a history, for reading."""
    return {channel: Ledger.open(folder, channel, readonly=True) for channel in channels}


def _issued(authority: Authority, mspid: str, name: str) -> SigningIdentity:
    role = name if name in ("peer", "orderer") else "client"
    key = generate_key()
    certificate = authority.issue(
        key.public_key(), name, role, now_us=BEGIN_US, lifetime_us=_YEARS * DAY_US, attributes=PEOPLE.get(name)
    )
    return SigningIdentity(certificate, key, mspid)


def _node(name: str, identity: SigningIdentity) -> Node:
    return Node(name, identity.mspid, "https://localhost:7000", identity.certificate)
