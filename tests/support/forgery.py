"""What an attacker, or a client with a defect, would send: built from real endorsements, keys and certificates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from gridledger import framing, jsontext
from gridledger.client.gateway import Gateway
from gridledger.errors import from_wire
from gridledger.identity.signer import SigningIdentity, generate_key
from gridledger.protocol.fields import to_base64
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement, Response, Result, Write
from gridledger.protocol.transaction import Transaction
from gridledger.transport.node_client import NodeClient
from services.ca.authority import DAY_US, SECOND_US, Authority
from tests.support.local_network import LocalNetwork
from tests.support.paper import endorse, signed_proposal, signed_transaction

CHANNEL = "shard1"
_VERSION_2, _VERSION_3 = bytes.fromhex("a003020101"), bytes.fromhex("a003020102")


def now_us() -> int:
    return time.time_ns() // 1000


class Forger:
    """A client of Org1 with a gateway at peer1, who also got hold of whatever keys a test hands out."""

    def __init__(self, network: LocalNetwork, gateway: Gateway, sequence: int, channel: str = CHANNEL) -> None:
        self.network = network
        self.gateway = gateway
        self.channel = channel
        assert isinstance(gateway.identity, SigningIdentity)
        self.client: SigningIdentity = gateway.identity
        self.contract = gateway.get_network(channel).get_contract("kv")
        self._sequence = sequence
        self._made = 0

    @classmethod
    async def at(cls, network: LocalNetwork, gateway: Gateway) -> Forger:
        """One that knows kv's present sequence."""
        return cls(network, gateway, await gateway.sequence(CHANNEL, "kv"))

    def peer(self, name: str) -> SigningIdentity:
        """A peer's own key: what an attacker has who took over its machine."""
        return SigningIdentity.load(self.network.folder.node(name) / "msp")

    def certified(self, organisation: str, *, lifetime_s: int, age_s: int = 0) -> SigningIdentity:
        """A client certificate as the organisation's CA made it ``age_s`` ago for ``lifetime_s``."""
        folder = self.network.folder.ca / "data" / "organisations" / organisation
        entry = next(item for item in self.network.profile.peers.values() if item.organisation == organisation)
        authority = Authority.open(folder, "unused", organisation, now_us=now_us(), lifetime_us=DAY_US)
        key = generate_key()
        certificate = authority.issue(
            *(key.public_key(), "short-lived", "client"),
            now_us=now_us() - age_s * SECOND_US,
            lifetime_us=lifetime_s * SECOND_US,
        )
        return SigningIdentity(certificate, key, entry.mspid)

    def proposal(
        self,
        *args: object,
        function: str = "put",
        chaincode: str = "kv",
        channel: str | None = None,
        sequence: int | None = None,
        age_s: float = 0,
        signer: SigningIdentity | None = None,
    ) -> SignedProposal:
        """A signed proposal, different from every other."""
        self._made += 1
        signer = signer or self.client
        made = Proposal.build(
            channel=channel or self.channel,
            chaincode=chaincode,
            sequence=sequence or self._sequence,
            function=function,
            args=args or ("forged", self._made),
            creator=to_base64(signer.certificate.der),
            nonce=f"{now_us():032x}",
            time_us=now_us() - int(age_s * SECOND_US),
        )
        return signed_proposal(made, signer)

    async def endorsed(self, function: str = "put", *args: object) -> Transaction:
        """A transaction that both peers have endorsed; by itself, it is valid."""
        self._made += 1
        proposal = await self.contract.new_proposal(function, *(args or (f"endorsed-{self._made}", self._made)))
        return (await proposal.endorse()).transaction

    def made_up(
        self,
        signed: SignedProposal,
        *endorsers: SigningIdentity,
        status: int = 200,
        signer: SigningIdentity | None = None,
    ) -> bytes:
        """An envelope whose result no chaincode has computed, truly endorsed by ``endorsers``."""
        made = signed.proposal
        result = Result.build(
            tx_id=made.tx_id,
            channel=made.channel,
            chaincode=made.chaincode,
            sequence=made.sequence,
            writes=[Write("made-up", 1)] if status < 400 else [],
            response=Response(status, "", None),
        )
        return self.envelope(made, result, [endorse(result, endorser) for endorser in endorsers], signer)

    def envelope(
        self,
        proposal: Proposal,
        result: Result,
        endorsements: Sequence[Endorsement],
        signer: SigningIdentity | None = None,
    ) -> bytes:
        """These parts under a true signature of the client."""
        return signed_transaction(proposal, result, endorsements, signer or self.client).to_bytes()

    def changed(self, transaction: Transaction, **parts: object) -> bytes:
        """The transaction with other parts, and the client's signature as it was."""
        return replace(transaction, **parts).to_bytes()  # type: ignore[arg-type]

    async def broadcast(self, *envelopes: bytes, channel: str | None = None, at: str | None = None) -> None:
        """Send envelopes to the orderer that leads the channel; raises the first refusal."""
        channel = channel or self.channel
        async with self.network.node(at or await self.network.leader(channel), self.client) as orderer:
            answer = await orderer.post(f"/channels/{channel}/broadcast", framing.pack(envelopes))
        for result in jsontext.loads(answer)["results"]:
            if result["status"] != 200:
                raise from_wire(result["status"], result)

    async def codes(self, peer: str, block: int) -> list[str]:
        """The verdicts on a block's transactions as a peer tells them."""
        async with self.network.node(peer) as node:
            shown = await node.get_json(f"/channels/{self.channel}/blocks/{block}")
        return [item["code_name"] for item in shown["transactions"]]


def nobody(network: LocalNetwork, name: str) -> NodeClient:
    """A connection to a node without a client certificate."""
    return NodeClient(network.entry(name).url, None, network.roots)


def of_version_2(certificate: bytes) -> bytes:
    """The DER of a certificate (or of what is signed of it) made one of X.509 version 2, which no library reads."""
    assert certificate.count(_VERSION_3) == 1
    return certificate.replace(_VERSION_3, _VERSION_2)
