"""Three channels on paper with the real contracts and ledgers: general with anchors, devices with the registry, and a
section with events. What happens on them is put into evidence packages.

Organisations and keys are the same on all channels, as they follow from the seed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.contract.executor import execute
from gridledger.contract.hosting.pool import client_identity
from gridledger.contract.loader import load
from gridledger.evidence import events
from gridledger.evidence.anchor import HeaderTree, leaf_hash
from gridledger.evidence.assembling import Anchored, Rest, assemble, endings_of
from gridledger.evidence.package import BlockPart, Package, Place, Roles
from gridledger.evidence.roles import KnownRoles, roles_of
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.config_update import ConfigUpdate, is_config_block
from gridledger.protocol.headers import CommittedHeader
from gridledger.protocol.result import Read, Version
from gridledger.protocol.statements import Head, statement_text
from gridledger.protocol.transaction import Transaction
from tests.support.events_channel import Device
from tests.support.paper import NOW_US, PaperNetwork, PaperPeer, signed_transaction
from tests.support.registry_channel import proof_key, prove, secret

GENERAL, DEVICES, SECTION = "general", "devices", "section-plant"
ROLES = Roles((GENERAL, "anchors"), (DEVICES, "registry"), {SECTION: "events"})
AGENTS = ("Org1MSP", "Org2MSP")
PACKAGE = "0" * 64
"""The SHA-256 of every chaincode's package."""
KNOWN = KnownRoles(ROLES, {(channel, chaincode): frozenset({PACKAGE}) for _, channel, chaincode in roles_of(ROLES)})
CHAINCODE = Path(__file__).parents[2] / "chaincode"
ATTRIBUTES = {
    "agent": {"anchor.role": "agent", "forensics.role": "agent"},
    "registrar": {"forensics.role": "registrar"},
    "lightnode": {"forensics.role": "lightnode"},
}


@dataclass(slots=True)
class Channel:
    """A channel with one chaincode, and a peer that follows it."""

    paper: PaperNetwork
    peer: PaperPeer
    chaincode: str

    @classmethod
    def begin(cls, folder: Path, name: str, chaincode: str, policy: str, seed: str) -> Channel:
        paper = PaperNetwork(name, organisations=3, seed=seed)
        definition = ChaincodeDefinition(chaincode, 1, "1.0", PACKAGE, policy)
        paper.config = replace(paper.config, chaincodes={chaincode: definition})
        return cls(paper, PaperPeer(folder / name, paper), chaincode)

    @property
    def name(self) -> str:
        return self.paper.channel

    @property
    def height(self) -> int:
        return self.peer.ledger.height

    def transaction(
        self, function: str, argument: Any, caller: SigningIdentity, endorsers: Sequence[str] = ("peer1", "peer2")
    ) -> Transaction:
        """What the contract answers on the present state, endorsed and signed."""
        sequence = self.paper.config.chaincodes[self.chaincode].sequence
        proposal = self.paper.proposal(function, argument, client=caller, chaincode=self.chaincode, sequence=sequence)
        who = client_identity(Identity(caller.mspid, "client", caller.certificate))
        with self.peer.ledger.snapshot() as snapshot:
            result = execute(load(CHAINCODE / self.chaincode), proposal, who, snapshot)
        assert result.response.status == 200, result.response.message
        endorsements = [self.paper.endorsement(name, result) for name in endorsers]
        return signed_transaction(proposal, result, endorsements, caller)

    def commit(self, *envelopes: Transaction | ConfigUpdate) -> int:
        """One more block of these; its number."""
        number = self.peer.commit(*envelopes, after_us=1_000_000).number
        for item in envelopes:
            if isinstance(item, ConfigUpdate):
                self.paper.config = item.config
        return number

    def part(self, number: int) -> BlockPart:
        """A block as a peer tells it."""
        with self.peer.ledger.snapshot() as snapshot:
            block, metadata = snapshot.block(number), snapshot.metadata(number)
            before = snapshot.metadata(number - 1).commit_hash if number else "0" * 64
        return BlockPart(block, metadata.codes, before, metadata.signature)

    def tree(self) -> HeaderTree:
        with self.peer.ledger.snapshot() as snapshot:
            return HeaderTree.from_hashes(_leaf(snapshot.header(number)) for number in range(snapshot.height))

    def config_blocks(self, below: int) -> list[int]:
        return [number for number in range(below) if is_config_block(self.part(number).block)]

    def find(self, tx_id: str) -> tuple[int, int]:
        found = self.peer.ledger.transaction(tx_id)
        return found.block, found.index


def _leaf(item: CommittedHeader) -> bytes:
    return leaf_hash(item.header.text, item.commit_hash)


class EvidenceWorld:
    """The three channels. ``anchors``: by channel what is final."""

    def __init__(self, folder: Path, seed: str = "evidence") -> None:
        self.channels = {
            GENERAL: Channel.begin(folder, GENERAL, "anchors", "MAJORITY(all)", seed),
            DEVICES: Channel.begin(folder, DEVICES, "registry", "MAJORITY(all)", seed),
            SECTION: Channel.begin(folder, SECTION, "events", "OutOf(2, all)", seed),
        }
        self.organisations = self.channels[GENERAL].paper.organisations
        self.people = {
            (mspid, role): organisation.issue(role, "client", attributes=attributes)
            for mspid, organisation in self.organisations.items()
            for role, attributes in ATTRIBUTES.items()
        }
        self.anchors: dict[str, list[Anchored]] = {}

    @property
    def genesis(self) -> str:
        return self.channels[GENERAL].paper.genesis.header.hash

    @property
    def roots(self) -> dict[str, list[str]]:
        return {mspid: [organisation.root] for mspid, organisation in self.organisations.items()}

    def call(self, channel: str, function: str, argument: Any, caller: SigningIdentity) -> Place:
        """A valid transaction in a block of its own."""
        here = self.channels[channel]
        number = here.commit(here.transaction(function, argument, caller))
        assert here.part(number).codes == (TxValidationCode.VALID,)
        return Place(channel, number, 0)

    def forced(
        self,
        channel: str,
        function: str,
        argument: Any,
        caller: SigningIdentity,
        *,
        writes: Mapping[str, Any] | None = None,
        reads: Mapping[str, tuple[int, int]] | None = None,
        endorsers: Sequence[str] = ("peer1", "peer2"),
        signer: SigningIdentity | None = None,
        chaincode: str | None = None,
    ) -> Place:
        """A transaction that peers endorsed without running the contract, in a block of its own; valid or not."""
        here = self.channels[channel]
        proposal = here.paper.proposal(function, argument, client=caller, chaincode=chaincode or here.chaincode)
        read = [Read(key, Version(*version)) for key, version in (reads or {}).items()]
        result = here.paper.result(proposal, writes, reads=read)
        endorsements = [here.paper.endorsement(name, result) for name in endorsers]
        return Place(channel, here.commit(signed_transaction(proposal, result, endorsements, signer or caller)), 0)

    def head(self, channel: str, before: int = 0, **changes: Any) -> dict[str, Any]:
        """The argument of an Attest of the channel's present head."""
        tree = self.channels[channel].tree()
        with self.channels[channel].peer.ledger.snapshot() as snapshot:
            last = snapshot.header(tree.size - 1)
        return {
            "channel": channel,
            "size": tree.size,
            "root": tree.root().hex(),
            "header_hash": last.header.hash,
            "commit_hash": last.commit_hash,
            "height": tree.size,
            "consistency": [item.hex() for item in tree.consistency(before, tree.size)],
            **changes,
        }

    def members_version(self, channel: str) -> tuple[int, int]:
        """Where the record of a channel's organisations was written last."""
        with self.channels[GENERAL].peer.ledger.snapshot() as snapshot:
            version = snapshot.version("anchors", f"members/{channel}")
        assert version is not None
        return version.block, version.transaction

    def tx_id(self, place: Place) -> str:
        block = self.channels[place.channel].part(place.block).block
        return Transaction.parse(block.envelopes[place.index]).tx_id

    def person(self, role: str, mspid: str = "Org1MSP") -> SigningIdentity:
        return self.people[(mspid, role)]

    def registering(self, device: str) -> dict[str, Any]:
        """The argument of RegisterDevice."""
        der = self.person("lightnode").certificate.der
        text = events.registration_text(DEVICES, device, sha256(der).hexdigest(), proof_key(device))
        return {
            "device": device,
            "type": "pmu",
            "section": SECTION,
            **dict.fromkeys(("site", "vendor", "model"), "x"),
            "proof_key": proof_key(device),
            "certificate": base64.b64encode(der).decode(),
            "proof": prove(secret(device), device, text),
        }

    def register(self, device: str) -> Place:
        """RegisterDevice and AdmitDevice by Org1's registrar; the place of the registration."""
        place = self.call(DEVICES, "RegisterDevice", self.registering(device), self.person("registrar"))
        self.admit(device, self.tx_id(place))
        return place

    def admit(self, device: str, tx: str) -> Place:
        wanted = {"device": device, "mspid": "Org1MSP", "proof_key": proof_key(device), "tx": tx}
        return self.call(SECTION, "AdmitDevice", wanted, self.person("registrar"))

    def log(self, device: Device, *args: Any, **changes: Any) -> Place:
        argument = device.argument(*args, **{"time_us": NOW_US, **changes})
        return self.call(SECTION, "LogEvent", argument, self.person("lightnode"))

    def anchor(self, channel: str, agents: Sequence[str] = AGENTS) -> Anchored:
        """The agents attest the channel's present head, the last one concludes."""
        if channel not in self.anchors:
            self.set_members(channel, agents)
        before = self.anchors[channel][-1].size if self.anchors.get(channel) else 0
        attests = []
        for number, mspid in enumerate(agents, 1):
            argument = self.head(channel, before, conclude=number == len(agents))
            place = self.call(GENERAL, "Attest", argument, self.person("agent", mspid))
            attests.append((place.block, place.index))
        anchored = Anchored(argument["size"], tuple(attests))
        self.anchors.setdefault(channel, []).append(anchored)
        return anchored

    def set_agents(self, agents: Sequence[str] = AGENTS) -> None:
        """The agents put themselves on record."""
        for mspid in agents:
            self.call(GENERAL, "SetAgent", {"url": "https://agent:5350"}, self.person("agent", mspid))

    def cosigning(self, channel: str, signers: Mapping[str, SigningIdentity], before: int = 0) -> dict[str, Any]:
        """A round of Cosign: the channel's present head, signed in the name of each organisation."""
        told = self.head(channel, before)
        head = {field: told[field] for field in Head._fields}
        text = statement_text(GENERAL, channel, told["size"], before, head)
        signatures = [{"mspid": mspid, "signature": who.sign(text).hex()} for mspid, who in signers.items()]
        round_ = {"channel": channel, "size": told["size"], "base": before, "consistency": told["consistency"]}
        return {**round_, "heads": [{**head, "signatures": signatures}]}

    def cosign(self, channel: str, agents: Sequence[str] = AGENTS) -> Anchored:
        """The agents sign the channel's present head, and one transaction of the first of them has all of it."""
        before = self.anchors[channel][-1].size if self.anchors.get(channel) else 0
        one = self.cosigning(channel, {mspid: self.person("agent", mspid) for mspid in agents}, before)
        place = self.call(GENERAL, "Cosign", {"rounds": [one]}, self.person("agent"))
        anchored = Anchored(one["size"], ((place.block, place.index),))
        self.anchors.setdefault(channel, []).append(anchored)
        return anchored

    def set_members(self, channel: str, agents: Sequence[str] = AGENTS, **changes: Any) -> None:
        paper = self.channels[channel].paper
        said = {
            "channel": channel,
            "organisations": list(paper.config.peer_organisations),
            "genesis": self.channels[channel].part(0).block.header.hash,
            **changes,
        }
        for mspid in agents:
            self.call(GENERAL, "SetMembers", said, self.person("agent", mspid))

    def endings(self, device: str) -> tuple[str, ...]:
        """The registry's transactions that retired and revoked a device."""
        with self.channels[DEVICES].peer.ledger.snapshot() as snapshot:
            found = [snapshot.get("registry", f"{kind}/{device}") for kind in ("device", "revoked")]
        record, revoked = (None if item is None else jsontext.loads(item.value) for item in found)
        return endings_of({**(record or {}), "revoked": revoked})

    def package(
        self,
        *evidence: Place,
        anchors: Mapping[str, Sequence[Anchored]] | None = None,
        roles: Roles = ROLES,
        **parts: Any,
    ) -> Package:
        """A package of these transactions, with all that they rest on."""
        chosen = self.anchors if anchors is None else anchors
        blocks: dict[str, dict[int, BlockPart]] = {GENERAL: {}}
        endings: dict[str, tuple[str, ...]] = {}
        rest = Rest(roles, evidence)
        while needs := rest.needs(chosen, blocks, endings):
            endings |= {device: self.endings(device) for device in needs.devices}
            wanted = needs.blocks | {(name, self.channels[name].find(tx)[0]) for name, tx in needs.transactions}
            for name, number in wanted:
                blocks.setdefault(name, {})[number] = self.channels[name].part(number)
        for name, held in blocks.items():
            below = max([*(number + 1 for number in held), *(item.size for item in chosen.get(name, ()))], default=1)
            held.update(
                {number: self.channels[name].part(number) for number in self.channels[name].config_blocks(below)}
            )
        used = {name: items for name, items in chosen.items() if name in blocks}
        trees = {name: self.channels[name].tree() for name in used}
        package = Package(roles, evidence, {}, verifier=b"PK", **parts)
        return assemble(package, blocks, used, trees)
