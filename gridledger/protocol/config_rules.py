"""Rules that the parts of a channel's configuration keep: names, addresses, and policies that somebody can meet.

What breaks one of them would stop the channel, or what follows its configuration, for good: no later update could come
to mend it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv6Address
from typing import Any

from gridledger.errors import MalformedMessage
from gridledger.identity.policy import Policy

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""Of nodes and chaincodes."""

MSPID = re.compile(r"[A-Za-z0-9.-]{1,128}")
"""As policies write it."""

PACKAGE = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https://(?:[A-Za-z0-9_.-]{1,253}|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?")
_MAX_PORT = 65535


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


def check_policies(
    policies: Mapping[str, Policy],
    endorsement: Mapping[str, Policy],
    *,
    organisations: Collection[str],
    peer_organisations: Sequence[str],
    max_signatures: int,
) -> None:
    """Refuse policies that nobody can meet, and those that keep blocks from peers or peers from orderers.

    ``policies`` are admins, readers and writers, ``endorsement`` those of the chaincodes; ``max_signatures`` is how
    many of an update are judged.
    """
    _check_admins(policies["admins"], organisations, max_signatures)
    users = [(mspid, role) for mspid in organisations for role in ("client", "admin")]
    for name in ("readers", "writers"):
        if not any(policies[name].satisfied_by([user]) for user in users):
            raise MalformedMessage(f"the {name} policy {policies[name].text!r} admits no client and no admin")
    _check_peers(policies["readers"], policies["writers"], peer_organisations)
    for name, policy in endorsement.items():
        # Peers may still be to come: those that the channel has now need not be enough.
        if policy.fewest(lambda each: each.mspid in organisations and each.role in ("peer", "member")) is None:
            raise MalformedMessage(
                f"the endorsement policy of {name}, {policy.text!r}, can be met by no peers of the channel's "
                "organisations"
            )


def _check_admins(policy: Policy, organisations: Collection[str], max_signatures: int) -> None:
    fewest = policy.fewest(lambda principal: principal.mspid in organisations)
    if fewest is None or fewest > max_signatures:
        raise MalformedMessage(
            f"the admins policy {policy.text!r} can be met by no members of the channel's organisations: nobody could "
            "change the configuration any more"
        )


def _check_peers(readers: Policy, writers: Policy, peer_organisations: Sequence[str]) -> None:
    shut_out = [mspid for mspid in peer_organisations if not readers.satisfied_by([(mspid, "peer")])]
    if shut_out:
        raise MalformedMessage(
            f"the readers policy {readers.text!r} does not admit the peers of {', '.join(shut_out)}: orderers would "
            "give them no blocks"
        )
    if peer_organisations and not any(writers.satisfied_by([(mspid, "peer")]) for mspid in peer_organisations):
        raise MalformedMessage(
            f"the writers policy {writers.text!r} admits no peers: orderers would take no transaction from a gateway"
        )
