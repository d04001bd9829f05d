"""Cosign: rounds of several channels in one transaction, of statements that the organisations' agents have signed.

A statement counts as an attestation of its organisation: it is kept, and ends the round, as Attest does. Who hands the
statements over need not belong to the channels, and is not believed: each signature is checked with the key that the
organisation has on record. A round that is refused does not stop the others of the transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from gridledger.contract import ClientIdentity, ContractError, Stub, crypto
from gridledger.contract.arguments import integer, items, members, mspid, refuse, shown
from gridledger.contract.evidence import statement_text

from . import keys
from .arguments import HEAD, MAX_ORGANISATIONS, channel_name, consistency, head, size
from .membership import Record, majority_of, members_of
from .rounds import Round, agent_of, agreed_of, end, head_of, heads_of, new_fork, require_consistent

MAX_ROUNDS: Final = 32
MAX_STATEMENTS: Final = 256
"""Of one transaction: as many signatures are checked."""
_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-f]{2})+")


class _Said(NamedTuple):
    """One round of the argument: ``statements`` are {mspid: head and signature}."""

    channel: str
    size: int
    base: int
    proof: list[bytes]
    statements: dict[str, Record]


class _Judged(NamedTuple):
    """What is to be recorded of a round: the new attestations, and heads that contradict earlier ones."""

    at_hand: Round
    new: dict[str, Record]
    unsaid: list[tuple[str, Record]]


def cosign(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Cosign({rounds: [{channel, size, base, consistency, heads: [{root, header_hash, commit_hash, signatures:
    [{mspid, signature}]}]}]}): {rounds: [{channel, size, anchored, forked, refused}]}.

    ``base``: the last final size, 0 before the first; ``signature``: ECDSA, DER in hexadecimal, of the text that
    :func:`statement_text` gives. ``refused`` says why a round was, else None; where all are, the call is refused.
    """
    members(argument, "", ("rounds",))
    agent_of(caller)
    told = [_read(stub, one, f"rounds[{at}]") for at, one in enumerate(items(argument["rounds"], "rounds", MAX_ROUNDS))]
    if len({said.channel for said in told}) != len(told):
        refuse("rounds", "must be of different channels")
    if sum(len(said.statements) for said in told) > MAX_STATEMENTS:
        refuse("rounds", f"have more than {MAX_STATEMENTS} statements: hand them over in several transactions")
    done = [_settle(stub, said) for said in told]
    if all(one["refused"] is not None for one in done):
        raise ContractError(done[0]["refused"])
    answer = {"rounds": done}
    stub.set_event("Cosigned", {"rounds": [one for one in done if one["refused"] is None]})
    return answer


def _settle(stub: Stub, said: _Said) -> Record:
    """Record one round, if it holds. All of it is judged before anything is written."""
    answer: Record = {"channel": said.channel, "size": said.size, "anchored": False, "forked": False, "refused": None}
    try:
        judged = _judge(stub, said)
    except ContractError as error:
        return {**answer, "refused": error.message}
    for name, one in judged.new.items():
        told = {"channel": said.channel, "mspid": name, "size": said.size, **one, "base": said.base}
        record = {**told, "time_us": stub.get_tx_timestamp()}
        stub.put_state(keys.attestation(said.channel, said.size, name), record)
    anchored, forked = end(stub, judged.at_hand, judged.new, judged.unsaid)
    return {**answer, "anchored": anchored, "forked": forked}


def _judge(stub: Stub, said: _Said) -> _Judged:
    """Who said what; refuses what does not hold, and a round that has neither its majority nor two heads."""
    final: Record | None = stub.get_state(keys.final(said.channel))
    base = 0 if final is None else final["size"]
    if said.base != base:
        refuse("base", f"{said.channel} is anchored at {base}; these statements go on from {said.base}")
    if said.size <= base:
        refuse("size", f"{said.channel} is anchored at {base}; what is attested now lies above that")
    at_hand = Round(said.channel, said.size, members_of(stub, said.channel), final)
    new, unsaid = {}, []
    for name, one in said.statements.items():
        if name not in at_hand.names:
            refuse("mspid", f"{name} is no organisation of {said.channel}: those are {', '.join(at_hand.names)}")
        _require_signed(stub, said, name, one)
        known = stub.get_state(keys.attestation(said.channel, said.size, name))
        if known is None:
            new[name] = one
        elif head_of(known) != head_of(one):
            unsaid.append((name, one))
    heads = heads_of(stub, at_hand, new)
    agreed = agreed_of(heads, at_hand.names)
    if agreed is not None:
        require_consistent(final, said.size, agreed["root"], said.proof)
    elif new_fork(stub, at_hand, heads, unsaid) is None:
        needed, count = majority_of(len(at_hand.names)), sum(len(one["organisations"]) for one in heads)
        why = f"there is nothing new to record, {needed} must say the same: {count} said anything"
        refuse("heads", f"of {said.channel} at {said.size} {why}")
    return _Judged(at_hand, new, unsaid)


def _require_signed(stub: Stub, said: _Said, name: str, one: Record) -> None:
    agent: Record | None = stub.get_state(keys.agent(name))
    if agent is None or agent["key"] is None:
        refuse("signature", f"{name} has no agent on record, whose key would tell: it puts itself there by SetAgent")
    text = statement_text(stub.get_channel_id(), said.channel, said.size, said.base, one)
    if not crypto.verify_ecdsa(agent["key"], text, bytes.fromhex(one["signature"])):
        refuse("signature", f"of {name} is not of this statement by the key that it has on record")


def _read(stub: Stub, value: Any, where: str) -> _Said:
    members(value, where, ("channel", "size", "base", "consistency", "heads"))
    statements: dict[str, Record] = {}
    for name, one in _statements(value["heads"]):
        if name in statements:
            refuse("mspid", f"{name} is named twice; an organisation says one thing of one size")
        statements[name] = one
    return _Said(
        channel_name(value["channel"], stub.get_channel_id()),
        size(value["size"]),
        integer(value["base"], "base", 0, keys.SIZE_LIMIT - 1),
        consistency(value["consistency"]),
        statements,
    )


def _statements(value: Any) -> Iterator[tuple[str, Record]]:
    for at, one in enumerate(items(value, "heads", MAX_ORGANISATIONS)):
        members(one, f"heads[{at}]", (*HEAD, "signatures"))
        said = head(one)
        for each in items(one["signatures"], "signatures", MAX_ORGANISATIONS):
            members(each, "signatures", ("mspid", "signature"))
            yield mspid(each["mspid"]), {**said, "signature": _signature(each["signature"])}


def _signature(value: Any) -> str:
    if type(value) is not str or len(value) > 2 * crypto.MAX_SIGNATURE_BYTES or not _HEXADECIMAL.fullmatch(value):
        refuse("signature", f"must be the DER of an ECDSA signature in hexadecimal, not {shown(value)}")
    return value
