"""The members of one channel, its configuration, and the messages that they sign."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Node, Organisation
from gridledger.protocol.config_policies import default_policies
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.fields import to_base64
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement, Response, Result, Write
from gridledger.protocol.transaction import Transaction
from tests.support.paper.messages import endorse, signed_proposal, signed_transaction
from tests.support.paper.organisation import PaperOrganisation

NOW_US = 1_767_225_600_000_000
"""2026-01-01: the time of block 0, and of proposals."""


class PaperNetwork:
    """Organisations Org1MSP, Org2MSP ... with a peer, an admin and a client each, OrdererMSP with three orderers, and
    one channel with the chaincode ``kv``.

    Peers and orderers are known by name (peer1, orderer1), admins and clients by their organisation. All of it may be
    changed by a test: ``config`` is what :attr:`genesis` begins with and what :meth:`update` follows.
    """

    def __init__(
        self,
        channel: str = "shard1",
        *,
        organisations: int = 2,
        policy: str = "OutOf(2, all)",
        package: str = "0" * 64,
        urls: Mapping[str, str] | None = None,
        writers: str = "ANY Writers",
        seed: str | None = None,
    ) -> None:
        """With a ``seed`` all keys and certificates are the same each time."""
        self.channel = channel
        self._nonces = itertools.count(1)
        self.organisations: dict[str, PaperOrganisation] = {}
        self.peers: dict[str, SigningIdentity] = {}
        self.admins: dict[str, SigningIdentity] = {}
        self.clients: dict[str, SigningIdentity] = {}
        for number in range(1, organisations + 1):
            organisation = PaperOrganisation(f"Org{number}MSP", seed)
            self.organisations[organisation.mspid] = organisation
            self.peers[f"peer{number}"] = organisation.issue(f"peer{number}", "peer")
            self.admins[organisation.mspid] = organisation.issue("admin", "admin")
            self.clients[organisation.mspid] = organisation.issue("client", "client")
        ordering = self.organisations["OrdererMSP"] = PaperOrganisation("OrdererMSP", seed)
        self.orderer_admin = ordering.issue("admin", "admin")
        self.orderers = {f"orderer{number}": ordering.issue(f"orderer{number}", "orderer") for number in (1, 2, 3)}
        self.config = ChannelConfig(
            channel=channel,
            sequence=0,
            organisations={
                mspid: Organisation(mspid, (item.root,), kind="orderer" if item is ordering else "application")
                for mspid, item in self.organisations.items()
            },
            peers=_nodes(self.peers, urls or {}),
            orderers=_nodes(self.orderers, urls or {}),
            policies=paper_policies({"Application/Writers": writers}),
            chaincodes={"kv": ChaincodeDefinition("kv", 1, "1.0", package, policy)},
        )

    @property
    def client(self) -> SigningIdentity:
        """Org1's client: who signs where nobody else is named."""
        return self.clients["Org1MSP"]

    @property
    def all_admins(self) -> list[SigningIdentity]:
        """An admin of each organisation, the orderers' last."""
        return [*self.admins.values(), self.orderer_admin]

    @property
    def genesis(self) -> Block:
        """Block 0 of the present configuration."""
        return genesis_block(self.config)

    def identity(self, signer: SigningIdentity) -> Identity:
        """Whom the channel takes ``signer`` for."""
        return self.config.msps.identify(signer.certificate, NOW_US)

    def update(self, signers: Sequence[SigningIdentity] | None = None, **changes: Any) -> ConfigUpdate:
        """The update that follows the present configuration, with these members changed, signed by all admins, the
        orderers' too, if by nobody else. ``config`` stays: set it when the update is committed."""
        following = replace(self.config, **{"sequence": self.config.sequence + 1, **changes})
        signers = self.all_admins if signers is None else signers
        return ConfigUpdate.build(following, signers, time_us=NOW_US)

    def proposal(
        self, function: str = "put", *args: Any, client: SigningIdentity | None = None, **changes: Any
    ) -> Proposal:
        """A proposal for ``kv`` with a nonce of its own; ``changes`` are members of the proposal."""
        members: dict[str, Any] = {
            "channel": self.channel,
            "chaincode": "kv",
            "sequence": 1,
            "function": function,
            "args": args,
            "creator": to_base64((client or self.client).certificate.der),
            "nonce": f"{next(self._nonces):032x}",
            "time_us": NOW_US,
        }
        return Proposal.build(**{**members, **changes})

    def signed_proposal(
        self,
        function: str = "put",
        *args: Any,
        client: SigningIdentity | None = None,
        transient: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> SignedProposal:
        """A proposal as :meth:`proposal` makes it, under its client's signature."""
        made = self.proposal(function, *args, client=client, transient=transient, **changes)
        return signed_proposal(made, client or self.client, transient)

    def result(self, proposal: Proposal, writes: Mapping[str, Any] | None = None, **changes: Any) -> Result:
        """What an execution of the proposal gives that writes these keys (None: deletes); ``changes`` are members of
        the result: reads, ranges, response, event ..."""
        members: dict[str, Any] = {
            "tx_id": proposal.tx_id,
            "channel": proposal.channel,
            "chaincode": proposal.chaincode,
            "sequence": proposal.sequence,
            "writes": [Write(key, value) for key, value in (writes or {}).items()],
            "response": Response(200, "", None),
        }
        return Result.build(**{**members, **changes})

    def endorsement(self, peer: str, result: Result) -> Endorsement:
        """A peer's endorsement of a result."""
        return endorse(result, self.peers[peer])

    def transaction(
        self,
        writes: Mapping[str, Any] | None = None,
        *,
        proposal: Proposal | None = None,
        endorsers: Sequence[str] = ("peer1", "peer2"),
        client: SigningIdentity | None = None,
        **result: Any,
    ) -> Transaction:
        """A transaction with all its signatures; ``result``: what :meth:`result` takes."""
        proposal = proposal or self.proposal(client=client)
        made = self.result(proposal, writes, **result)
        endorsements = [self.endorsement(name, made) for name in endorsers]
        return signed_transaction(proposal, made, endorsements, client or self.client)


def paper_policies(changed: Mapping[str, str], present: Mapping[str, Mapping[str, str]] | None = None) -> Any:
    """A configuration's policies, the default ones if no others are present, with those at ``changed``'s paths, such as
    ``Application/Writers``, in their place."""
    policies = {group: dict(texts) for group, texts in (present or default_policies()).items()}
    for path, text in changed.items():
        group, _, name = path.partition("/")
        policies[group][name] = text
    return policies


def genesis_block(config: ChannelConfig) -> Block:
    """Block 0 of a channel that begins with this configuration."""
    envelopes = [ConfigUpdate.build(config).to_bytes()]
    return Block.build(
        channel=config.channel, number=0, previous_hash=ZERO_HASH, timestamp_us=NOW_US, envelopes=envelopes
    )


def _nodes(identities: Mapping[str, SigningIdentity], urls: Mapping[str, str]) -> dict[str, Node]:
    return {
        name: Node(name, signer.mspid, urls.get(name, f"https://localhost:{number}"), signer.certificate)
        for number, (name, signer) in enumerate(identities.items(), 1)
    }
