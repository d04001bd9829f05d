"""What holders say of their shares: AckShare, AckShares, AckDeleted.

A holder acknowledges by itself (AckShare), or signs a text that whoever dealt the shares hands over with those of
others (AckShares): one transaction for many of them. Both write the same key of that holder's own.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto
from gridledger.contract.arguments import items, members, refuse, sha256

from . import keys
from .arguments import base64_bytes, object_name, version_number
from .manifests import read_manifest, share_of
from .objects import read_object, refuse_abandoned, require_settler, settle_version, stored_version
from .permissions import ID, Record, refuse_revoked_holder, require_holder
from .signed_texts import MIN_SIGNATURE_BYTES, read_signed

_KEPT: Final = "share_kept"


def ack_share(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """AckShare({object, version, root, log_head}): {object, version, holder, root, log_head, time_us}.

    Reads the object, the manifest, the holder, its revocation; writes one key of the holder's own. Saying it again
    renews it.
    """
    members(argument, "", ("object", "version", "root", "log_head"))
    name, version = object_name(argument["object"]), version_number(argument["version"])
    root, log_head = sha256(argument["root"], "root"), sha256(argument["log_head"], "log_head")
    record = read_object(stub, name)
    refuse_abandoned(record)
    share = _own_share(stub, caller, read_manifest(stub, name, version))
    if root != share["root"]:
        refuse("root", f"must be that of the manifest, {share['root']}, not {root}")
    ack = {"holder": share["holder"], "root": root, "log_head": log_head, "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.ack(name, version, share["holder"]), ack)
    return {"object": name, "version": version, **ack}


def ack_shares(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """AckShares({object, version, said: [{text, signature}]}): what Settle answers, and does, with ``added``.

    ``text`` is what a holder signed: {kind: "share_kept", channel, object, version, holder, root, log_head}. Those that
    the ledger has already are passed over, whatever became of the holder since; ``added`` are the holders of the
    others. One that is wrong refuses all.
    """
    members(argument, "", ("object", "version", "said"))
    name, version = object_name(argument["object"]), version_number(argument["version"])
    record = read_object(stub, name)
    manifest = read_manifest(stub, name, version)
    said = items(argument["said"], "said", manifest["n"])
    require_settler(stub, caller, record)
    refuse_abandoned(record)
    told: dict[str, int] = {}
    added: dict[str, Record] = {}
    for i, item in enumerate(said):
        where = f"said[{i}]"
        ack, text = _kept(item, where, manifest, stub.get_channel_id())
        holder = ack["holder"]
        if holder in told:
            refuse(f"{where}.text.holder", f"{holder} is that of said[{told[holder]}] already")
        told[holder] = i
        if stub.get_state(keys.ack(name, version, holder)) is None:
            _require_signed(stub, manifest, ack, text, where)
            added[holder] = ack
    for holder, ack in added.items():
        stub.put_state(keys.ack(name, version, holder), ack | {"time_us": stub.get_tx_timestamp()})
    return settle_version(stub, manifest, added) | {"added": list(added)}


def ack_deleted(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """AckDeleted({object, version, log_head}): {object, version, holder, log_head, time_us}."""
    members(argument, "", ("object", "version", "log_head"))
    name, version = object_name(argument["object"]), version_number(argument["version"])
    log_head = sha256(argument["log_head"], "log_head")
    record = read_object(stub, name)
    share = _own_share(stub, caller, read_manifest(stub, name, version))
    if record["abandoned"] is None and version >= (stored_version(stub, name) or 1):
        refuse("version", f"{version} of {name} is not replaced by a later one that is stored: its shares are needed")
    told = {"holder": share["holder"], "log_head": log_head, "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.deleted(name, version, share["holder"]), told)
    result = {"object": name, "version": version, **told}
    stub.set_event("ShareDeleted", result)
    return result


def _own_share(stub: Stub, caller: ClientIdentity, manifest: Record) -> Record:
    """The share of the holder that calls; found by the id in its certificate, so that nothing else is read."""
    x = caller.get_attribute_value(ID)
    share: Record | None = next((share for share in manifest["shares"] if share["id"] == x), None)
    if share is None:
        refuse("caller", f"the manifest has no share for the id of its certificate ({ID})")
    require_holder(stub, caller, share["holder"])
    return share


def _kept(item: Any, where: str, manifest: Record, channel: str) -> tuple[Record, str]:
    """An acknowledgement as it is kept but for its time, and the text that was signed; refused where it is not of this
    version, or not of the root that the manifest has for its holder."""
    members(item, where, ("text", "signature"))
    base64_bytes(item["signature"], f"{where}.signature", MIN_SIGNATURE_BYTES, crypto.MAX_SIGNATURE_BYTES)
    text = read_signed(item["text"], f"{where}.text", _KEPT, ("root", "log_head"), channel)
    for field in ("object", "version"):
        if text[field] != manifest[field]:
            refuse(f"{where}.text.{field}", f"must be {manifest[field]}, not {text[field]}")
    share = share_of(manifest, text["holder"], f"{where}.text.holder")
    if text["root"] != share["root"]:
        refuse(f"{where}.text.root", f"must be that of the manifest for {share['holder']}, {share['root']}")
    ack = {"holder": share["holder"], "root": text["root"], "log_head": text["log_head"]}
    return ack | {"signature": item["signature"]}, item["text"]


def _require_signed(stub: Stub, manifest: Record, ack: Record, text: str, where: str) -> None:
    """Refuse what was not signed with the holder's present key, by a holder that is still who it was when the version
    was dealt."""
    holder = ack["holder"]
    refuse_revoked_holder(stub, holder, f"{where}.text.holder")
    record = stub.get_state(keys.holder(holder))
    share = share_of(manifest, holder)
    if record["id"] != share["id"]:
        refuse(f"{where}.text.holder", f"the id of {holder} was {share['id']} and is {record['id']} now")
    signature = base64.b64decode(ack["signature"])
    if not crypto.verify_ecdsa(record["public_keys"][0]["public_key"], text.encode(), signature):
        refuse(f"{where}.signature", f"is not {holder}'s under this text, by its present key")
