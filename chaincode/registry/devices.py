"""Devices: RegisterDevice, Retire, Revoke. A name and a key that were a device's once are never another's."""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto, evidence
from gridledger.contract.arguments import choice, members, name, refuse, text

from . import keys
from .arguments import MAX_REMARK, MAX_TOLD, TYPES, certificate_hash, new_proof_key, proof_text
from .authority import is_authority
from .permissions import Record, require_registrar, require_registrar_of

_MEMBERS: Final = ("device", "type", "section", "site", "vendor", "model", "proof_key", "certificate", "proof")


def register_device(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """RegisterDevice({device, type, section, site, vendor, model, proof_key, certificate, proof}): the record."""
    members(argument, "", _MEMBERS)
    device = {
        "device": name(argument["device"], "device"),
        "type": choice(argument["type"], "type", TYPES),
        "section": name(argument["section"], "section"),
        **{field: text(argument[field], field, MAX_TOLD) for field in ("site", "vendor", "model")},
        "proof_key": new_proof_key(argument["proof_key"]),
        "certificate_sha256": certificate_hash(argument["certificate"]),
        "mspid": require_registrar(caller),
    }
    proof = proof_text(argument["proof"], "proof")
    known = stub.get_state(keys.device(device["device"]))
    if known is not None:
        refuse("device", f"{device['device']} is registered by {known['mspid']} already ({known['status']})")
    refuse_used_key(stub, device["proof_key"])
    refuse_unproved(stub, device, device["proof_key"], proof, "proof")
    record: Record = device | {
        "key_number": 1,
        "status": "active",
        "epoch": present_epoch(stub),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.device(device["device"]), record)
    stub.put_state(keys.active(record["epoch"], device["device"]), True)
    take_key(stub, record, {"proof": proof})
    stub.set_event("DeviceRegistered", record)
    return record


def retire(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Retire({device}): the record. For good: the device says nothing any more, what it said stands."""
    members(argument, "", ("device",))
    record = read_device(stub, name(argument["device"], "device"))
    require_registrar_of(caller, record)
    refuse_unless_active(record)
    retired = record | {
        "status": "retired",
        "retired": {"time_us": stub.get_tx_timestamp(), "tx": stub.get_tx_id()},
    }
    stub.put_state(keys.device(record["device"]), retired)
    stub.del_state(keys.active(record["epoch"], record["device"]))
    stub.set_event("DeviceRetired", retired)
    return retired


def revoke(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Revoke({device, reason}): {device, section, mspid, reason, by, time_us, tx}. By its organisation's registrar, or
    the authority; a retired device too, as its key may turn out to be stolen."""
    members(argument, "", ("device", "reason"))
    record = read_device(stub, name(argument["device"], "device"))
    reason = text(argument["reason"], "reason", MAX_REMARK)
    if not is_authority(stub, caller):
        require_registrar_of(caller, record)
    if record["status"] == "revoked":
        refuse("device", f"{record['device']} is revoked already")
    revoked = {
        **{field: record[field] for field in ("device", "section", "mspid")},
        "reason": reason,
        "by": caller.get_mspid(),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.device(record["device"]), record | {"status": "revoked"})
    stub.put_state(keys.revoked(record["device"]), revoked)
    if record["status"] == "active":
        stub.del_state(keys.active(record["epoch"], record["device"]))
    stub.set_event("DeviceRevoked", revoked)
    return revoked


def read_device(stub: Stub, device: str) -> Record:
    """The record of a device; refused where there is none."""
    record: Record | None = stub.get_state(keys.device(device))
    if record is None:
        refuse("device", f"{device} is not registered; a registrar of its organisation registers it (RegisterDevice)")
    return record


def refuse_unless_active(record: Record) -> None:
    """Refuse a device that is retired or revoked."""
    if record["status"] != "active":
        refuse("device", f"{record['device']} is {record['status']}")


def refuse_used_key(stub: Stub, proof_key: str) -> None:
    """Refuse a proof key that is or was any device's."""
    used = stub.get_state(keys.proof_key(proof_key))
    if used is not None:
        refuse("proof_key", f"is key {used['number']} of {used['device']}; make a new one")


def refuse_unproved(stub: Stub, device: Record, by: str, proof: str, where: str) -> None:
    """Refuse a proof by key ``by`` that does not hold for this device, its certificate and its new proof key."""
    told = evidence.registration_text(
        stub.get_channel_id(), device["device"], device["certificate_sha256"], device["proof_key"]
    )
    if not crypto.verify_schnorr(by, device["device"], told, proof):
        refuse(
            where,
            f"does not hold: it must prove channel {stub.get_channel_id()}, device {device['device']}, certificate "
            f"{device['certificate_sha256']} and the new proof_key, by the key {by[:16]}...",
        )


def take_key(stub: Stub, record: Record, proofs: dict[str, str]) -> None:
    """Keep the record's proof key as the device's for good, with the proofs that brought it."""
    number = record["key_number"]
    stub.put_state(keys.proof_key(record["proof_key"]), {"device": record["device"], "number": number})
    stub.put_state(
        keys.device_key(record["device"], number),
        {
            **{field: record[field] for field in ("proof_key", "certificate_sha256")},
            **proofs,
            "time_us": stub.get_tx_timestamp(),
            "tx": stub.get_tx_id(),
        },
    )


def present_epoch(stub: Stub) -> int:
    """The epoch in which a registration falls: the number of the filter that was begun last, 0 before the first."""
    return int(stub.get_state(keys.EPOCH) or 0)
