"""What the routes of a light node give, for its OpenAPI description. docs/forensics-reference.md explains them."""

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

_BOOLEAN: Schema = {"type": "boolean"}
_SCHEMAS: dict[str, Schema] = {
    "Told": members(device=TEXT, kind=TEXT, time_us=WHOLE, body=ANY),
    "Recorded": members(device=TEXT, seq=WHOLE, recorded=_BOOLEAN),
    "Event": members(
        seq=WHOLE,
        device=TEXT,
        kind=TEXT,
        time_us=WHOLE,
        body=TEXT,
        body_hash=HASH,
        sealed=TEXT,
        status=TEXT,
        chain_seq=WHOLE,
        tx=TEXT,
        block=WHOLE,
        why=TEXT,
    ),
    "Events": members(items=list_of(named("Event")), next=nullable(WHOLE)),
    "Proof": members(
        device=TEXT,
        channel=TEXT,
        seq=WHOLE,
        transaction=ANY,
        commit_hash=HASH,
        anchor=nullable(members(record=ANY, index=WHOLE, path=list_of(HASH))),
    ),
    "Body": members(device=TEXT, seq=WHOLE, body_hash=HASH, salt=TEXT, body=TEXT),
    "Device": members(
        device=TEXT,
        type=TEXT,
        section=TEXT,
        site=TEXT,
        vendor=TEXT,
        model=TEXT,
        proof_key=TEXT,
        certificate=TEXT,
        certificate_sha256=HASH,
        proof=TEXT,
        registered=TEXT,
        last_seq=WHOLE,
        on_chain_seq=WHOLE,
        waiting=WHOLE,
        state=TEXT,
        why=nullable(TEXT),
        foreign=WHOLE,
        set_aside=WHOLE,
    ),
    "Rotation": members(device=TEXT, proof_key=TEXT, certificate=TEXT, proof_old=TEXT, proof_new=TEXT),
    "Row": members(row=TEXT, index=WHOLE, count=WHOLE, path=list_of(HASH), root=HASH),
    "Rows": members(
        root=HASH,
        count=WHOLE,
        rows=list_of(members(index=WHOLE, row=TEXT, path=list_of(HASH))),
        next=nullable(WHOLE),
    ),
    "Why": members(why=TEXT),
}

_OPERATIONS = {
    "POST /events": Operation(
        "Record an event, or up to 64 in a list; answered once it is on the disk",
        {"anyOf": [named("Recorded"), members(items=list_of(named("Recorded")))]},
        body={"anyOf": [named("Told"), list_of(named("Told"))]},
        description="From the node's own organisation: `forensics.role` lightnode or operator, or the device itself. "
        "An event that was sent before, with its `time_us`, is answered as it was then.",
    ),
    "GET /events": Operation(
        "A device's events that the ring has, from a seq on, and what became of each", named("Events")
    ),
    "GET /events/{seq}/proof": Operation(
        "The proof of an event: its transaction with the Merkle path, the header, the commit hash, and the anchor that "
        "covers the block, if there is one",
        named("Proof"),
        description="For readers of the section.",
    ),
    "GET /events/{seq}/body": Operation(
        "The body of an event that stays off the ledger; for the node's own organisation, and those of its setting "
        "`body_readers`",
        named("Body"),
    ),
    "DELETE /events/{seq}/body": Operation(
        "Delete such a body; for admins and registrars of the node's organisation",
        members(device=TEXT, seq=WHOLE, deleted=_BOOLEAN),
    ),
    "GET /batches/{seq}/file": Operation(
        "The Parquet file of a batch's rows; for readers of the section",
        ANY,
        answer_media="application/vnd.apache.parquet",
    ),
    "GET /batches/{seq}/rows": Operation(
        "A batch's rows of a span of time, each with its Merkle path to the batch's root; for readers of the section",
        named("Rows"),
        description="From the index `start` on, at most `limit` rows; `next` is the index to go on with.",
    ),
    "GET /batches/{seq}/rows/{index}": Operation(
        "A row of a batch, and its Merkle path to the batch's root; for readers of the section", named("Row")
    ),
    "GET /devices": Operation(
        "The node's devices: what registers them, and how their events get to the ledger",
        members(items=list_of(named("Device"))),
    ),
    "POST /devices/{device}/rotation": Operation(
        "Make a new key for a device, and prove it by both keys; for admins and registrars", named("Rotation")
    ),
    "POST /devices/{device}/set-aside": Operation(
        "Give up a device's events that wait: they are kept in a file; for admins and registrars",
        members(device=TEXT, set_aside=WHOLE),
        body=named("Why"),
    ),
}

DESCRIPTION = Description(
    "GridLedger light node", "Records what devices say, brings it to the ledger, and proves it", _OPERATIONS, _SCHEMAS
)
