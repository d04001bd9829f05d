"""RotateKey: another proof key for a device, proved by the one before and by itself. No key comes back."""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, name, refuse

from . import keys
from .arguments import certificate_hash, new_proof_key, proof_text
from .devices import read_device, refuse_unless_active, refuse_unproved, refuse_used_key, take_key
from .permissions import Record, require_registrar_of

MAX_KEYS: Final = 10**keys.NUMBER_DIGITS - 1


def rotate_key(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """RotateKey({device, proof_key, certificate?, proof_old, proof_new}): the record.

    Both proofs are of one text, the registration's with the new key (and the new certificate, where there is one). So
    an agent of a section can hand them over there (RekeyDevice).
    """
    members(argument, "", ("device", "proof_key", "proof_old", "proof_new"), ("certificate",))
    device = name(argument["device"], "device")
    proof_key = new_proof_key(argument["proof_key"])
    proofs = {field: proof_text(argument[field], field) for field in ("proof_old", "proof_new")}
    changed = {"proof_key": proof_key}
    if argument.get("certificate") is not None:
        changed["certificate_sha256"] = certificate_hash(argument["certificate"])
    record = read_device(stub, device)
    require_registrar_of(caller, record)
    refuse_unless_active(record)
    if record["key_number"] == MAX_KEYS:
        refuse("device", f"{device} has had {MAX_KEYS} keys, and can have no more")
    refuse_used_key(stub, proof_key)
    rotated = record | changed | {"key_number": record["key_number"] + 1}
    refuse_unproved(stub, rotated, record["proof_key"], proofs["proof_old"], "proof_old")
    refuse_unproved(stub, rotated, proof_key, proofs["proof_new"], "proof_new")
    stub.put_state(keys.device(device), rotated)
    take_key(stub, rotated, proofs)
    told = {"time_us": stub.get_tx_timestamp(), "tx": stub.get_tx_id()}
    stub.set_event("KeyRotated", {"channel": stub.get_channel_id(), **rotated, **proofs, **told})
    return rotated
