"""Attest and Conclude: what the organisations of a channel say of it at a size, and when that is final.

A head is final where a majority of the channel's organisations says the same of one size above the last final one, and
where the tree of that size begins with the last final one: so a chain whose anchored part was changed is never anchored
again. Both the attestation and the end of the round are judged by the consistency proof, as the last final head may
have come between them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gridledger.contract import ClientIdentity, Stub, crypto
from gridledger.contract.arguments import integer, members, refuse

from . import keys
from .arguments import HEAD, channel_name, consistency, flag, head, size
from .membership import AGENT, ROLE, Record, majority_of, members_of


class _Round(NamedTuple):
    """A channel at a size: its organisations, and the last final head."""

    channel: str
    size: int
    names: list[str]
    final: Record | None

    @property
    def is_new(self) -> bool:
        """Whether a head of this size may become final."""
        return self.final is None or self.size > self.final["size"]


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
    names, mspid = members_of(stub, channel), _agent_of(caller)
    if mspid not in names:
        refuse("caller", f"{mspid} is no organisation of {channel}: those are {', '.join(names)}")
    final: Record | None = stub.get_state(keys.final(channel))
    base = _base(final, at, said)
    _require_consistent(base, at, said["root"], proof)
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
    elif _head_of(known) != said:
        refuse("root", f"{mspid} has attested another head of {channel} at {at} before, and cannot take that back")
    if opens:
        _open_round(stub, record)
    anchored = forked = False
    if concludes or (final is not None and final["size"] == at):
        anchored, forked = _end(stub, _Round(channel, at, names, final), {mspid: said})
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
    _agent_of(caller)
    at_hand = _Round(channel, at, members_of(stub, channel), stub.get_state(keys.final(channel)))
    heads = _heads(stub, at_hand, {})
    agreed = _agreed(heads, at_hand.names)
    if agreed is not None and at_hand.is_new:
        _require_consistent(at_hand.final, at, agreed["root"], proof)
    anchored, forked = _end(stub, at_hand, {})
    if not anchored and not forked:
        told = "; ".join(f"{one['root'][:16]} by {', '.join(one['organisations'])}" for one in heads) or "none"
        needed = majority_of(len(at_hand.names))
        refuse("size", f"of {channel} at {at} there is nothing new to record, {needed} must say the same: {told}")
    answer = {"channel": channel, "size": at, "anchored": anchored, "forked": forked}
    stub.set_event("Anchored" if anchored else "Forked", answer)
    return answer


def _agent_of(caller: ClientIdentity) -> str:
    caller.assert_attribute_value(ROLE, AGENT)
    return caller.get_mspid()


def _base(final: Record | None, at: int, said: Record) -> Record | None:
    """The final head that a new one must begin with: the last one, or the one before, for who contradicts the last."""
    if final is None or at > final["size"]:
        return final
    if at < final["size"]:
        refuse("size", f"{final['channel']} is anchored at {final['size']}; what is attested now lies above that")
    if _head_of(final) == said:
        refuse("size", f"{final['channel']} is anchored at {at} with this head already")
    previous: Record | None = final["previous"]
    return previous


def _require_consistent(base: Record | None, at: int, root: str, proof: list[bytes]) -> None:
    if base is None:
        if proof:
            refuse("consistency", "must be empty: there is no anchored head before this one")
        return
    first, first_root = base["size"], bytes.fromhex(base["root"])
    if not crypto.verify_consistency(first, first_root, at, bytes.fromhex(root), proof):
        refuse(
            "consistency",
            f"does not show that the tree of {at} blocks begins with the anchored one of {first}: the proof is wrong, "
            "or the chain's past was changed",
        )


def _open_round(stub: Stub, record: Record) -> None:
    key = keys.round_of(record["channel"], record["mspid"])
    before = stub.get_state(key)
    if before is not None and before["size"] >= record["size"]:
        refuse("size", f"{record['mspid']} has opened a round at {before['size']}; a new one is of a larger size")
    stub.put_state(key, {field: record[field] for field in ("channel", "mspid", "size", "time_us")})


def _heads(stub: Stub, at_hand: _Round, new: dict[str, Record]) -> list[Record]:
    """What the organisations say of a size: [{root, header_hash, commit_hash, organisations}], ``new`` included."""
    by_head: dict[tuple[str, ...], list[str]] = {}
    for name in at_hand.names:
        said = new.get(name) or stub.get_state(keys.attestation(at_hand.channel, at_hand.size, name))
        if said is not None:
            by_head.setdefault(tuple(said[field] for field in HEAD), []).append(name)
    return [{**dict(zip(HEAD, values, strict=True)), "organisations": by_head[values]} for values in sorted(by_head)]


def _agreed(heads: list[Record], names: list[str]) -> Record | None:
    """The head that a majority says; two of these cannot be."""
    for one in heads:
        if len(one["organisations"]) >= majority_of(len(names)):
            return one
    return None


def _end(stub: Stub, at_hand: _Round, new: dict[str, Record]) -> tuple[bool, bool]:
    """Record the anchor and the fork of a size, where they are: whether each is new. The caller checks the proof."""
    heads, final = _heads(stub, at_hand, new), at_hand.final
    agreed = _agreed(heads, at_hand.names) if at_hand.is_new else None
    told = {"channel": at_hand.channel, "size": at_hand.size}
    if agreed is not None:
        previous = None if final is None else {"size": final["size"], "root": final["root"]}
        record = {**told, **agreed, "previous": previous, "time_us": stub.get_tx_timestamp()}
        stub.put_state(keys.final(at_hand.channel), record)
        stub.put_state(keys.anchor(at_hand.channel, at_hand.size), record)
    return agreed is not None, len(heads) > 1 and _record_fork(stub, {**told, "heads": heads})


def _record_fork(stub: Stub, fork: Record) -> bool:
    channel, at, now = fork["channel"], fork["size"], stub.get_tx_timestamp()
    known = stub.get_state(keys.fork(channel, at))
    if known is not None and known["heads"] == fork["heads"]:
        return False
    stub.put_state(keys.fork(channel, at), {**fork, "time_us": now})
    if known is None:
        tally = stub.get_state(keys.newest_fork(channel)) or {"channel": channel, "count": 0}
        stub.put_state(keys.newest_fork(channel), {**tally, "count": tally["count"] + 1, "size": at, "time_us": now})
    return True


def _head_of(record: Record) -> Record:
    return {field: record[field] for field in HEAD}
