"""The base's record: SetBase, GetBase. Dealers seal the secret of their audits to its key."""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, refuse

from . import keys
from .arguments import base64_bytes, url
from .cycles import found_base
from .holders import MAX_KEM_KEY, MIN_KEM_KEY
from .permissions import NO_BASE, Record


def set_base(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SetBase({kem_key, url}): {mspid, kem_key, url, time_us}. As the first call of all it founds the base."""
    members(argument, "", ("kem_key", "url"))
    base64_bytes(argument["kem_key"], "kem_key", MIN_KEM_KEY, MAX_KEM_KEY)
    record = {
        "mspid": found_base(stub, caller),
        "kem_key": argument["kem_key"],
        "url": url(argument["url"]),
        "time_us": stub.get_tx_timestamp(),
    }
    stub.put_state(keys.BASE, record)
    stub.set_event("BaseSet", record)
    return record


def get_base(stub: Stub, argument: Any) -> Record:
    """GetBase({}): {mspid, kem_key, url, time_us}; key and URL are null before SetBase."""
    members(argument, "", ())
    found: Record | None = stub.get_state(keys.BASE)
    if found is None:
        refuse("base", NO_BASE)
    return {
        "mspid": found["mspid"],
        "kem_key": found.get("kem_key"),
        "url": found.get("url"),
        "time_us": found["time_us"],
    }
