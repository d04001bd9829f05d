"""The form of a manifest: what a dealer hands over of an object's shares, which holders are called by it, and its size.

The shares themselves never stand on the ledger. What does: how long they are and to which hashes they lead.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ContractError, Stub, policy
from gridledger.contract.arguments import choice, integer, items, members, refuse, sha256, shown, text

from . import keys
from .arguments import (
    CYCLE_LIMIT,
    MAX_HOLDERS,
    PROFILES,
    base64_bytes,
    cluster_name,
    holder_id,
    holder_name,
    object_name,
    refuse_weak,
)
from .permissions import HEADS, Record, refuse_revoked_holder

MAX_PART_BYTES: Final = 16 * 1024 * 1024
MAX_PARTS: Final = 4
MAX_LENGTH: Final = MAX_PARTS * MAX_PART_BYTES
#: Of profile `article` with t = 2: 66 bytes for 64, four parts, and room for what frames them.
MAX_SHARE_BYTES: Final = 72 * 1024 * 1024
MAX_AUDITS: Final = 1024
#: The dealer's secret, sealed to the base; it may hold all commitments.
MAX_SECRET_BYTES: Final = 135_000
MAX_READERS: Final = 2048
MAX_META: Final = 32
MAX_META_TEXT: Final = 128
#: Whole numbers that every reader of JSON takes as they are.
MAX_META_NUMBER: Final = 2**53

LAYERS: Final = (1, 2)
OF_VERSION: Final = (
    *("object", "cycle", "profile", "t", "n", "length", "head", "parts"),
    *("shares", "audits", "audit_secret"),
)
OF_OBJECT: Final = ("layer", "cluster", "readers")
_HEAD: Final = ("channel", "object", "version", "cycle", "layer", "cluster", "profile", "t", "ids", "length")
_SHARE: Final = ("holder", "id", "bytes", "root", "key_sha256", "audit_root")


def read_object_part(argument: Record) -> Record:
    """What holds for all versions: {object, layer, cluster, readers, meta}."""
    layer = integer(argument["layer"], "layer", LAYERS[0], LAYERS[-1])
    cluster = cluster_name(argument["cluster"])
    if (layer == 1) != (cluster == HEADS):
        refuse("layer", f"is 1 for the cluster {HEADS} and 2 for all others, not {layer} for {cluster}")
    return {
        "object": object_name(argument["object"]),
        "layer": layer,
        "cluster": cluster,
        "readers": _readers(argument["readers"]),
        "meta": _meta(argument.get("meta", {})),
    }


def read_version_part(argument: Record, fixed: Record, version: int, channel: str) -> Record:
    """A version's manifest as it is handed over, in one order. ``fixed``: the object's part."""
    profile = choice(argument["profile"], "profile", PROFILES)
    manifest = {
        "object": fixed["object"],
        "version": version,
        "cycle": integer(argument["cycle"], "cycle", 1, CYCLE_LIMIT - 1),
        "layer": fixed["layer"],
        "cluster": fixed["cluster"],
        "profile": profile,
        "t": integer(argument["t"], "t", 2, MAX_HOLDERS - 1),
        "n": integer(argument["n"], "n", 3, MAX_HOLDERS),
        "length": integer(argument["length"], "length", 0, MAX_LENGTH),
        "parts": _parts(argument["parts"], argument["length"]),
        "shares": _shares(argument["shares"], profile),
        "audits": integer(argument["audits"], "audits", 1, MAX_AUDITS),
        "audit_secret": secret(argument["audit_secret"]),
    }
    if manifest["n"] != len(manifest["shares"]):
        refuse("n", f"must be the number of shares, {len(manifest['shares'])}, not {manifest['n']}")
    return manifest | {"head": _head(argument["head"], manifest, channel)}


def check_against_cycle(stub: Stub, manifest: Record, cycle: Record, cluster: Record) -> None:
    """Refuse a manifest of another cycle, or with t, n or holders that are not the cluster's in this cycle."""
    if manifest["cycle"] != cycle["cycle"]:
        refuse("cycle", f"must be the present one, {cycle['cycle']}, not {manifest['cycle']}")
    if manifest["t"] != cluster["t"]:
        refuse("t", f"must be that of {cluster['cluster']} in this cycle, {cluster['t']}, not {manifest['t']}")
    least = cluster["t"] + cluster["spare"] + 1
    if manifest["n"] < least:
        refuse("n", f"must be {least} or more: t + spare, and one that may be away; not {manifest['n']}")
    active = {holder["holder"]: holder["id"] for holder in cluster["holders"]}
    for i, share in enumerate(manifest["shares"]):
        name = share["holder"]
        if name not in active:
            refuse(f"shares[{i}].holder", f"{name} is no active holder of {cluster['cluster']} in this cycle")
        if share["id"] != active[name]:
            refuse(f"shares[{i}].id", f"the id of {name} in this cycle is {active[name]}, not {share['id']}")
        refuse_revoked_holder(stub, name, f"shares[{i}].holder")
        if manifest["profile"] == "article":
            refuse_weak(int(share["id"]), manifest["t"], f"shares[{i}].id: that of {name}")


def read_share(value: Any, where: str, profile: str) -> Record:
    """One share's entry."""
    members(value, where, _SHARE)
    if profile != "sealed" and value["key_sha256"] is not None:
        refuse(f"{where}.key_sha256", f"must be null: shares of profile {profile} have no key share")
    return {
        "holder": holder_name(value["holder"], f"{where}.holder"),
        "id": holder_id(value["id"], f"{where}.id"),
        "bytes": integer(value["bytes"], f"{where}.bytes", 0, MAX_SHARE_BYTES),
        "root": sha256(value["root"], f"{where}.root"),
        "key_sha256": sha256(value["key_sha256"], f"{where}.key_sha256") if profile == "sealed" else None,
        "audit_root": sha256(value["audit_root"], f"{where}.audit_root"),
    }


def secret(value: Any) -> str:
    """The audits' secret, sealed to the base."""
    base64_bytes(value, "audit_secret", 1, MAX_SECRET_BYTES)
    return str(value)


def read_manifest(stub: Stub, name: str, version: int) -> Record:
    """A version's manifest; refused where there is none."""
    found: Record | None = stub.get_state(keys.version(name, version))
    if found is None:
        refuse("version", f"{name} has no version {version}")
    return found


def share_of(manifest: Record, holder: str, where: str = "holder") -> Record:
    """The entry of a holder's share; refused where the holder has none."""
    found: Record | None = next((share for share in manifest["shares"] if share["holder"] == holder), None)
    if found is None:
        refuse(where, f"{holder} has no share of {manifest['object']}, version {manifest['version']}")
    return found


def _parts(value: Any, length: int) -> list[Record]:
    parts: list[Record] = []
    for i, item in enumerate(items(value, "parts", MAX_PARTS)):
        where = f"parts[{i}]"
        members(item, where, ("length", "cipher_sha256"))
        parts.append(
            {
                "length": integer(item["length"], f"{where}.length", 0, MAX_PART_BYTES),
                "cipher_sha256": sha256(item["cipher_sha256"], f"{where}.cipher_sha256"),
            }
        )
        if len(value) > 1 and parts[-1]["length"] == 0:
            refuse(f"{where}.length", "is 0; only an object of 0 bytes has an empty part")
    total = 0
    for part in parts:
        total += part["length"]
    if total != length:
        refuse("length", f"must be that of all parts together, {total}, not {length}")
    return parts


def _shares(value: Any, profile: str) -> list[Record]:
    shares: list[Record] = []
    holders: dict[str, int] = {}
    ids: dict[str, int] = {}
    for i, item in enumerate(items(value, "shares", MAX_HOLDERS)):
        where = f"shares[{i}]"
        share = read_share(item, where, profile)
        for field, seen in (("holder", holders), ("id", ids)):
            if share[field] in seen:
                refuse(f"{where}.{field}", f"{share[field]} has share {seen[share[field]]} already")
            seen[share[field]] = i
        if shares and share["bytes"] != shares[0]["bytes"]:
            refuse(f"{where}.bytes", f"shares of one object are of one size, {shares[0]['bytes']}")
        shares.append(share)
    return shares


def _head(value: Any, manifest: Record, channel: str) -> Record:
    """The associated data of the object's encryption, but for the part's number: it says what the manifest says."""
    members(value, "head", _HEAD)
    ids = [share["id"] for share in manifest["shares"]]
    expected = {"channel": channel, "ids": ids}
    head = {field: expected[field] if field in expected else manifest[field] for field in _HEAD}
    for field, told in head.items():
        if type(value[field]) is not type(told) or value[field] != told:
            refuse(f"head.{field}", f"must be {shown(told)}, as the manifest says, not {shown(value[field])}")
    return head


def _readers(value: Any) -> str:
    if type(value) is not str or len(value) > MAX_READERS:
        refuse("readers", f"must be a policy of at most {MAX_READERS} characters, not {shown(value)}")
    try:
        policy.parse(value)
    except ContractError as error:
        refuse("readers", error.message)
    return value


def _meta(value: Any) -> Record:
    """What the dealer says of the object: names and texts, whole numbers, true, false or null."""
    if type(value) is not dict or len(value) > MAX_META:
        refuse("meta", f"must be an object of at most {MAX_META} members, not {shown(value)}")
    for name, item in value.items():
        where = "meta." + shown(text(name, "meta", MAX_META_TEXT))[1:-1]
        if type(item) is str:
            text(item, where, MAX_META_TEXT)
        elif type(item) is int:
            integer(item, where, -MAX_META_NUMBER, MAX_META_NUMBER)
        elif item is not None and type(item) is not bool:
            refuse(where, f"must be a string, a whole number, true, false or null, not {shown(item)}")
    return dict(value)
