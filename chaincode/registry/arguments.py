"""What callers hand over: the checks that are the registry's own. Every refusal names the field."""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Any, Final

from gridledger.contract import ContractError, crypto
from gridledger.contract.arguments import refuse, shown

TYPES: Final = (
    *("pmu", "ied", "pdc", "meter", "charger", "rtu", "relay", "inverter", "recorder"),
    *("operator-station", "weather"),
)
STATUSES: Final = ("active", "retired", "revoked")
#: Longest site, vendor and model, characters.
MAX_TOLD: Final = 128
#: Longest reason, characters.
MAX_REMARK: Final = 256
#: Longest certificate, bytes of DER.
MAX_CERTIFICATE: Final = 8192

_PROOF: Final = re.compile(r"[0-9a-f]{194}")


def new_proof_key(value: Any, where: str = "proof_key") -> str:
    """A public proof key: a point of P-256, SEC 1 uncompressed, 130 hex digits."""
    if type(value) is not str:
        refuse(where, f"must be 130 hex digits in small letters, not {shown(value)}")
    try:
        crypto.check_proof_key(value)
    except ContractError as error:
        refuse(where, error.message.removeprefix("proof_key: "))
    return value


def proof_text(value: Any, where: str) -> str:
    """A proof: V and r, 194 hex digits. Nothing is verified yet."""
    if type(value) is not str or not _PROOF.fullmatch(value):
        refuse(where, f"must be 194 hex digits in small letters, not {shown(value)}")
    return value


def certificate_hash(value: Any, where: str = "certificate") -> str:
    """SHA-256 (hex) of a certificate, which is handed over as DER in base64; its key must be of P-256."""
    der = b""
    if type(value) is str and len(value) <= (MAX_CERTIFICATE + 2) // 3 * 4 and value.isascii():
        try:
            der = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            der = b""
    if not 0 < len(der) <= MAX_CERTIFICATE or base64.b64encode(der).decode("ascii") != value:
        refuse(where, f"must be DER in base64, at most {MAX_CERTIFICATE} bytes, not {shown(value)}")
    try:
        crypto.public_key_of(value)
    except ContractError as error:
        refuse(where, error.message)
    return sha256(der).hexdigest()
