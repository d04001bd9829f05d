"""What the page's routes give, for its OpenAPI description. docs/relay.md explains them."""

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
    "Block": members(
        **{
            "1_Index": WHOLE,
            "2_Estampa_de_tiempo": TEXT,
            "3_proof": WHOLE,
            "4_previous_hash": TEXT,
            "5_transactions": list_of(ANY),
        }
    ),
    "Chain": members(**{"1_length": WHOLE, "2_chain": list_of(named("Block"))}),
    "Validity": {
        "type": "object",
        "required": ["valid", "length", "from", "checked", "fault"],
        "properties": {
            "valid": _BOOLEAN,
            "length": WHOLE,
            "from": WHOLE,
            "checked": WHOLE,
            "fault": nullable(TEXT),
            "head": nullable(HASH),
        },
    },
    "Nodes": members(
        server=TEXT,
        relays=list_of(members(relay=TEXT, newest=nullable(WHOLE), spool=nullable(WHOLE), fault=nullable(TEXT))),
        passed_over=list_of(members(operator=TEXT, relays=WHOLE, why=TEXT)),
        nodes=list_of(members(name=TEXT, url=TEXT, up=_BOOLEAN, status=nullable(TEXT), why=nullable(TEXT))),
    ),
    "Latest": members(
        relays=list_of(members(relay=TEXT, name=TEXT, substation=TEXT, silence=ANY, captures=list_of(ANY)))
    ),
}

_OPERATIONS = {
    "GET /": Operation(
        "Nodes, latest captures and verdicts, as a page for people", TEXT, answer_media="text/html; charset=utf-8"
    ),
    "GET /get_chain": Operation(
        "The article's chain of a relay that this server follows, made from the ledger",
        named("Chain"),
        description="Without `relay` it is the first one's by id. `1_length` is the whole chain's; `2_chain` has at "
        "most `limits.max_page` blocks from `from` on.",
    ),
    "GET /is_valid": Operation(
        "Whether blocks of such a chain hold: proofs, hashes, the ledger's texts; without `from` the newest ones",
        named("Validity"),
    ),
    "GET /nodes": Operation("How this server is, and which others are up", named("Nodes")),
    "GET /captures/latest": Operation(
        "The latest captures with texts and verdicts, the newest first; without `relay` those of all relays read here",
        named("Latest"),
    ),
}

DESCRIPTION = Description(
    "GridLedger relay server", "What one server of relay monitoring reads and sees", _OPERATIONS, _SCHEMAS
)
