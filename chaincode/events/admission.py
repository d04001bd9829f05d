"""Devices of a section: AdmitDevice, SuspendDevice, RekeyDevice.

A contract reads its own channel only. So a device is admitted, suspended and given another key by a registrar or an
agent, who names the registry's transaction that says so; whoever has both channels compares.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto, evidence
from gridledger.contract.arguments import members, mspid, name, refuse, sha256

from . import keys
from .arguments import new_proof_key, proof_text, time_us
from .permissions import Record, require_keeper, require_keeper_of

#: A record keeps each of them.
MAX_SUSPENSIONS: Final = 100


def admit_device(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """AdmitDevice({device, mspid, proof_key, tx}): the record. ``tx``: of the registration.

    By its own MSP; a device that is suspended is admitted again with the key that it had.
    """
    members(argument, "", ("device", "mspid", "proof_key", "tx"))
    wanted = {
        "device": name(argument["device"], "device"),
        "mspid": mspid(argument["mspid"]),
        "proof_key": new_proof_key(argument["proof_key"]),
        "tx": sha256(argument["tx"], "tx"),
    }
    require_keeper_of(caller, wanted)
    known = stub.get_state(keys.device(wanted["device"]))
    record = _admitted_again(stub, known, wanted) if known is not None else _admitted(stub, wanted)
    stub.put_state(keys.device(record["device"]), record)
    stub.set_event("DeviceAdmitted", record)
    return record


def suspend_device(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SuspendDevice({device, tx, revoked_us}): the record. From this transaction on the device is refused.

    By any member's registrar or agent. ``tx`` and ``revoked_us``: of the revocation or retirement, and its time; events
    that were logged since then have the mark ``revoked-late``.
    """
    members(argument, "", ("device", "tx", "revoked_us"))
    device = name(argument["device"], "device")
    suspension = {
        "tx": sha256(argument["tx"], "tx"),
        "revoked_us": time_us(argument["revoked_us"], "revoked_us"),
        "at_us": stub.get_tx_timestamp(),
        "by": require_keeper(caller),
        "last_seq": None,
    }
    record = read_device(stub, device)
    refuse_suspended(record)
    suspended = record | {"status": "suspended", "suspensions": [*record["suspensions"], suspension]}
    stub.put_state(keys.device(device), suspended)
    stub.set_event("DeviceSuspended", suspended)
    return suspended


def rekey_device(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """RekeyDevice({device, proof_key, certificate_sha256, channel, tx, proof_old, proof_new}): the record.

    By its own MSP. All but the caller is the registry's: ``channel``, ``tx`` and both proofs of its RotateKey, so an
    agent hands over what stands there.
    """
    members(argument, "", ("device", "proof_key", "certificate_sha256", "channel", "tx", "proof_old", "proof_new"))
    device = name(argument["device"], "device")
    proof_key = new_proof_key(argument["proof_key"])
    certificate = sha256(argument["certificate_sha256"], "certificate_sha256")
    channel, tx = name(argument["channel"], "channel"), sha256(argument["tx"], "tx")
    proofs = {field: proof_text(argument[field], field) for field in ("proof_old", "proof_new")}
    record = read_device(stub, device)
    require_keeper_of(caller, record)
    refuse_suspended(record)
    _refuse_used_key(stub, proof_key)
    told = evidence.registration_text(channel, device, certificate, proof_key)
    for field, by in (("proof_old", record["proof_key"]), ("proof_new", proof_key)):
        if not crypto.verify_schnorr(by, device, told, proofs[field]):
            refuse(field, f"does not hold for {device} and its new proof_key by the key {by[:16]}...")
    rekeyed = record | {"proof_key": proof_key, "tx": tx}
    stub.put_state(keys.device(device), rekeyed)
    stub.put_state(keys.proof_key(proof_key), device)
    stub.set_event("DeviceRekeyed", rekeyed)
    return rekeyed


def read_device(stub: Stub, device: str) -> Record:
    """The record of a device; refused where there is none."""
    record: Record | None = stub.get_state(keys.device(device))
    if record is None:
        refuse(
            "device",
            f"{device} is not admitted on {stub.get_channel_id()}; once it is registered, a registrar or agent of its "
            "organisation admits it (AdmitDevice)",
        )
    return record


def refuse_suspended(record: Record) -> None:
    """Refuse a device that is suspended."""
    if record["status"] == "suspended":
        last = record["suspensions"][-1]
        refuse("device", f"{record['device']} is suspended by {last['by']} since the registry's {last['tx'][:16]}...")


def _admitted(stub: Stub, wanted: Record) -> Record:
    _refuse_used_key(stub, wanted["proof_key"])
    stub.put_state(keys.proof_key(wanted["proof_key"]), wanted["device"])
    return wanted | {"status": "active", "time_us": stub.get_tx_timestamp(), "suspensions": []}


def _admitted_again(stub: Stub, known: Record, wanted: Record) -> Record:
    device = known["device"]
    if known["mspid"] != wanted["mspid"]:
        refuse("mspid", f"{device} belongs to {known['mspid']} on this channel")
    if known["status"] != "suspended":
        refuse("device", f"{device} is admitted already")
    if known["proof_key"] != wanted["proof_key"]:
        refuse(
            "proof_key", f"is not the key that {device} had when it was suspended; RekeyDevice changes it after this"
        )
    if len(known["suspensions"]) == MAX_SUSPENSIONS:
        refuse("device", f"{device} was suspended {MAX_SUSPENSIONS} times; register it anew, by another name")
    head = stub.get_state(keys.head(device))
    *before, last = known["suspensions"]
    closed = last | {"last_seq": 0 if head is None else head["seq"]}
    return known | {"status": "active", "tx": wanted["tx"], "suspensions": [*before, closed]}


def _refuse_used_key(stub: Stub, proof_key: str) -> None:
    used = stub.get_state(keys.proof_key(proof_key))
    if used is not None:
        refuse("proof_key", f"is or was a key of {used} on this channel")
