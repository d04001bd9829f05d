"""What the bridge's routes take and give, for its OpenAPI description. docs/rest.md explains them."""

from __future__ import annotations

from pydantic import BaseModel

from gridledger.web.openapi import (
    ANY,
    BASE64,
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
from services.rest.bodies import Call
from services.rest.voltage_stability import Initial, Measurement

_STATUS = {"tx_id": HASH, "code": WHOLE, "code_name": TEXT, "block": WHOLE, "commit_hash": HASH}
_PAIRS = list_of({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})


def _of(body: type[BaseModel]) -> Schema:
    schema = body.model_json_schema()
    schema.pop("title", None)
    return schema


_SCHEMAS = {
    "Call": _of(Call),
    "Initial": _of(Initial),
    "Measurement": _of(Measurement),
    "Submitted": members(payload=ANY, identity=TEXT, **_STATUS),
    "Transaction": {
        "type": "object",
        "required": ["tx_id", "block", "index", "code", "code_name", "envelope", "proof"],
        "properties": {
            **{name: _STATUS[name] for name in ("tx_id", "code", "code_name", "block")},
            "index": WHOLE,
            "envelope": TEXT,
            "proof": members(
                header=TEXT,
                count=WHOLE,
                path=list_of(HASH),
                signature=nullable(members(orderer=HASH, signature=BASE64)),
            ),
        },
    },
    "Planned": members(
        groups={"type": "object", "additionalProperties": list_of(WHOLE)},
        thresholds={"type": "object", "additionalProperties": {"type": "number"}},
        transactions=list_of(members(record=TEXT, channel=TEXT, tx_id=HASH, code_name=TEXT)),
    ),
    "Judged": members(
        time=WHOLE,
        vsi={**_PAIRS, "description": "rows of bus number and index"},
        injections={**_PAIRS, "description": "rows of bus number and MVAr to inject; negative: to take back"},
        standing={**_PAIRS, "description": "rows of bus number and MVAr that stands, of groups with `release`"},
        alarms=list_of(TEXT),
        groups={
            "type": "object",
            "description": "by group: result and status, standing where the record has `release`; or error",
        },
    ),
}

_OPERATIONS = {
    "POST /channels/{channel}/chaincodes/{chaincode}/submit": Operation(
        "Endorse, order and commit a transaction",
        named("Submitted"),
        named("Call"),
        description="Answers once the commit is durable and the transaction valid.",
    ),
    "POST /channels/{channel}/chaincodes/{chaincode}/evaluate": Operation(
        "Run a function on one peer, without effect", members(payload=ANY), named("Call")
    ),
    "GET /channels/{channel}/transactions/{tx_id}": Operation(
        "A transaction, its validation code and its Merkle proof, which the bridge has verified", named("Transaction")
    ),
    "GET /channels/{channel}/chaincodes/{chaincode}/events": Operation(
        "Events of valid transactions as they come: server-sent events",
        TEXT,
        description="Continues behind the event whose id comes as `Last-Event-ID`.",
        answer_media="text/event-stream",
    ),
    "POST /initial": Operation(
        "Put the groups of a solved MATPOWER case on the ledger (extra `feeder`)", named("Planned"), named("Initial")
    ),
    "POST /VSI": Operation(
        "Judge the voltage stability of each group (extra `feeder`)", named("Judged"), named("Measurement")
    ),
    "GET /": Operation("This description as a page", TEXT, answer_media="text/html", open=True),
    "GET /openapi.json": Operation("This description", {"type": "object"}, open=True),
}

DESCRIPTION = Description(
    "GridLedger REST bridge",
    "Transactions by plain HTTP, as identities that the bridge holds",
    _OPERATIONS,
    _SCHEMAS,
    bearer=True,
)
