"""A channel at a size: what its organisations say of it, and the end of the round: an anchor, a fork."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gridledger.contract import ClientIdentity, Stub, crypto
from gridledger.contract.arguments import refuse

from . import keys
from .arguments import HEAD
from .membership import AGENT, ROLE, Record, majority_of


class Round(NamedTuple):
    """A channel at a size: its organisations, and the last final head."""

    channel: str
    size: int
    names: list[str]
    final: Record | None

    @property
    def is_new(self) -> bool:
        """Whether a head of this size may become final."""
        return self.final is None or self.size > self.final["size"]


def agent_of(caller: ClientIdentity) -> str:
    """The organisation of an agent; refuses everybody else."""
    caller.assert_attribute_value(ROLE, AGENT)
    return caller.get_mspid()


def require_consistent(base: Record | None, at: int, root: str, proof: list[bytes]) -> None:
    """Refuse a head whose tree is not shown to begin with that of ``base``, a final head or None before the first."""
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


def heads_of(stub: Stub, at_hand: Round, new: dict[str, Record]) -> list[Record]:
    """What the organisations say of a size: [{root, header_hash, commit_hash, organisations}], ``new`` included."""
    by_head: dict[tuple[str, ...], list[str]] = {}
    for name in at_hand.names:
        said = new.get(name) or stub.get_state(keys.attestation(at_hand.channel, at_hand.size, name))
        if said is not None:
            by_head.setdefault(tuple(said[field] for field in HEAD), []).append(name)
    return [{**dict(zip(HEAD, values, strict=True)), "organisations": by_head[values]} for values in sorted(by_head)]


def agreed_of(heads: list[Record], names: list[str]) -> Record | None:
    """The head that a majority says; two of these cannot be."""
    for one in heads:
        if len(one["organisations"]) >= majority_of(len(names)):
            return one
    return None


def end(
    stub: Stub, at_hand: Round, new: dict[str, Record], unsaid: Sequence[tuple[str, Record]] = ()
) -> tuple[bool, bool]:
    """Record the anchor and the fork of a size, where they are: whether each is new. The caller checks the proof.

    ``unsaid``: other heads than they have attested before, which organisations signed: they count for a fork alone.
    """
    heads, final = heads_of(stub, at_hand, new), at_hand.final
    agreed = agreed_of(heads, at_hand.names) if at_hand.is_new else None
    told = {"channel": at_hand.channel, "size": at_hand.size}
    if agreed is not None:
        previous = None if final is None else {"size": final["size"], "root": final["root"]}
        record = {**told, **agreed, "previous": previous, "time_us": stub.get_tx_timestamp()}
        stub.put_state(keys.final(at_hand.channel), record)
        stub.put_state(keys.anchor(at_hand.channel, at_hand.size), record)
    fork = new_fork(stub, at_hand, heads, unsaid)
    if fork is not None:
        _record_fork(stub, {**told, "heads": fork})
    return agreed is not None, fork is not None


def new_fork(
    stub: Stub, at_hand: Round, heads: list[Record], unsaid: Sequence[tuple[str, Record]] = ()
) -> list[Record] | None:
    """The heads of a size with who said which, those on record included; None where there is one, or nothing new."""
    signed = [{**head_of(said), "organisations": [name]} for name, said in unsaid]
    if len(heads) + len(signed) < 2:
        return None
    known = stub.get_state(keys.fork(at_hand.channel, at_hand.size))
    together = _merged([*heads, *signed, *(known["heads"] if known is not None else ())])
    return None if known is not None and known["heads"] == together else together


def _record_fork(stub: Stub, fork: Record) -> None:
    channel, now = fork["channel"], stub.get_tx_timestamp()
    is_first = stub.get_state(keys.fork(channel, fork["size"])) is None
    stub.put_state(keys.fork(channel, fork["size"]), {**fork, "time_us": now})
    if is_first:
        tally = stub.get_state(keys.newest_fork(channel)) or {"channel": channel, "count": 0}
        newest = {"count": tally["count"] + 1, "size": fork["size"], "time_us": now}
        stub.put_state(keys.newest_fork(channel), {**tally, **newest})


def _merged(heads: list[Record]) -> list[Record]:
    """Each head once, with all who said it; heads and organisations ascend."""
    by_head: dict[tuple[str, ...], set[str]] = {}
    for one in heads:
        by_head.setdefault(tuple(one[field] for field in HEAD), set()).update(one["organisations"])
    return [{**dict(zip(HEAD, each, strict=True)), "organisations": sorted(by_head[each])} for each in sorted(by_head)]


def head_of(record: Record) -> Record:
    """{root, header_hash, commit_hash} of a record."""
    return {field: record[field] for field in HEAD}
