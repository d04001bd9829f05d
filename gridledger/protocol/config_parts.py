"""The parts of a channel's configuration, and how they are read: organisations, nodes, chaincodes, forwarders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gridledger.errors import MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.protocol.config_policies import (
    APPLICATION,
    GROUPS,
    MAX_ORGANISATION_POLICY_CHARS,
    MAX_POLICY_CHARS,
    ORGANISATION_POLICIES,
    Membership,
    check_organisation_policies,
    organisation_policies,
)
from gridledger.protocol.config_rules import MSPID, NAME, SHA256, matching, node_url
from gridledger.protocol.fields import exactly, from_base64, integer_of, list_of, text_of, to_base64

MAX_NODE_CERTIFICATES = 2
MAX_ROOTS = 16
"""Root certificates of one organisation."""

MAX_CRLS = 16
MAX_CRL_BYTES = 512 * 1024
"""Bytes of all revocation lists of one organisation, PEM: some 9,000 entries."""

MAX_ANCHORS = 16
_FORWARDER_MEMBERS = frozenset(("mspid", "name"))
_ORGANISATION_MEMBERS = frozenset(("kind", "roots", "crls", "policies", "anchors"))
_NODE_MEMBERS = frozenset(("mspid", "url", "certificate"))
_RENEWED_NODE_MEMBERS = frozenset(("mspid", "url", "certificates"))
_CHAINCODE_MEMBERS = frozenset(("sequence", "version", "package", "policy"))


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member organisation: its CA's root certificates (up to ``MAX_ROOTS``) and its revocation lists (up to
    ``MAX_CRLS``, with ``MAX_CRL_BYTES`` together), all PEM.

    ``kind`` says whose policies it counts in: ``application``, ``orderer`` or ``observer``. ``policies`` are its own,
    by default those of :func:`organisation_policies`; ``anchors`` names those of its peers that others find it by.
    """

    mspid: str
    roots: tuple[str, ...]
    crls: tuple[str, ...] = ()
    kind: str = APPLICATION
    policies: Mapping[str, str] = field(default_factory=dict)
    anchors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.policies:
            object.__setattr__(self, "policies", organisation_policies(self.mspid, self.kind))

    @property
    def membership(self) -> Membership:
        """What policies ask of it."""
        return Membership(self.kind, self.policies)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "kind": self.kind,
            "roots": list(self.roots),
            "crls": list(self.crls),
            "policies": dict(sorted(self.policies.items())),
            "anchors": list(self.anchors),
        }


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


def read_organisation(mspid: str, value: Any) -> Organisation:
    """An organisation's entry."""
    matching(MSPID, mspid, "an MSP id")
    message = exactly(value, _ORGANISATION_MEMBERS, f"the organisation {mspid}")
    kind, anchors = message["kind"], list_of(message, "anchors", max_length=MAX_ANCHORS)
    if not isinstance(kind, str) or kind not in GROUPS:
        raise MalformedMessage(f"the kind of {mspid} must be one of {', '.join(GROUPS)}, not {kind!r:.80}")
    if len(set(map(str, anchors))) != len(anchors):
        raise MalformedMessage(f"an anchor of {mspid} comes twice")
    names = tuple(matching(NAME, anchor, f"an anchor of {mspid}") for anchor in anchors)
    for name, most in (("roots", MAX_ROOTS), ("crls", MAX_CRLS)):
        items = message[name]
        if not isinstance(items, list) or len(items) > most or not all(isinstance(item, str) for item in items):
            raise MalformedMessage(f"{name!r} of {mspid} must be a list of at most {most} PEM texts")
    if sum(map(len, message["crls"])) > MAX_CRL_BYTES:
        raise MalformedMessage(f"the revocation lists of {mspid} have at most {MAX_CRL_BYTES} bytes together")
    texts = read_policies(message, ORGANISATION_POLICIES, f"the policies of {mspid}", MAX_ORGANISATION_POLICY_CHARS)
    check_organisation_policies(mspid, texts)
    return Organisation(mspid, tuple(message["roots"]), tuple(message["crls"]), kind, texts, names)


def read_policies(
    message: Mapping[str, Any], names: frozenset[str], what: str, max_length: int = MAX_POLICY_CHARS
) -> dict[str, str]:
    """The texts of the member ``policies``: these, and no others."""
    policies = exactly(message["policies"], names, what)
    return {name: text_of(policies, name, max_length=max_length) for name in sorted(names)}


def read_node(name: str, value: Any) -> Node:
    """A peer or an orderer."""
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


def read_chaincode(name: str, value: Any) -> ChaincodeDefinition:
    """A chaincode's definition."""
    matching(NAME, name, "a chaincode's name")
    message = exactly(value, _CHAINCODE_MEMBERS, f"the chaincode {name}")
    return ChaincodeDefinition(
        name=name,
        sequence=integer_of(message, "sequence", minimum=1),
        version=text_of(message, "version", max_length=64),
        package=matching(SHA256, message["package"], f"the package of {name}, a SHA-256,"),
        policy=text_of(message, "policy", max_length=MAX_POLICY_CHARS),
    )


def read_forwarder(value: Any) -> Forwarder:
    """An identity that may bring what others have signed."""
    message = exactly(value, _FORWARDER_MEMBERS, "a forwarder")
    return Forwarder(text_of(message, "mspid"), text_of(message, "name"))
