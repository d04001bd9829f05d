"""Who may do what: the attributes in the caller's certificate, and the MSP that vouches for them.

Any CA of the channel can issue any attribute. So a device belongs to the MSP that admitted it, and only that MSP's
light nodes, or the device itself, log its events.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity
from gridledger.contract.arguments import refuse

ROLE: Final = "forensics.role"
DEVICE: Final = "forensics.device"
ANCHOR_ROLE: Final = "anchor.role"
AGENT: Final = "agent"

Record = dict[str, Any]


def require_keeper(caller: ClientIdentity) -> str:
    """The caller's MSP; refuses a caller that is neither a registrar nor an agent."""
    if (
        caller.get_attribute_value(ROLE) not in ("registrar", AGENT)
        and caller.get_attribute_value(ANCHOR_ROLE) != AGENT
    ):
        refuse("caller", f"its certificate must have {ROLE} = registrar or agent, or {ANCHOR_ROLE} = agent")
    return caller.get_mspid()


def require_keeper_of(caller: ClientIdentity, record: Record) -> None:
    """Refuse a caller that is no registrar or agent of the device's own MSP."""
    mspid = require_keeper(caller)
    if mspid != record["mspid"]:
        refuse("device", f"{record['device']} belongs to {record['mspid']}; the caller's certificate is of {mspid}")


def require_speaker(caller: ClientIdentity, record: Record) -> None:
    """Refuse a caller that is neither a light node of the device's MSP nor the device itself."""
    role = caller.get_attribute_value(ROLE)
    if role != "lightnode" and not (role == "device" and caller.get_attribute_value(DEVICE) == record["device"]):
        refuse(
            "caller",
            f"its certificate must have {ROLE} = lightnode, or {ROLE} = device and {DEVICE} = {record['device']}",
        )
    if caller.get_mspid() != record["mspid"]:
        refuse(
            "device",
            f"{record['device']} belongs to {record['mspid']}; the caller's certificate is of {caller.get_mspid()}",
        )
