"""What an orderer's routes take and give, for its OpenAPI description."""

from __future__ import annotations

from gridledger.web.openapi import HASH, TEXT, WHOLE, Description, Operation, list_of, members, named, nullable
from gridledger.web.participation import PARTICIPATION_OPERATIONS, PARTICIPATION_SCHEMAS

_FRAMES = "application/octet-stream"

_SCHEMAS = {
    "OrdererChannel": {
        "type": "object",
        "required": ["channel", "height", "leader", "term"],
        "properties": {
            "channel": TEXT,
            "height": WHOLE,
            "last_hash": HASH,
            "leader": nullable(TEXT),
            "term": WHOLE,
            "role": TEXT,
            "config_sequence": WHOLE,
            "queued": WHOLE,
            "broken": nullable(TEXT),
            "clock": nullable(TEXT),
            "different": list_of(TEXT),
            "damaged_blocks": list_of(WHOLE),
            "voters": list_of(TEXT),
            "learners": list_of(TEXT),
            "standing": TEXT,
            "step": TEXT,
            "catching_up": list_of(members(node=TEXT, round=WHOLE, behind=WHOLE)),
        },
    }
}

_OPERATIONS = {
    "POST /channels/{name}/broadcast": Operation(
        "Order envelopes; one result for each",
        members(results=list_of({"type": "object", "required": ["status"], "properties": {"status": WHOLE}})),
        {**TEXT, "description": "frames of a 32-bit big-endian length and an envelope each"},
        media=_FRAMES,
        description="An envelope with status 200 is in the replicated, durable log.",
    ),
    "GET /channels/{name}/deliver": Operation(
        "Blocks from a number on, as they are cut", {**TEXT, "description": "frames"}, answer_media=_FRAMES
    ),
    "POST /channels/{name}/progress": Operation(
        "A peer tells how many blocks it has committed", None, members(peer=TEXT, height=WHOLE), status=204
    ),
    "GET /channels/{name}": Operation(
        "One channel's state here",
        named("OrdererChannel"),
        description="Readers hear channel, height, last_hash, leader, term, config_sequence and standing; an admin of "
        "the orderer's organisation everything.",
    ),
    "GET /channels/{name}/blocks/{number}/hash": Operation(
        "One block's hash, for comparison between orderers", members(number=WHOLE, hash=HASH)
    ),
    "GET /status": Operation("This orderer's state", {"type": "object"}),
    "POST /raft": Operation(
        "Raft messages of another orderer", None, {**TEXT, "description": "frames"}, media=_FRAMES, status=204
    ),
    "POST /raft/join": Operation(
        "An orderer announces itself, to take part in a channel; answered by the channel's leader",
        members(state=TEXT),
        members(channel=TEXT, node=TEXT, applied=WHOLE),
    ),
    "POST /admin/membership": Operation(
        "Change which incarnations of an orderer take part (admins of its organisation), at the leader",
        members(
            voters=list_of(TEXT),
            learners=list_of(TEXT),
            commit=WHOLE,
            match={"type": "object", "additionalProperties": WHOLE},
        ),
        members(channel=TEXT, change=TEXT, node=TEXT),
    ),
    "POST /admin/revocations": Operation(
        "Bring revocation lists of the orderer's own organisation, by which its admins are judged (its admins)",
        members(lists=list_of(members(issuer=HASH, number=nullable(WHOLE), this_update=WHOLE, revoked=WHOLE))),
        {**TEXT, "description": "lists in PEM"},
        media="application/x-pem-file",
        description="One of each root, in place of an older one; 409 where the one that is held is newer.",
    ),
    "POST /admin/transfer-leader": Operation(
        "Give the leadership of a channel to another orderer (admins of the orderer's organisation)",
        members(leader=nullable(TEXT)),
        members(channel=TEXT, to=TEXT),
    ),
}

DESCRIPTION = Description(
    "GridLedger orderer",
    "Broadcast and deliver of an ordering node",
    {**_OPERATIONS, **PARTICIPATION_OPERATIONS},
    {**_SCHEMAS, **PARTICIPATION_SCHEMAS},
)
