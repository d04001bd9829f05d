"""What the routes of a process of holders give, for its OpenAPI description. docs/vault.md explains them."""

from __future__ import annotations

from gridledger.web.openapi import (
    ANY,
    HASH,
    TEXT,
    WHOLE,
    Description,
    Operation,
    Schema,
    list_of,
    members,
    named,
    nullable,
)

_SHARE = "/holders/{holder}/objects/{object_name}/versions/{version}"
_BYTES = "application/octet-stream"

_SCHEMAS: dict[str, Schema] = {
    "Held": members(object=TEXT, version=WHOLE, bytes=WHOLE, root=HASH),
    "Holder": members(
        holder=TEXT,
        cluster=nullable(TEXT),
        id=nullable(TEXT),
        kem=TEXT,
        count=WHOLE,
        bytes=WHOLE,
        log_head=HASH,
        shares=list_of(named("Held")),
        bookmark=nullable(TEXT),
    ),
    "Signed": members(text=TEXT, signature=TEXT, certificate=TEXT),
    "Stored": members(root=HASH, log_head=HASH, commitments=list_of(HASH)),
    "StoredAndSigned": members(root=HASH, log_head=HASH, commitments=list_of(HASH), signed=named("Signed")),
    "ServeRequest": members(read=TEXT, kem_key=TEXT),
    "ContributeRequest": members(read=TEXT, target=TEXT, contributors=list_of(TEXT)),
}

_OPERATIONS = {
    "GET /holders/{holder}": Operation(
        "What a holder has, a page of its shares; for the base and for admins of its organisation", named("Holder")
    ),
    f"POST {_SHARE}/share": Operation(
        "Take a share, sealed by HPKE to the holder's key; answered once it is on the disk and acknowledged",
        {"anyOf": [named("Stored"), named("StoredAndSigned")]},
        body=ANY,
        media=_BYTES,
        description="From who put the object, or from the base. The holder waits a little for its manifest. With "
        "`ack=signed` it does not acknowledge on the ledger: it answers what it signed, for AckShares.",
    ),
    f"POST {_SHARE}/serve": Operation(
        "Serve the share under a committed read: two frames, what the holder signed, and the share sealed to `kem_key`",
        ANY,
        body=named("ServeRequest"),
        answer_media=_BYTES,
        description="In a read with the purpose `repair` a share of the profile `sealed` is served without its key.",
    ),
    f"POST {_SHARE}/contribute": Operation(
        "Contribute to the repair of another holder's share: two frames, what was signed, and what is sealed to it",
        ANY,
        body=named("ContributeRequest"),
        answer_media=_BYTES,
    ),
    f"POST {_SHARE}/rebuild": Operation(
        "Put the holder's own share together again of t contributions and the rebuilt fragments",
        named("Stored"),
        body=ANY,
        media=_BYTES,
    ),
}

DESCRIPTION = Description(
    "GridLedger holders of the vault", "What holders of shares take and serve", _OPERATIONS, _SCHEMAS
)
