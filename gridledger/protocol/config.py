"""A channel's configuration: who its members are, what they may do, which chaincodes it runs, how its blocks are cut.

Block 0 of a channel carries its first configuration; each later one comes as a whole in a config transaction, alone in
its block, and holds from the next block on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from gridledger import jsontext
from gridledger.errors import MalformedMessage, PermissionDeniedError
from gridledger.formats import CHANNEL_CONFIG
from gridledger.identity.msp import MSP, Identity, MSPManager
from gridledger.identity.policy import Policy
from gridledger.protocol.acls import DEFAULT_ACLS, read_acls
from gridledger.protocol.capabilities import check_capabilities, read_capabilities
from gridledger.protocol.config_authority import departing_after, entry_hash, removed_after
from gridledger.protocol.config_parts import (
    ChaincodeDefinition,
    Forwarder,
    Node,
    Organisation,
    read_chaincode,
    read_forwarder,
    read_node,
    read_organisation,
    read_policies,
)
from gridledger.protocol.config_policies import APPLICATION, GROUP_POLICIES, ChannelPolicies, default_policies
from gridledger.protocol.config_rules import MSPID, NAME, SHA256, check_membership, check_policies, matching
from gridledger.protocol.fields import exactly, integer_of, list_of, parse_object, text_of
from gridledger.protocol.limits import CONFIG_WINDOW, MAX_CONFIG_BYTES, BatchLimits, TransactionLimits, check_limits

__all__ = ["ChaincodeDefinition", "ChannelConfig", "Forwarder", "Node", "Organisation"]

KIND = "channel_config"
MAX_NODES = 1000
MAX_CHAINCODES = 100
MAX_REMOVED_CHAINCODES = 1000
MAX_REMOVED_ORGANISATIONS = 1000
MAX_FORWARDERS = 100
MAX_DEPARTING_ORDERERS = 1
MIN_MAX_SIGNATURES = 100
"""Signatures that an update may have where the channel has fewer organisations: judging these takes some 20 ms."""

ENGINES = ("raft",)
_Item = TypeVar("_Item")
_MEMBERS = frozenset(
    (
        "kind",
        "format",
        "channel",
        "sequence",
        "capabilities",
        "organisations",
        "peers",
        "orderers",
        "policies",
        "chaincodes",
        "batch",
        "limits",
        "consensus",
    )
)
_OPTIONAL = frozenset(("acls", "departing_orderers", "forwarders", "removed_chaincodes", "removed_organisations"))
"""Absent where they would be empty."""


@dataclass(frozen=True)
class ChannelConfig:
    """One configuration of a channel. Immutable: a change makes a new one with the next ``sequence``."""

    channel: str
    sequence: int
    organisations: Mapping[str, Organisation]
    peers: Mapping[str, Node]
    orderers: Mapping[str, Node]
    policies: Mapping[str, Mapping[str, str]] = field(default_factory=default_policies)
    """Of the channel and its groups (Application, Orderer, Observer), by name."""

    chaincodes: Mapping[str, ChaincodeDefinition] = field(default_factory=dict)
    batch: BatchLimits = field(default_factory=BatchLimits)
    limits: TransactionLimits = field(default_factory=TransactionLimits)
    consensus: str = "raft"
    forwarders: frozenset[Forwarder] = frozenset()
    removed_chaincodes: Mapping[str, int] = field(default_factory=dict)
    """The last sequence of each chaincode that was removed: a new definition goes on from there, so that no old
    endorsement fits it."""

    acls: Mapping[str, str] = field(default_factory=dict)
    """Paths of policies by resource, where they are not the defaults."""

    capabilities: tuple[str, ...] = ("V1",)
    removed_organisations: Mapping[str, str] = field(default_factory=dict)
    """The hash of roots, lists and policies of each organisation that was removed: it comes back with these, so that
    nobody becomes it by way of a removal."""

    departing_orderers: Mapping[str, Node] = field(default_factory=dict)
    """The orderer that the newest change of orderers took away. Orderers talk Raft with it until Raft has removed it;
    no peer takes a block that it signs."""

    @cached_property
    def msps(self) -> MSPManager:
        """Who is a member under this configuration."""
        return MSPManager({name: MSP(name, org.roots, org.crls) for name, org in self.organisations.items()})

    @cached_property
    def channel_policies(self) -> ChannelPolicies:
        """All policies of this configuration."""
        return ChannelPolicies(self.policies, {name: org.membership for name, org in self.organisations.items()})

    @property
    def max_signatures(self) -> int:
        """How many signatures of an update are judged."""
        return max(MIN_MAX_SIGNATURES, len(self.organisations))

    @cached_property
    def peer_organisations(self) -> tuple[str, ...]:
        """MSP ids of the organisations with a peer on the channel, sorted."""
        return tuple(sorted({node.mspid for node in self.peers.values()}))

    @property
    def application_organisations(self) -> tuple[str, ...]:
        """MSP ids of the application organisations, sorted, with a peer or without: what ``all`` means in a policy."""
        return self.channel_policies.members(APPLICATION)

    @cached_property
    def peers_by_fingerprint(self) -> Mapping[str, Node]:
        """The channel's peers by the fingerprints of their certificates."""
        return {fingerprint: node for node in self.peers.values() for fingerprint in node.fingerprints}

    @cached_property
    def orderers_by_fingerprint(self) -> Mapping[str, Node]:
        """The channel's orderers by the fingerprints of their certificates."""
        return {fingerprint: node for node in self.orderers.values() for fingerprint in node.fingerprints}

    @cached_property
    def raft_nodes(self) -> Mapping[str, Node]:
        """The orderers that talk Raft: those of the channel, and the departing one."""
        return {**self.departing_orderers, **self.orderers}

    @cached_property
    def raft_nodes_by_fingerprint(self) -> Mapping[str, Node]:
        """The same by the fingerprints of their certificates."""
        return {fingerprint: node for node in self.raft_nodes.values() for fingerprint in node.fingerprints}

    def next_sequence(self, chaincode: str) -> int:
        """The sequence of a chaincode's next definition, whether it is on the channel, was once or is new."""
        present = self.chaincodes.get(chaincode)
        return 1 + (self.removed_chaincodes.get(chaincode, 0) if present is None else present.sequence)

    def with_chaincodes(self, chaincodes: Mapping[str, ChaincodeDefinition]) -> ChannelConfig:
        """The same configuration with these chaincodes and no others, which remembers what that removes."""
        gone = {name: item.sequence for name, item in self.chaincodes.items() if name not in chaincodes}
        remembered = {**self.removed_chaincodes, **gone}
        removed = {name: sequence for name, sequence in remembered.items() if name not in chaincodes}
        return replace(self, chaincodes=chaincodes, removed_chaincodes=removed)

    def with_organisations(self, organisations: Mapping[str, Organisation]) -> ChannelConfig:
        """The same configuration with these organisations and no others, which remembers whom that removes and takes
        their peers along. Of their orderers, none of which the channel has any more, none departs any longer."""
        gone = {name: item for name, item in self.organisations.items() if name not in organisations}
        known = {**self.removed_organisations, **{name: entry_hash(item.to_dict()) for name, item in gone.items()}}
        removed = {name: entry for name, entry in known.items() if name not in organisations}
        peers, departing = (
            {name: node for name, node in nodes.items() if node.mspid not in gone}
            for nodes in (self.peers, self.departing_orderers)
        )
        return replace(
            self, organisations=organisations, peers=peers, removed_organisations=removed, departing_orderers=departing
        )

    def with_orderers(self, orderers: Mapping[str, Node]) -> ChannelConfig:
        """The same configuration with these orderers and no others, in which the one that it takes away departs."""
        if orderers.keys() == self.orderers.keys():
            return replace(self, orderers=orderers)
        departing = {name: node for name, node in self.orderers.items() if name not in orderers}
        return replace(self, orderers=orderers, departing_orderers=departing)

    def followed_by(self, changed: ChannelConfig) -> ChannelConfig:
        """``changed`` as the configuration that follows this one: with the next sequence, and with what follows from
        the other members (who and what was removed by now, which orderer departs)."""
        departing = departing_after(self.plain, changed.plain)
        return replace(
            changed,
            sequence=self.sequence + 1,
            removed_organisations=removed_after(self.plain, changed.plain),
            removed_chaincodes=self.with_chaincodes(changed.chaincodes).removed_chaincodes,
            departing_orderers={name: self.raft_nodes[name] for name in departing},
        )

    def policy(self, path: str) -> Policy:
        """The policy at a path such as ``/Channel/Application/Writers``; KeyError where there is none."""
        return self.channel_policies.at(path)

    def policy_of(self, resource: str) -> str:
        """The path of the policy that admits to a resource."""
        return self.acls.get(resource) or DEFAULT_ACLS[resource]

    def admit(self, resource: str, identity: Identity) -> None:
        """Raise :class:`PermissionDeniedError` unless the policy of a resource admits the identity."""
        path = self.policy_of(resource)
        policy = self.policy(path)
        if not policy.satisfied_by([(identity.mspid, identity.role)]):
            raise PermissionDeniedError(
                f"{identity.role} {identity.name!r} of {identity.mspid} may not use {resource} on {self.channel}: that "
                f"asks for {path} ({policy.text})",
                resource=resource,
                policy=path,
            )

    def endorsement_policy(self, chaincode: str) -> Policy:
        """The endorsement policy of a chaincode; KeyError where the channel has no such chaincode."""
        return self.channel_policies.endorsement(self.chaincodes[chaincode].policy)

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        plain: dict[str, Any] = jsontext.loads(self.text)
        return plain

    @cached_property
    def text(self) -> str:
        """The configuration's text."""
        members: dict[str, Any] = {
            "kind": KIND,
            "format": CHANNEL_CONFIG.number,
            "channel": self.channel,
            "sequence": self.sequence,
            "capabilities": list(self.capabilities),
            "organisations": {name: item.to_dict() for name, item in sorted(self.organisations.items())},
            "peers": {name: item.to_dict() for name, item in sorted(self.peers.items())},
            "orderers": {name: item.to_dict() for name, item in sorted(self.orderers.items())},
            "policies": {group: dict(sorted(texts.items())) for group, texts in sorted(self.policies.items())},
            "chaincodes": {name: item.to_dict() for name, item in sorted(self.chaincodes.items())},
            "batch": self.batch.to_dict(),
            "limits": self.limits.to_dict(),
            "consensus": self.consensus,
        }
        if self.acls:
            members["acls"] = dict(sorted(self.acls.items()))
        if self.departing_orderers:
            members["departing_orderers"] = {
                name: item.to_dict() for name, item in sorted(self.departing_orderers.items())
            }
        if self.forwarders:
            members["forwarders"] = [item.to_dict() for item in sorted(self.forwarders)]
        if self.removed_chaincodes:
            members["removed_chaincodes"] = dict(sorted(self.removed_chaincodes.items()))
        if self.removed_organisations:
            members["removed_organisations"] = dict(sorted(self.removed_organisations.items()))
        return jsontext.dumps(members).decode()

    @classmethod
    def parse(cls, text: str) -> ChannelConfig:
        """Read and check a configuration: shapes, policies that parse, nodes whose certificates are their MSP's.

        Capabilities come first, and CapabilityUnknown with them: what a newer version wrote may have other members.
        """
        members = parse_object(text, KIND)
        if "capabilities" in members:
            check_capabilities(members)
        CHANNEL_CONFIG.check(
            members.get("format", "1, without a number"), f"the channel {members.get('channel')!r:.140}"
        )
        optional = {name: members.pop(name) for name in _OPTIONAL & members.keys()}
        message = exactly(members, _MEMBERS, "a channel config")
        config = cls(
            channel=text_of(message, "channel"),
            sequence=integer_of(message, "sequence"),
            capabilities=read_capabilities(message["capabilities"]),
            organisations=_each(message, "organisations", read_organisation, MAX_NODES),
            peers=_each(message, "peers", read_node, MAX_NODES),
            orderers=_each(message, "orderers", read_node, MAX_NODES),
            policies=_policies(message),
            chaincodes=_each(message, "chaincodes", read_chaincode, MAX_CHAINCODES),
            batch=BatchLimits(**_integers(message, "batch", BatchLimits)),
            limits=TransactionLimits(**{CONFIG_WINDOW: 0, **_integers(message, "limits", TransactionLimits)}),
            consensus=text_of(message, "consensus", max_length=32),
            **_read_optional(optional),
        )
        config.check()
        return config

    def check(self) -> None:
        """Raise :class:`MalformedMessage` where the parts do not fit together."""
        if not self.organisations or not self.orderers:
            raise MalformedMessage("a channel has at least one organisation and one orderer")
        self._check_nodes()
        check_membership(self.organisations, self.peers, self.raft_nodes)
        if both := sorted(self.organisations.keys() & self.removed_organisations.keys()):
            raise MalformedMessage(f"'removed_organisations' has members of the channel: {', '.join(both)}")
        for item in self.forwarders:
            if item.mspid not in self.organisations:
                raise MalformedMessage(
                    f"the forwarder {item.name!r}: its organisation {item.mspid} is not on the channel"
                )
        if both := sorted(self.chaincodes.keys() & self.removed_chaincodes.keys()):
            raise MalformedMessage(f"'removed_chaincodes' has chaincodes that the channel has: {', '.join(both)}")
        if self.consensus not in ENGINES:
            raise MalformedMessage(f"'consensus' must be one of {', '.join(ENGINES)}, not {self.consensus!r}")
        config_bytes = len(self.text.encode())
        if config_bytes > MAX_CONFIG_BYTES:
            raise MalformedMessage(f"a configuration has at most {MAX_CONFIG_BYTES} bytes, this one has {config_bytes}")
        check_limits(self.batch, self.limits, config_bytes)
        check_policies(
            self.channel_policies,
            {resource: self.policy_of(resource) for resource in DEFAULT_ACLS},
            {name: self.endorsement_policy(name) for name in self.chaincodes},
            organisations=self.organisations.keys(),
            peer_organisations=self.peer_organisations,
            orderer_organisations=sorted({node.mspid for node in self.orderers.values()}),
            max_signatures=self.max_signatures,
        )
        _ = self.msps

    def _check_nodes(self) -> None:
        if both := sorted(self.orderers.keys() & self.departing_orderers.keys()):
            raise MalformedMessage(f"'departing_orderers' has orderers of the channel: {', '.join(both)}")
        for node in self.departing_orderers.values():
            if node.mspid not in self.organisations:
                raise MalformedMessage(
                    f"{node.name} departs, and its organisation {node.mspid} is not on the channel: remove the orderer "
                    "first, and the organisation when Raft has followed"
                )
        for node in (*self.peers.values(), *self.orderers.values()):
            if node.mspid not in self.organisations:
                raise MalformedMessage(f"{node.name}: its organisation {node.mspid} is not on the channel")
        for nodes, known in (
            (self.peers, self.peers_by_fingerprint),
            (self.raft_nodes, self.raft_nodes_by_fingerprint),
        ):
            if len(known) != sum(len(node.certificates) for node in nodes.values()):
                raise MalformedMessage("two nodes share one certificate, or one has it twice")
        for node in (*self.peers.values(), *self.orderers.values()):
            # A signer is told by organisation and subject: under another one a node would count twice.
            if len({certificate.subject_der for certificate in node.certificates}) != 1:
                raise MalformedMessage(f"the two certificates of {node.name} have different subjects")


def _each(message: dict[str, Any], name: str, read: Callable[[str, Any], _Item], limit: int) -> dict[str, _Item]:
    members = message[name]
    if not isinstance(members, dict) or len(members) > limit:
        raise MalformedMessage(f"{name!r} must be an object of at most {limit} members")
    return {key: read(key, value) for key, value in members.items()}


def _read_optional(members: dict[str, Any]) -> dict[str, Any]:
    """The members that a config may lack, none of which is there without content."""
    read: dict[str, Callable[[], Any]] = {
        "acls": lambda: read_acls(members["acls"]),
        "departing_orderers": lambda: _departing_orderers(members),
        "forwarders": lambda: _forwarders(members),
        "removed_chaincodes": lambda: _removed_chaincodes(members),
        "removed_organisations": lambda: _removed_organisations(members),
    }
    return {name: read[name]() for name in members}


def _forwarders(message: dict[str, Any]) -> frozenset[Forwarder]:
    items = list_of(message, "forwarders", max_length=MAX_FORWARDERS)
    _not_empty(items, "forwarders")
    return frozenset(read_forwarder(item) for item in items)


def _departing_orderers(message: dict[str, Any]) -> dict[str, Node]:
    items = _each(message, "departing_orderers", read_node, MAX_DEPARTING_ORDERERS)
    _not_empty(items, "departing_orderers")
    return items


def _removed_chaincodes(message: dict[str, Any]) -> dict[str, int]:
    items = _each(message, "removed_chaincodes", lambda _, value: value, MAX_REMOVED_CHAINCODES)
    _not_empty(items, "removed_chaincodes")
    return {matching(NAME, name, "a chaincode's name"): integer_of(items, name, minimum=1) for name in items}


def _removed_organisations(message: dict[str, Any]) -> dict[str, str]:
    items = _each(message, "removed_organisations", lambda _, value: value, MAX_REMOVED_ORGANISATIONS)
    _not_empty(items, "removed_organisations")
    return {
        matching(MSPID, mspid, "an MSP id"): matching(SHA256, value, f"the entry of {mspid}, a SHA-256,")
        for mspid, value in items.items()
    }


def _not_empty(items: Any, name: str) -> None:
    if not items:
        raise MalformedMessage(f"{name!r} must name one at least; a channel without has no such member")


def _policies(message: dict[str, Any]) -> dict[str, dict[str, str]]:
    groups = exactly(message["policies"], frozenset(GROUP_POLICIES), "'policies'")
    return {
        group: read_policies({"policies": groups[group]}, names, f"the policies of {group}")
        for group, names in GROUP_POLICIES.items()
    }


def _integers(message: dict[str, Any], name: str, shape: type[BatchLimits] | type[TransactionLimits]) -> dict[str, int]:
    names = frozenset(shape.__dataclass_fields__)
    if isinstance(message[name], dict) and CONFIG_WINDOW not in message[name]:
        names -= {CONFIG_WINDOW}
    values = exactly(message[name], names, f"{name!r}")
    return {field_name: integer_of(values, field_name, maximum=2**31 - 1) for field_name in values}
