"""Whether the peers of a channel can meet an endorsement policy at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gridledger.errors import InputError
from gridledger.identity.policy import Policy


def check_can_be_met(policy: Policy, channel: str, organisations: Iterable[str], peers: Iterable[str]) -> None:
    """Refuse a policy that no transaction can meet.

    ``organisations`` are the channel's MSP ids, ``peers`` the MSP id of each of its peers. Raises :class:`InputError`.
    """
    known = sorted(organisations)
    unknown = sorted(policy.mspids.difference(known))
    if unknown:
        raise InputError(
            f"the policy {policy.text} names {', '.join(unknown)}, which is not on {channel}; "
            f"its organisations are {', '.join(known)}"
        )
    counted = Counter(peers)
    if not policy.satisfied_by((mspid, "peer") for mspid in counted.elements()):
        there = ", ".join(f"{count} of {mspid}" for mspid, count in sorted(counted.items()))
        raise InputError(f"the policy {policy.text} cannot be met by the peers of {channel}: {there}")
