"""Changing which incarnations of a channel's orderers take part in Raft: what ``gridledger orderer readmit`` asks for.

The channel's configuration says which orderers there are; this says which life of each is heard. An orderer that lost
its log is removed, and its new incarnation added as a learner and promoted once it has caught up.
"""

from __future__ import annotations

from typing import Any

from gridledger.errors import InputError, NotFoundError, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.incarnation import node_of
from services.orderer.orderer import Orderer
from services.orderer.raft.errors import NotLeader
from services.orderer.raft.interface import ChangeKind, MembershipChange

_CHANGES = {
    "show": None,
    "remove": ChangeKind.REMOVE,
    "add-learner": ChangeKind.ADD_LEARNER,
    "promote": ChangeKind.ADD_VOTER,
}


async def change_membership(
    orderer: Orderer, caller: Certificate, channel: str, change: str, raft_id: str
) -> dict[str, Any]:
    """Make one change as an admin of the organisation whose orderer ``raft_id`` is an incarnation of; the membership
    after it. ``show`` changes nothing. Raises NotLeader where another orderer leads."""
    if change not in _CHANGES:
        raise InputError(f"{change!r} is no change of membership; there are {', '.join(_CHANGES)}")
    config = orderer.channel(channel).config
    node = config.orderers.get(node_of(raft_id))
    if node is None:
        raise NotFoundError(f"{node_of(raft_id)} is no orderer of {channel}")
    identity = config.msps.identify(caller, orderer.clock_us())
    if (identity.mspid, identity.role) != (node.mspid, "admin"):
        raise PermissionDeniedError(f"only an admin of {node.mspid} changes the membership of {node.name}")
    kind = _CHANGES[change]
    if kind is not None:
        await orderer.consensus.change_membership(channel, MembershipChange(kind, raft_id))
    status = orderer.consensus.status(channel)
    if orderer.consensus.leadership(channel).is_self is False:
        leader = status.leader and node_of(status.leader)
        raise NotLeader(f"{channel} is led by {leader or 'nobody now'}", leader=leader)
    return {
        "voters": sorted(status.membership.voters),
        "learners": sorted(status.membership.learners),
        "commit": status.commit,
        "match": {name: known.match for name, known in status.followers.items()},
    }
