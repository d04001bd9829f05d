"""Who may do what: the attributes in the caller's certificate, and the MSP that vouches for them.

Any CA of the channel can issue any attribute. So a device belongs to the MSP whose registrar registered it.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity
from gridledger.contract.arguments import refuse

ROLE: Final = "forensics.role"
REGISTRAR: Final = "registrar"
AUTHORITY: Final = "authority"

Record = dict[str, Any]


def require_role(caller: ClientIdentity, role: str) -> str:
    """The caller's MSP; refuses a caller without the role."""
    if caller.get_attribute_value(ROLE) != role:
        refuse("caller", f"its certificate must have {ROLE} = {role}")
    return caller.get_mspid()


def require_registrar(caller: ClientIdentity) -> str:
    """The caller's MSP; refuses a caller that is no registrar."""
    return require_role(caller, REGISTRAR)


def require_registrar_of(caller: ClientIdentity, device: Record) -> None:
    """Refuse a caller that is no registrar of the MSP that a device belongs to."""
    mspid = require_registrar(caller)
    if mspid != device["mspid"]:
        refuse(
            "device",
            f"{device['device']} belongs to {device['mspid']}; the caller's certificate is of {mspid}",
        )
