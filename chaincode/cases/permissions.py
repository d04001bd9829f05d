"""Who may do what: the role in the caller's certificate, and the MSP that founded the authority.

Any CA of the channel can issue any role, so cases have one authority, the MSP of the first SetAuthority. Only its
investigators and its authority certificates count, whatever another's say.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub
from gridledger.contract.arguments import refuse

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


def set_authority(stub: Stub, caller: ClientIdentity) -> Record:
    """Found the authority, the caller's MSP; the record that stands where it did so before."""
    caller.assert_attribute_value(ROLE, AUTHORITY)
    found: Record | None = stub.get_state(keys.AUTHORITY)
    if found is not None:
        _require_of_authority(caller, found)
        return found
    record = {"by": identity_of(caller), "mspid": caller.get_mspid(), "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.AUTHORITY, record)
    stub.set_event("AuthoritySet", record)
    return record


def read_authority(stub: Stub) -> Record:
    """The authority's record; refused before there is one."""
    found: Record | None = stub.get_state(keys.AUTHORITY)
    if found is None:
        refuse("authority", "there is none yet; the first SetAuthority makes its caller's organisation the authority")
    return found


def require_role(stub: Stub, caller: ClientIdentity, *roles: Any) -> None:
    """Refuse a caller that is not of the authority's MSP, or has none of these roles."""
    _require_of_authority(caller, read_authority(stub))
    if not any(caller.get_attribute_value(ROLE) == role for role in roles):
        caller.assert_attribute_value(ROLE, roles[0])


def _require_of_authority(caller: ClientIdentity, authority: Record) -> None:
    mspid = authority["mspid"]
    if caller.get_mspid() != mspid:
        refuse("caller", f"the authority is {mspid}; the caller's certificate is of {caller.get_mspid()}")
