"""Which incarnations of a channel's orderers take part in Raft: what orderers announce of themselves, and what
``gridledger orderer readmit`` asks for.

The channel's configuration says which orderers there are; this says which life of each is heard. An orderer that lost
its log is removed; its new incarnation announces itself, and joins as any new orderer does (membership_follower.py).
"""

from __future__ import annotations

import re
from typing import Any

from gridledger.errors import InputError, NotFoundError, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.incarnation import node_of
from services.orderer.orderer import Orderer
from services.orderer.raft.errors import NotLeader
from services.orderer.raft.interface import ChangeKind, MembershipChange

MAX_RAFT_ID = 160
_RAFT_ID = re.compile(r"[\w.-]{1,128}(#[0-9a-f]{1,16})?", re.ASCII)
_CHANGES = {
    "show": None,
    "remove": ChangeKind.REMOVE,
}


def hear_announcement(orderer: Orderer, caller: Certificate, channel: str, raft_id: str, applied: int) -> str:
    """As what the channel knows the orderer that calls and announces itself as ``raft_id``. Raises as
    :meth:`MembershipFollower.hear`, and PermissionDeniedError for anybody but the orderer itself."""
    if _RAFT_ID.fullmatch(raft_id) is None:
        raise InputError("an orderer announces itself by its name, or NAME#ID")
    known, claimed = orderer.channel(channel), node_of(raft_id)
    name = orderer.raft_senders.name_in(caller, channel)
    if name is None:
        # It may have been removed while it was down, or be still to come: an orderer of a member may know.
        identity = known.config.msps.identify(caller, orderer.clock_us())
        if identity.role != "orderer" or claimed in known.config.orderers:
            raise PermissionDeniedError(f"this certificate is none that {channel} knows as an orderer's")
    elif name != claimed:
        raise PermissionDeniedError(f"{name} announces itself alone, and not {claimed}")
    return known.follower.hear(claimed, raft_id, applied)


async def change_membership(
    orderer: Orderer, caller: Certificate, channel: str, change: str, raft_id: str
) -> dict[str, Any]:
    """Make one change as an admin of the organisation whose orderer ``raft_id`` is an incarnation of; the membership
    after it. ``show`` changes nothing. Raises NotLeader where another orderer leads."""
    if change not in _CHANGES:
        raise InputError(f"{change!r} is no change of membership; there are {', '.join(_CHANGES)}")
    config = orderer.channel(channel).config
    node = config.raft_nodes.get(node_of(raft_id))
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
