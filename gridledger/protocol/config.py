"""A channel's configuration: who its members are, what they may do, which chaincodes it runs, how its blocks are cut.

Block 0 of a channel carries its first configuration; each later one comes as a whole in a config transaction, alone in
its block, and holds from the next block on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeVar

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import MSP, MSPManager
from gridledger.identity.policy import Policy
from gridledger.protocol.config_rules import MSPID, NAME, PACKAGE, check_policies, matching, node_url
from gridledger.protocol.fields import exactly, from_base64, integer_of, list_of, parse_object, text_of, to_base64
from gridledger.protocol.limits import CONFIG_WINDOW, MAX_CONFIG_BYTES, BatchLimits, TransactionLimits, check_limits

KIND = "channel_config"
MAX_NODES = 1000
MAX_CHAINCODES = 100
MAX_REMOVED_CHAINCODES = 1000
MAX_FORWARDERS = 100
MAX_NODE_CERTIFICATES = 2
MAX_ROOTS = 16
"""Root certificates of one organisation."""

MAX_CRLS = 16
MAX_CRL_BYTES = 512 * 1024
"""Bytes of all revocation lists of one organisation, PEM: some 9,000 entries."""

MIN_MAX_SIGNATURES = 100
"""Signatures that an update may have where the channel has fewer organisations: judging these takes some 20 ms."""

ENGINES = ("raft",)
_Item = TypeVar("_Item")
POLICY_NAMES = ("admins", "readers", "writers")
_MEMBERS = frozenset(
    (
        "kind",
        "channel",
        "sequence",
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
_FORWARDER_MEMBERS = frozenset(("mspid", "name"))
_ORGANISATION_MEMBERS = frozenset(("roots", "crls"))
_NODE_MEMBERS = frozenset(("mspid", "url", "certificate"))
_RENEWED_NODE_MEMBERS = frozenset(("mspid", "url", "certificates"))
_CHAINCODE_MEMBERS = frozenset(("sequence", "version", "package", "policy"))


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member organisation: its CA's root certificates (up to ``MAX_ROOTS``) and its revocation lists (up to
    ``MAX_CRLS``, with ``MAX_CRL_BYTES`` together), all PEM."""

    mspid: str
    roots: tuple[str, ...]
    crls: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"roots": list(self.roots), "crls": list(self.crls)}


@dataclass(frozen=True, slots=True)
class Node:
    """A peer or an orderer: its organisation, where it is reached, and its certificate.

    While its certificate is renewed a node has two: ``certificate`` and the ``renewed`` one, and may use either.
    """

    name: str
    mspid: str
    url: str
    certificate: Certificate
    renewed: Certificate | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the first certificate."""
        return self.certificate.fingerprint

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates that the node may use: one, or two during a renewal."""
        return (self.certificate,) if self.renewed is None else (self.certificate, self.renewed)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The names that the node has in endorsements and block signatures: SHA-256 of each certificate."""
        return tuple(certificate.fingerprint for certificate in self.certificates)

    def certificate_with(self, fingerprint: str) -> Certificate:
        """The node's certificate of this fingerprint; KeyError where it has none such."""
        for certificate in self.certificates:
            if certificate.fingerprint == fingerprint:
                return certificate
        raise KeyError(fingerprint)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        members: dict[str, Any] = {"mspid": self.mspid, "url": self.url}
        if self.renewed is None:
            return {**members, "certificate": to_base64(self.certificate.der)}
        return {**members, "certificates": [to_base64(certificate.der) for certificate in self.certificates]}


@dataclass(frozen=True, slots=True)
class ChaincodeDefinition:
    """What the channel agreed on for one chaincode.

    ``sequence`` counts the definition's changes; a proposal names it, so that no result of an older definition can be
    committed. ``package`` is the package's id (SHA-256); ``policy`` the endorsement policy's text.
    """

    name: str
    sequence: int
    version: str
    package: str
    policy: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"sequence": self.sequence, "version": self.version, "package": self.package, "policy": self.policy}


class Forwarder(NamedTuple):
    """An identity that may bring what others have signed: its MSP id, and its certificate's common name."""

    mspid: str
    name: str

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return self._asdict()


@dataclass(frozen=True)
class ChannelConfig:
    """One configuration of a channel. Immutable: a change makes a new one with the next ``sequence``."""

    channel: str
    sequence: int
    organisations: Mapping[str, Organisation]
    peers: Mapping[str, Node]
    orderers: Mapping[str, Node]
    policies: Mapping[str, str]
    chaincodes: Mapping[str, ChaincodeDefinition] = field(default_factory=dict)
    batch: BatchLimits = field(default_factory=BatchLimits)
    limits: TransactionLimits = field(default_factory=TransactionLimits)
    consensus: str = "raft"
    forwarders: frozenset[Forwarder] = frozenset()
    removed_chaincodes: Mapping[str, int] = field(default_factory=dict)
    """The last sequence of each chaincode that was removed: a new definition goes on from there, so that no old
    endorsement fits it."""

    @cached_property
    def msps(self) -> MSPManager:
        """Who is a member under this configuration."""
        return MSPManager({name: MSP(name, org.roots, org.crls) for name, org in self.organisations.items()})

    @property
    def max_signatures(self) -> int:
        """How many signatures of an update are judged."""
        return max(MIN_MAX_SIGNATURES, len(self.organisations))

    @cached_property
    def peer_organisations(self) -> tuple[str, ...]:
        """MSP ids of the organisations with a peer on the channel, sorted: what ``all`` means in a policy."""
        return tuple(sorted({node.mspid for node in self.peers.values()}))

    @cached_property
    def peers_by_fingerprint(self) -> Mapping[str, Node]:
        """The channel's peers by the fingerprints of their certificates."""
        return {fingerprint: node for node in self.peers.values() for fingerprint in node.fingerprints}

    @cached_property
    def orderers_by_fingerprint(self) -> Mapping[str, Node]:
        """The channel's orderers by the fingerprints of their certificates."""
        return {fingerprint: node for node in self.orderers.values() for fingerprint in node.fingerprints}

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

    def policy(self, name: str) -> Policy:
        """One of the channel's own policies: ``admins``, ``readers`` or ``writers``."""
        return _policy(self.policies[name], self.peer_organisations)

    def endorsement_policy(self, chaincode: str) -> Policy:
        """The endorsement policy of a chaincode; KeyError where the channel has no such chaincode."""
        return _policy(self.chaincodes[chaincode].policy, self.peer_organisations)

    @cached_property
    def text(self) -> str:
        """The configuration's text."""
        members = {
            "kind": KIND,
            "channel": self.channel,
            "sequence": self.sequence,
            "organisations": {name: item.to_dict() for name, item in sorted(self.organisations.items())},
            "peers": {name: item.to_dict() for name, item in sorted(self.peers.items())},
            "orderers": {name: item.to_dict() for name, item in sorted(self.orderers.items())},
            "policies": dict(sorted(self.policies.items())),
            "chaincodes": {name: item.to_dict() for name, item in sorted(self.chaincodes.items())},
            "batch": self.batch.to_dict(),
            "limits": self.limits.to_dict(),
            "consensus": self.consensus,
        }
        if self.forwarders:  # a config without them reads as those of earlier versions
            members["forwarders"] = [item.to_dict() for item in sorted(self.forwarders)]
        if self.removed_chaincodes:
            members["removed_chaincodes"] = dict(sorted(self.removed_chaincodes.items()))
        return jsontext.dumps(members).decode()

    @classmethod
    def parse(cls, text: str) -> ChannelConfig:
        """Read and check a configuration: shapes, policies that parse, nodes whose certificates are their MSP's."""
        members = parse_object(text, KIND)
        forwarders, removed = _forwarders(members), _removed_chaincodes(members)
        message = exactly(members, _MEMBERS, "a channel config")
        config = cls(
            channel=text_of(message, "channel"),
            sequence=integer_of(message, "sequence"),
            organisations=_each(message, "organisations", _organisation, MAX_NODES),
            peers=_each(message, "peers", _node, MAX_NODES),
            orderers=_each(message, "orderers", _node, MAX_NODES),
            policies=_policies(message),
            chaincodes=_each(message, "chaincodes", _chaincode, MAX_CHAINCODES),
            batch=BatchLimits(**_integers(message, "batch", BatchLimits)),
            limits=TransactionLimits(**{CONFIG_WINDOW: 0, **_integers(message, "limits", TransactionLimits)}),
            consensus=text_of(message, "consensus", max_length=32),
            forwarders=forwarders,
            removed_chaincodes=removed,
        )
        config.check()
        return config

    def check(self) -> None:
        """Raise :class:`MalformedMessage` where the parts do not fit together."""
        if not self.organisations or not self.orderers:
            raise MalformedMessage("a channel has at least one organisation and one orderer")
        self._check_nodes()
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
            {name: self.policy(name) for name in POLICY_NAMES},
            {name: self.endorsement_policy(name) for name in self.chaincodes},
            organisations=self.organisations.keys(),
            peer_organisations=self.peer_organisations,
            max_signatures=self.max_signatures,
        )
        _ = self.msps

    def _check_nodes(self) -> None:
        for node in (*self.peers.values(), *self.orderers.values()):
            if node.mspid not in self.organisations:
                raise MalformedMessage(f"{node.name}: its organisation {node.mspid} is not on the channel")
        for nodes, known in ((self.peers, self.peers_by_fingerprint), (self.orderers, self.orderers_by_fingerprint)):
            if len(known) != sum(len(node.certificates) for node in nodes.values()):
                raise MalformedMessage("two nodes share one certificate, or one has it twice")
        for node in (*self.peers.values(), *self.orderers.values()):
            # A signer is told by organisation and subject: under another one a node would count twice.
            if len({certificate.subject_der for certificate in node.certificates}) != 1:
                raise MalformedMessage(f"the two certificates of {node.name} have different subjects")


@lru_cache(maxsize=1024)
def _policy(text: str, organisations: tuple[str, ...]) -> Policy:
    return Policy.parse(text, organisations)


def _each(message: dict[str, Any], name: str, read: Callable[[str, Any], _Item], limit: int) -> dict[str, _Item]:
    members = message[name]
    if not isinstance(members, dict) or len(members) > limit:
        raise MalformedMessage(f"{name!r} must be an object of at most {limit} members")
    return {key: read(key, value) for key, value in members.items()}


def _organisation(mspid: str, value: Any) -> Organisation:
    matching(MSPID, mspid, "an MSP id")
    message = exactly(value, _ORGANISATION_MEMBERS, f"the organisation {mspid}")
    for name, most in (("roots", MAX_ROOTS), ("crls", MAX_CRLS)):
        items = message[name]
        if not isinstance(items, list) or len(items) > most or not all(isinstance(item, str) for item in items):
            raise MalformedMessage(f"{name!r} of {mspid} must be a list of at most {most} PEM texts")
    if sum(map(len, message["crls"])) > MAX_CRL_BYTES:
        raise MalformedMessage(f"the revocation lists of {mspid} have at most {MAX_CRL_BYTES} bytes together")
    return Organisation(mspid, tuple(message["roots"]), tuple(message["crls"]))


def _node(name: str, value: Any) -> Node:
    matching(NAME, name, "a node's name")
    if isinstance(value, dict) and "certificates" in value:
        message = exactly(value, _RENEWED_NODE_MEMBERS, f"the node {name}")
        items = list_of(message, "certificates", max_length=MAX_NODE_CERTIFICATES)
        if not items:
            raise MalformedMessage(f"the node {name} has no certificate")
    else:
        message = exactly(value, _NODE_MEMBERS, f"the node {name}")
        items = [message["certificate"]]
    read = [Certificate.from_der(from_base64(item, f"the certificate of {name}")) for item in items]
    return Node(name, text_of(message, "mspid"), node_url(name, text_of(message, "url")), *read)


def _chaincode(name: str, value: Any) -> ChaincodeDefinition:
    matching(NAME, name, "a chaincode's name")
    message = exactly(value, _CHAINCODE_MEMBERS, f"the chaincode {name}")
    return ChaincodeDefinition(
        name=name,
        sequence=integer_of(message, "sequence", minimum=1),
        version=text_of(message, "version", max_length=64),
        package=matching(PACKAGE, message["package"], f"the package of {name}, a SHA-256,"),
        policy=text_of(message, "policy", max_length=4096),
    )


def _forwarders(message: dict[str, Any]) -> frozenset[Forwarder]:
    """Take out a member that a config may lack."""
    if "forwarders" not in message:
        return frozenset()
    items = list_of(message, "forwarders", max_length=MAX_FORWARDERS)
    del message["forwarders"]
    if not items:
        raise MalformedMessage("'forwarders' must name one at least; a channel without has no such member")
    read = [exactly(item, _FORWARDER_MEMBERS, "a forwarder") for item in items]
    return frozenset(Forwarder(text_of(item, "mspid"), text_of(item, "name")) for item in read)


def _removed_chaincodes(message: dict[str, Any]) -> dict[str, int]:
    """Take out a member that a config may lack."""
    if "removed_chaincodes" not in message:
        return {}
    items = _each(message, "removed_chaincodes", lambda _, value: value, MAX_REMOVED_CHAINCODES)
    del message["removed_chaincodes"]
    if not items:
        raise MalformedMessage("'removed_chaincodes' must name one at least; a channel without has no such member")
    return {matching(NAME, name, "a chaincode's name"): integer_of(items, name, minimum=1) for name in items}


def _policies(message: dict[str, Any]) -> dict[str, str]:
    policies = exactly(message["policies"], frozenset(POLICY_NAMES), "'policies'")
    return {name: text_of(policies, name, max_length=4096) for name in POLICY_NAMES}


def _integers(message: dict[str, Any], name: str, shape: type[BatchLimits] | type[TransactionLimits]) -> dict[str, int]:
    names = frozenset(shape.__dataclass_fields__)
    if isinstance(message[name], dict) and CONFIG_WINDOW not in message[name]:
        names -= {CONFIG_WINDOW}
    values = exactly(message[name], names, f"{name!r}")
    return {field_name: integer_of(values, field_name, maximum=2**31 - 1) for field_name in values}
