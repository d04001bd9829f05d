"""Who may do what: the role in the caller's certificate, and the MSPs of the authority and of its investigators.

Any CA of the channel can issue any role, so cases have one authority, the MSP of the first SetAuthority. It names the
MSP of the investigators, which may be an organisation that no other channel admits. Only these certificates count,
whatever others say.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub
from gridledger.contract.arguments import members, mspid, refuse

from . import keys
from .arguments import Record

ROLE: Final = "forensics.role"
AUTHORITY: Final = "authority"
INVESTIGATOR: Final = "investigator"


def identity_of(caller: ClientIdentity) -> Record:
    """How the ledger names a caller: {mspid, id, certificate}. The id stays when the certificate is renewed."""
    try:
        der = base64.b64decode(caller.certificate, validate=True)
    except (binascii.Error, ValueError):
        raise ContractError("the caller's certificate is no base64") from None
    return {"mspid": caller.get_mspid(), "id": caller.get_id(), "certificate": sha256(der).hexdigest()}


def set_authority(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SetAuthority({investigators}): {mspid, investigators, by, time_us}. The first call makes the caller's MSP the
    authority; later ones, by the authority, name another MSP of investigators, or change nothing."""
    members(argument, "", ("investigators",))
    caller.assert_attribute_value(ROLE, AUTHORITY)
    investigators = mspid(argument["investigators"], "investigators")
    found: Record | None = stub.get_state(keys.AUTHORITY)
    if found is not None:
        _require_of(caller, "authority", found["mspid"])
        if found["investigators"] == investigators:
            return found
    record = {
        "mspid": caller.get_mspid(),
        "investigators": investigators,
        "by": identity_of(caller),
        "time_us": stub.get_tx_timestamp(),
    }
    stub.put_state(keys.AUTHORITY, record)
    stub.set_event("AuthoritySet", record)
    return record


def read_authority(stub: Stub) -> Record:
    """The authority's record; refused before there is one."""
    found: Record | None = stub.get_state(keys.AUTHORITY)
    if found is None:
        refuse("authority", "there is none yet; the first SetAuthority makes its caller's organisation the authority")
    return found


def require_authority(stub: Stub, caller: ClientIdentity) -> None:
    """Refuse a caller that has not the role, or is not of the authority's MSP."""
    _require_of(caller, "authority", read_authority(stub)["mspid"])
    caller.assert_attribute_value(ROLE, AUTHORITY)


def require_investigator(stub: Stub, caller: ClientIdentity) -> None:
    """Refuse a caller that has not the role, or is not of the investigators' MSP."""
    _require_of(caller, "investigators' organisation", read_authority(stub)["investigators"])
    caller.assert_attribute_value(ROLE, INVESTIGATOR)


def require_either(stub: Stub, caller: ClientIdentity) -> None:
    """Refuse a caller that is neither the authority nor an investigator."""
    if caller.get_attribute_value(ROLE) == AUTHORITY:
        require_authority(stub, caller)
    else:
        require_investigator(stub, caller)


def _require_of(caller: ClientIdentity, what: str, wanted: str) -> None:
    if caller.get_mspid() != wanted:
        refuse("caller", f"the {what} is {wanted}; the caller's certificate is of {caller.get_mspid()}")
