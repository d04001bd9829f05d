"""The authority: SetAuthority, GetAuthority. It may revoke any organisation's device, and nothing else.

Any CA of the channel can issue any attribute. So the authority is one organisation, that of the first SetAuthority, and
only its certificates with the role count.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, refuse

from . import keys
from .permissions import AUTHORITY, ROLE, Record, require_role


def set_authority(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SetAuthority({}): {mspid, time_us, tx}. Once for good: the first call makes its caller's MSP the authority."""
    members(argument, "", ())
    mspid = require_role(caller, AUTHORITY)
    known = stub.get_state(keys.AUTHORITY)
    if known is not None:
        refuse("authority", f"it is {known['mspid']}, and stays so")
    record = {"mspid": mspid, "time_us": stub.get_tx_timestamp(), "tx": stub.get_tx_id()}
    stub.put_state(keys.AUTHORITY, record)
    stub.set_event("AuthoritySet", record)
    return record


def get_authority(stub: Stub, argument: Any) -> Record:
    """GetAuthority({}): {mspid, time_us, tx}; refused before SetAuthority."""
    members(argument, "", ())
    known: Record | None = stub.get_state(keys.AUTHORITY)
    if known is None:
        refuse("authority", "there is none yet; the first SetAuthority makes its caller's organisation the authority")
    return known


def is_authority(stub: Stub, caller: ClientIdentity) -> bool:
    """Whether the caller has the role and is of the authority's MSP."""
    if caller.get_attribute_value(ROLE) != AUTHORITY:
        return False
    known = stub.get_state(keys.AUTHORITY)
    return known is not None and known["mspid"] == caller.get_mspid()
