"""Which organisations belong to a channel: SetMembers.

A contract cannot read another channel's configuration, so the list is a record. Each organisation says what it is; the
list is in force once a majority of the organisations of the list before says the same, the first time a majority of
the organisations that it names itself.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, refuse, sha256

from . import keys
from .arguments import channel_name, organisations

ROLE: Final = "anchor.role"
AGENT: Final = "agent"
REGISTRAR: Final = "registrar"

Record = dict[str, Any]


def set_members(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SetMembers({channel, organisations, genesis}): the caller's voice, and ``in_force``."""
    members(argument, "", ("channel", "organisations", "genesis"))
    channel = channel_name(argument["channel"], stub.get_channel_id())
    names = organisations(argument["organisations"])
    said: Record = {"organisations": names, "genesis": sha256(argument["genesis"], "genesis")}
    if caller.get_attribute_value(ROLE) not in (AGENT, REGISTRAR):
        refuse(
            "caller", f"who belongs to a channel is said with a certificate that has {ROLE} = {AGENT} or {REGISTRAR}"
        )
    known: Record | None = stub.get_state(keys.members(channel))
    if known is not None and known["genesis"] != said["genesis"]:
        refuse("genesis", f"block 0 of {channel} is {known['genesis']}, and stays it")
    electorate: list[str] = names if known is None else known["organisations"]
    mspid = caller.get_mspid()
    if mspid not in electorate and mspid not in names:
        refuse("caller", f"{mspid} is no organisation of {channel}, neither in the record nor in what it says")
    voice = {"channel": channel, "mspid": mspid, **said, "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.voice(channel, mspid), voice)
    in_force = known is not None and known["organisations"] == names
    if not in_force and _has_majority(stub, channel, electorate, said, mspid):
        stub.put_state(keys.members(channel), {"channel": channel, **said, "time_us": stub.get_tx_timestamp()})
        in_force = True
    answer = {**voice, "in_force": in_force}
    stub.set_event("MembersSet" if in_force else "MembersSaid", answer)
    return answer


def members_of(stub: Stub, channel: str) -> list[str]:
    """The organisations of a channel as the record in force has them; refuses a channel without one."""
    record = stub.get_state(keys.members(channel))
    if record is None:
        refuse("channel", f"nothing says yet which organisations belong to {channel}: its agents say so by SetMembers")
    found: list[str] = record["organisations"]
    return found


def majority_of(count: int) -> int:
    """How many of so many organisations are a majority."""
    return count // 2 + 1


def _has_majority(stub: Stub, channel: str, electorate: list[str], said: Record, mspid: str) -> bool:
    """Whether, with the caller, most of the electorate say this."""
    agree = 0
    for name in electorate:
        voice = said if name == mspid else stub.get_state(keys.voice(channel, name))
        if voice is not None and all(voice[field] == said[field] for field in ("organisations", "genesis")):
            agree += 1
    return agree >= majority_of(len(electorate))
