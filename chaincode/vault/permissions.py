"""Who may do what: the attributes in the caller's certificate, and the MSP that vouches for them.

Any CA of the channel can issue any attribute. So the base is one MSP, that of the first SetBase or SetCluster; a
cluster is bound to an MSP when the base sets it; and a holder is bound to its cluster's MSP, to its id and to the key
that it joined with. Only the certificates of that MSP count, whatever another's say.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub, crypto
from gridledger.contract.arguments import refuse

from . import keys

ROLE: Final = "vault.role"
CLUSTER: Final = "vault.cluster"
ID: Final = "vault.id"

BASE: Final = "base"
DEALER: Final = "dealer"
HOLDERS: Final = ("head", "sensor")

HEADS: Final = "heads"
"""The cluster of layer 1: the heads of all clusters."""

NO_BASE: Final = "the vault has none yet; the first SetBase or SetCluster makes its caller's organisation the base"

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


def is_owner(caller: ClientIdentity, owner: Record) -> bool:
    """Whether the caller is who put an object, with whichever certificate of its name."""
    return (caller.get_mspid(), caller.get_id()) == (owner["mspid"], owner["id"])


def refuse_revoked_caller(stub: Stub, caller: ClientIdentity) -> None:
    """Refuse a caller whose certificate the base has revoked, and a holder that it has, whatever else that may be:
    the owner of objects, or a reader."""
    found = stub.get_state(keys.revoked(certificate_of(caller)))
    if found is not None:
        refuse("caller", f"this certificate was revoked by the base: {found['reason']}")
    holder = named_holder(stub, caller)
    if holder is not None:
        refuse_revoked_holder(stub, holder, "caller")


def named_holder(stub: Stub, caller: ClientIdentity) -> str | None:
    """The holder of the caller's MSP whose id the caller's certificate has, with whichever key; None for others."""
    x = caller.get_attribute_value(ID)
    if x is None or caller.get_attribute_value(ROLE) not in HOLDERS:
        return None
    named = stub.get_state(keys.holder_id(x))
    record = None if named is None else stub.get_state(keys.holder(named["holder"]))
    return str(record["holder"]) if record is not None and record["mspid"] == caller.get_mspid() else None


def base_mspid(stub: Stub) -> str | None:
    """The MSP of the base; None before the first SetBase or SetCluster."""
    found = stub.get_state(keys.BASE)
    return None if found is None else str(found["mspid"])


def is_base(stub: Stub, caller: ClientIdentity) -> bool:
    """Whether the caller is the base."""
    return caller.get_attribute_value(ROLE) == BASE and caller.get_mspid() == base_mspid(stub)


def require_base(stub: Stub, caller: ClientIdentity) -> None:
    """Refuse a caller that is not the base."""
    caller.assert_attribute_value(ROLE, BASE)
    mspid = base_mspid(stub)
    if mspid is None:
        refuse("base", NO_BASE)
    if caller.get_mspid() != mspid:
        refuse("caller", f"the base of this vault is of {mspid}; the caller's certificate is of {caller.get_mspid()}")
    refuse_revoked_caller(stub, caller)


def is_dealer(stub: Stub, caller: ClientIdentity, cluster: Record) -> bool:
    """Whether the caller may put objects of a cluster as the present cycle has it.

    Its head, or a certificate of the cluster's MSP with vault.role=dealer and vault.cluster; of layer 1 the base too.
    """
    if caller.get_mspid() != cluster["mspid"]:
        return False
    role = caller.get_attribute_value(ROLE)
    if role == DEALER:
        return bool(caller.get_attribute_value(CLUSTER) == cluster["cluster"])
    if cluster["cluster"] == HEADS:
        return role == BASE
    holder = find_calling_holder(stub, caller)
    return holder is not None and holder["holder"] == cluster["head"]


def require_dealer(stub: Stub, caller: ClientIdentity, cluster: Record) -> None:
    """Refuse a caller that is no dealer of the cluster, or is revoked."""
    if not is_dealer(stub, caller, cluster):
        name = cluster["cluster"]
        who = "the base" if name == HEADS else f"its head, {cluster['head']}"
        refuse(
            "caller",
            f"objects of {name} are put by {who}, or with a certificate of {cluster['mspid']} that has "
            f"{ROLE} = {DEALER} and {CLUSTER} = {name}",
        )
    refuse_revoked_caller(stub, caller)


def find_calling_holder(stub: Stub, caller: ClientIdentity) -> Record | None:
    """The record of the holder that calls, unless it is none or revoked."""
    x = caller.get_attribute_value(ID)
    if x is None or caller.get_attribute_value(ROLE) not in HOLDERS:
        return None
    named = stub.get_state(keys.holder_id(x))
    record: Record | None = None if named is None else stub.get_state(keys.holder(named["holder"]))
    if record is None or not is_holder(caller, record) or stub.get_state(keys.revoked(record["holder"])) is not None:
        return None
    return record


def require_holder(stub: Stub, caller: ClientIdentity, name: str) -> Record:
    """The record of the holder ``name``; refuses a caller that is another, and a revoked holder."""
    record: Record | None = stub.get_state(keys.holder(name))
    if record is None or not is_holder(caller, record):
        refuse("caller", f"is not the holder {name}: its certificate has another organisation, id, cluster or key")
    refuse_revoked_holder(stub, name)
    return record


def refuse_revoked_holder(stub: Stub, name: str, where: str = "holder") -> None:
    """Refuse a holder that is revoked."""
    found = stub.get_state(keys.revoked(name))
    if found is not None:
        refuse(where, f"{name} was revoked in cycle {found['cycle']}: {found['reason']}")


def is_holder(caller: ClientIdentity, record: Record) -> bool:
    """Whether the caller's certificate is the holder's: MSP, role, cluster, id, and the key that it joined with."""
    if (
        caller.get_mspid() != record["mspid"]
        or caller.get_attribute_value(ROLE) not in HOLDERS
        or caller.get_attribute_value(CLUSTER) != record["cluster"]
        or caller.get_attribute_value(ID) != record["id"]
    ):
        return False
    present = record["public_keys"][0]
    if certificate_of(caller) == present["certificate"]:
        return True
    return bool(crypto.public_key_of(caller.certificate) == present["public_key"])  # renewed, with the same key
