"""Rules that the parts of a channel's configuration keep: names, addresses, and policies that somebody can meet.

What breaks one of them would stop the channel, or what follows its configuration, for good: no later update could come
to mend it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv6Address
from typing import Any, Protocol

from gridledger.errors import MalformedMessage
from gridledger.identity.policy import Policy
from gridledger.protocol.acls import BROADCAST, DELIVER
from gridledger.protocol.config_policies import (
    APPLICATION,
    APPLICATION_ADMINS,
    CHANNEL_ADMINS,
    ORDERER,
    ORDERER_ADMINS,
    POLICY_PATHS,
    ChannelPolicies,
)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""Of nodes and chaincodes."""

MSPID = re.compile(r"[A-Za-z0-9.-]{1,128}")
"""As policies write it."""

SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https://(?:[A-Za-z0-9_.-]{1,253}|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?")
_MAX_PORT = 65535
MAX_PEERS_OF_AN_ORGANISATION = 100
"""It adds them by itself: no organisation takes the places of all."""

BLOCK_VALIDATION = "/Channel/Orderer/BlockValidation"


def matching(pattern: re.Pattern[str], value: Any, what: str) -> str:
    """``value`` as a text of this form."""
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise MalformedMessage(f"{what} must match {pattern.pattern}, not {value!r:.80}")
    return value


def node_url(node: str, url: str) -> str:
    """``url`` as an address that every other node can connect to."""
    # Not by urllib, whose judgement differs between versions of Python: all nodes judge a configuration alike.
    match = _URL.fullmatch(url)
    try:
        sound = match is not None and 0 < int(match["port"] or 443) <= _MAX_PORT
        if match is not None and match["ipv6"]:
            IPv6Address(match["ipv6"])
    except ValueError:
        sound = False
    if not sound:
        raise MalformedMessage(f"the URL of {node} must be https://HOST:PORT, not {url!r}")
    return url


class Member(Protocol):
    """What these rules ask of an organisation."""

    @property
    def kind(self) -> str:
        """``application``, ``orderer`` or ``observer``."""

    @property
    def anchors(self) -> tuple[str, ...]:
        """Names of its peers."""


class NodeOf(Protocol):
    """What these rules ask of a node."""

    @property
    def mspid(self) -> str:
        """Its organisation."""


def check_membership(
    organisations: Mapping[str, Member], peers: Mapping[str, NodeOf], orderers: Mapping[str, NodeOf]
) -> None:
    """Refuse nodes of organisations of another kind, more peers than an organisation may have, and anchors that are no
    peers of their organisation.

    The kind says whose policies an organisation counts in, and only the admins of the kind's group change it: were a
    peer or an orderer to stand for it as well, an organisation could make itself a voter.
    """
    for nodes, role, kind in ((peers, "peer", APPLICATION), (orderers, "orderer", ORDERER)):
        for name, node in nodes.items():
            if organisations[node.mspid].kind != kind:
                raise MalformedMessage(
                    f"the {role} {name} is of {node.mspid}, which is of the kind {organisations[node.mspid].kind!r}: "
                    f"a channel's {role}s are of organisations of the kind {kind!r}"
                )
    for mspid, count in Counter(node.mspid for node in peers.values()).items():
        if count > MAX_PEERS_OF_AN_ORGANISATION:
            raise MalformedMessage(f"{mspid} has {count} peers, at most {MAX_PEERS_OF_AN_ORGANISATION} are allowed")
    for mspid, item in organisations.items():
        for anchor in item.anchors:
            if anchor not in peers or peers[anchor].mspid != mspid:
                raise MalformedMessage(f"the anchor {anchor} of {mspid} is none of its peers")


def check_policies(
    policies: ChannelPolicies,
    acls: Mapping[str, str],
    endorsement: Mapping[str, Policy],
    *,
    organisations: Collection[str],
    peer_organisations: Sequence[str],
    orderer_organisations: Sequence[str],
    max_signatures: int,
) -> None:
    """Refuse policies that nobody can meet, and those that keep blocks from peers or peers from orderers.

    ``acls`` has the policy's path of every resource, ``endorsement`` the policies of the chaincodes; ``max_signatures``
    is how many of an update are judged.
    """
    for path in sorted(POLICY_PATHS):
        policies.at(path)  # that it can be read
    for path in (APPLICATION_ADMINS, ORDERER_ADMINS, CHANNEL_ADMINS):
        _check_admins(path, policies.at(path), organisations, max_signatures)
    users = [(mspid, role) for mspid in organisations for role in ("client", "admin")]
    for path in sorted(set(acls.values())):
        policy = policies.at(path)
        if not any(policy.satisfied_by([user]) for user in users):
            asked = ", ".join(sorted(resource for resource, other in acls.items() if other == path))
            raise MalformedMessage(f"{path}, {policy.text!r}, admits no client and no admin, and is asked for {asked}")
    _check_nodes(policies, acls, peer_organisations, orderer_organisations)
    counted = policies.members(APPLICATION)
    for name, policy in endorsement.items():
        # Peers may still be to come: those that the channel has now need not be enough.
        if policy.fewest(lambda each: each.mspid in counted and each.role in ("peer", "member")) is None:
            raise MalformedMessage(
                f"the endorsement policy of {name}, {policy.text!r}, can be met by no peers of the channel's "
                "application organisations"
            )


def _check_admins(path: str, policy: Policy, organisations: Collection[str], max_signatures: int) -> None:
    fewest = policy.fewest(lambda principal: principal.mspid in organisations)
    if fewest is None or fewest > max_signatures:
        raise MalformedMessage(
            f"{path}, {policy.text!r}, can be met by no members of the channel's organisations: nobody could change "
            "the configuration any more"
        )


def _check_nodes(
    policies: ChannelPolicies,
    acls: Mapping[str, str],
    peer_organisations: Sequence[str],
    orderer_organisations: Sequence[str],
) -> None:
    deliver, broadcast = acls[DELIVER], acls[BROADCAST]
    shut_out = [mspid for mspid in peer_organisations if not policies.at(deliver).satisfied_by([(mspid, "peer")])]
    if shut_out:
        raise MalformedMessage(
            f"{deliver}, {policies.at(deliver).text!r}, does not admit the peers of {', '.join(shut_out)}: orderers "
            "would give them no blocks"
        )
    writers = policies.at(broadcast)
    if peer_organisations and not any(writers.satisfied_by([(mspid, "peer")]) for mspid in peer_organisations):
        raise MalformedMessage(
            f"{broadcast}, {writers.text!r}, admits no peers: orderers would take no transaction from a gateway"
        )
    validation = policies.at(BLOCK_VALIDATION)
    mute = [mspid for mspid in orderer_organisations if not validation.satisfied_by([(mspid, "orderer")])]
    if mute:
        raise MalformedMessage(
            f"{BLOCK_VALIDATION}, {validation.text!r}, is not met by one orderer of {', '.join(mute)}: a block has the "
            "signature of the one that delivers it"
        )
