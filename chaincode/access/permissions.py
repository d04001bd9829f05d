"""Who may do what: the role in the caller's certificate, and the certificate that a session belongs to.

Any CA of the channel can issue any role, so a record names the MSP and the certificate of whoever wrote it; whose
operators count is for those who read it.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError
from gridledger.contract.arguments import refuse

ROLE: Final = "forensics.role"
OPERATOR: Final = "operator"
DENIERS: Final = ("lightnode", "device", "operator")
"""Who reports that a login was denied: what stands at the terminal, or another operator."""

Record = dict[str, Any]


def certificate_of(caller: ClientIdentity) -> str:
    """SHA-256 of the caller's certificate (DER), hexadecimal."""
    try:
        der = base64.b64decode(caller.certificate, validate=True)
    except (binascii.Error, ValueError):
        raise ContractError("the caller's certificate is no base64") from None
    return sha256(der).hexdigest()


def identity_of(caller: ClientIdentity) -> Record:
    """How the ledger names a caller: {mspid, id, certificate}. The id stays when the certificate is renewed."""
    return {"mspid": caller.get_mspid(), "id": caller.get_id(), "certificate": certificate_of(caller)}


def require_operator(caller: ClientIdentity) -> None:
    """Refuse a caller that is no operator."""
    caller.assert_attribute_value(ROLE, OPERATOR)


def require_denier(caller: ClientIdentity) -> None:
    """Refuse a caller that reports no denied logins."""
    role = caller.get_attribute_value(ROLE)
    if not any(role == one for one in DENIERS):
        refuse("caller", f"denied logins are reported with {ROLE} = {' or '.join(DENIERS)}, not {role!r:.40}")


def require_own(caller: ClientIdentity, session: Record) -> None:
    """Refuse a caller whose certificate is not the one that opened the session."""
    require_operator(caller)
    by = session["by"]
    if caller.get_mspid() != by["mspid"] or certificate_of(caller) != by["certificate"]:
        refuse("caller", f"the session {session['session']} belongs to another certificate, that of {by['id']}")
