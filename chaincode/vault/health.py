"""GetHealth: how many holders of a version can be counted on."""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import members

from . import keys
from .arguments import object_name
from .audits import FAILED, PASSED, UNANSWERED, tally_of
from .manifests import read_manifest
from .objects import ABANDONED, STORED, read_object, status_of, stored_version, version_of
from .permissions import Record
from .reads import repairs_of

#: Findings after which an audit speaks against the holder no more.
_EXCUSED: Final = ("dealer_at_fault", "holder_away")


def get_health(stub: Stub, argument: Any) -> Record:
    """GetHealth({object, version?}): {object, version, status, t, spare, n, acks, live, needed, enough, ...}.

    Without ``version``: the newest one that is stored, or the newest where none is.
    """
    members(argument, "", ("object",), ("version",))
    name = object_name(argument["object"])
    record = read_object(stub, name)
    version = version_of(argument, record)
    if argument.get("version") is None:
        version = stored_version(stub, name) or version
    manifest = read_manifest(stub, name, version)
    holders = [_holder(stub, manifest, share) for share in manifest["shares"]]
    acks = len([holder for holder in holders if holder["acked"]])
    live = len([holder for holder in holders if holder["live"]])
    needed = manifest["t"] + manifest["spare"]
    return {
        "object": name,
        "version": version,
        "newest": record["version"],
        "status": version_status(stub, record, manifest, acks),
        **{field: manifest[field] for field in ("t", "spare", "n", "profile", "cluster", "cycle")},
        "acks": acks,
        "live": live,
        "needed": needed,
        "enough": live >= needed,
        "readable": live >= manifest["t"],
        "reshare_due": any(holder["revoked"] or holder["id_changed"] for holder in holders),
        "holders": holders,
    }


def version_status(stub: Stub, record: Record, manifest: Record, acks: int) -> str:
    """abandoned, stored, incomplete or open; ``acks``: how many have acknowledged."""
    if record["abandoned"] is not None:
        return ABANDONED
    if stub.get_state(keys.settled(manifest["object"], manifest["version"])) is not None:
        return STORED
    status = status_of(manifest, acks, stub.get_tx_timestamp())
    return "open" if status == STORED else status  # nobody has called Settle yet


def _holder(stub: Stub, manifest: Record, share: Record) -> Record:
    name, version, holder = manifest["object"], manifest["version"], share["holder"]
    present = stub.get_state(keys.holder(holder))
    held = repairs_of(stub, manifest, share)
    tally = tally_of(stub, name, version, holder)
    last = tally["last"]
    told = {
        "holder": holder,
        "id": share["id"],
        "acked": stub.get_state(keys.ack(name, version, holder)) is not None,
        "deleted": stub.get_state(keys.deleted(name, version, holder)) is not None,
        "revoked": stub.get_state(keys.revoked(holder)) is not None,
        "id_changed": present["id"] != share["id"],
        "bad": stub.get_state(keys.bad(name, version, holder)) is not None,
        "repairs": held["repairs"],
        "audits": {
            "left": held["audits"] - tally["used"],
            **{field: tally[field] for field in ("series", "used", PASSED, FAILED, UNANSWERED, "last")},
        },
    }
    excused = last is None or last["outcome"] == PASSED or last["finding"] in _EXCUSED
    unwell = any(told[field] for field in ("deleted", "revoked", "id_changed", "bad"))
    return told | {"live": told["acked"] and excused and not unwell}
