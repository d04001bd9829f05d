"""Attest and Conclude: what the organisations of a channel say of it at a size, and when that is final.

A head is final where a majority of the channel's organisations says the same of one size above the last final one, and
where the tree of that size begins with the last final one: so a chain whose anchored part was changed is never anchored
again. Both the attestation and the end of the round are judged by the consistency proof, as the last final head may
have come between them.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import integer, members, refuse

from . import keys
from .arguments import HEAD, channel_name, consistency, flag, head, size
from .membership import Record, majority_of, members_of
from .rounds import Round, agent_of, agreed_of, end, head_of, heads_of, require_consistent


def attest(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Attest({channel, size, root, header_hash, commit_hash, height, consistency, opens?, conclude?}): the same
    without the proof, and mspid, base, time_us, anchored, forked.

    ``opens``: this is the caller's own round, which it replaces. ``conclude``: end the round, if this completes it.
    """
    members(argument, "", ("channel", "size", *HEAD, "height", "consistency"), ("opens", "conclude"))
    channel, at = channel_name(argument["channel"], stub.get_channel_id()), size(argument["size"])
    said, proof = head(argument), consistency(argument["consistency"])
    height = integer(argument["height"], "height", at, keys.SIZE_LIMIT - 1)
    opens, concludes = flag(argument, "opens"), flag(argument, "conclude")
    names, mspid = members_of(stub, channel), agent_of(caller)
    if mspid not in names:
        refuse("caller", f"{mspid} is no organisation of {channel}: those are {', '.join(names)}")
    final: Record | None = stub.get_state(keys.final(channel))
    base = _base(final, at, said)
    require_consistent(base, at, said["root"], proof)
    record = {
        "channel": channel,
        "mspid": mspid,
        "size": at,
        **said,
        "height": height,
        "base": 0 if base is None else base["size"],
        "time_us": stub.get_tx_timestamp(),
    }
    known = stub.get_state(keys.attestation(channel, at, mspid))
    if known is None:
        stub.put_state(keys.attestation(channel, at, mspid), record)
    elif head_of(known) != said:
        refuse("root", f"{mspid} has attested another head of {channel} at {at} before, and cannot take that back")
    if opens:
        _open_round(stub, record)
    anchored = forked = False
    if concludes or (final is not None and final["size"] == at):
        anchored, forked = end(stub, Round(channel, at, names, final), {mspid: said})
    answer = {**record, "opens": opens, "anchored": anchored, "forked": forked}
    stub.set_event("Anchored" if anchored else "Forked" if forked else "Attested", answer)
    return answer


def conclude(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Conclude({channel, size, consistency}): {channel, size, anchored, forked}.

    ``consistency``: from the last final head to the one that is to be final. Refused where there is nothing to record.
    """
    members(argument, "", ("channel", "size", "consistency"))
    channel, at = channel_name(argument["channel"], stub.get_channel_id()), size(argument["size"])
    proof = consistency(argument["consistency"])
    agent_of(caller)
    at_hand = Round(channel, at, members_of(stub, channel), stub.get_state(keys.final(channel)))
    heads = heads_of(stub, at_hand, {})
    agreed = agreed_of(heads, at_hand.names)
    if agreed is not None and at_hand.is_new:
        require_consistent(at_hand.final, at, agreed["root"], proof)
    anchored, forked = end(stub, at_hand, {})
    if not anchored and not forked:
        told = "; ".join(f"{one['root'][:16]} by {', '.join(one['organisations'])}" for one in heads) or "none"
        needed = majority_of(len(at_hand.names))
        refuse("size", f"of {channel} at {at} there is nothing new to record, {needed} must say the same: {told}")
    answer = {"channel": channel, "size": at, "anchored": anchored, "forked": forked}
    stub.set_event("Anchored" if anchored else "Forked", answer)
    return answer


def _base(final: Record | None, at: int, said: Record) -> Record | None:
    """The final head that a new one must begin with: the last one, or the one before, for who contradicts the last."""
    if final is None or at > final["size"]:
        return final
    if at < final["size"]:
        refuse("size", f"{final['channel']} is anchored at {final['size']}; what is attested now lies above that")
    if head_of(final) == said:
        refuse("size", f"{final['channel']} is anchored at {at} with this head already")
    previous: Record | None = final["previous"]
    return previous


def _open_round(stub: Stub, record: Record) -> None:
    key = keys.round_of(record["channel"], record["mspid"])
    before = stub.get_state(key)
    if before is not None and before["size"] >= record["size"]:
        refuse("size", f"{record['mspid']} has opened a round at {before['size']}; a new one is of a larger size")
    stub.put_state(key, {field: record[field] for field in ("channel", "mspid", "size", "time_us")})
