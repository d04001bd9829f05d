"""What a peer's routes take and give, for its OpenAPI description. docs/protocol.md says what the texts mean."""

from __future__ import annotations

from gridledger.web.openapi import (
    ANY,
    BASE64,
    HASH,
    TEXT,
    WHOLE,
    Description,
    Operation,
    list_of,
    members,
    named,
    nullable,
    query,
)
from gridledger.web.participation import PARTICIPATION_OPERATIONS, PARTICIPATION_SCHEMAS

_FRAMES = "application/octet-stream"
_LINES = "application/x-ndjson"

_SIGNED_PROPOSAL = {
    "proposal": {**TEXT, "description": "the proposal's text, a JSON text in a string: it is signed as it is"},
    "signature": {**BASE64, "description": "the creator's signature over the text: ECDSA P-256, SHA-256, low s"},
    "transient": {"type": "object", "description": "data for the chaincode that never reaches the chain"},
}
_SCHEMAS = {
    "SignedProposal": {
        "type": "object",
        "required": ["proposal", "signature"],
        "properties": _SIGNED_PROPOSAL,
        "additionalProperties": False,
    },
    "EndorseRequest": {
        "type": "object",
        "required": ["proposal", "signature"],
        "properties": {
            **_SIGNED_PROPOSAL,
            "endorsing_organisations": {
                **list_of(TEXT),
                "minItems": 1,
                "maxItems": 64,
                "description": "MSP ids of the organisations whose peers are to endorse; any, if absent",
            },
        },
        "additionalProperties": False,
    },
    "Endorsed": members(
        result={**TEXT, "description": "the result's text"},
        endorsements=list_of(members(endorser={**HASH, "description": "its certificate's"}, signature=BASE64)),
        endorsed_by=list_of(TEXT),
    ),
    "Transaction": members(
        proposal={**TEXT, "description": "the proposal's text, as it was endorsed"},
        result={**TEXT, "description": "the result's text, as the gateway gave it"},
        endorsements={**TEXT, "description": "the list of endorsements that the gateway gave, as a text"},
        signature={**BASE64, "description": "the creator's signature over the text with the three hashes"},
    ),
    "Status": members(
        tx_id=HASH,
        code={**WHOLE, "description": "0: valid; the numbers are Fabric's TxValidationCode"},
        code_name=TEXT,
        block=WHOLE,
        commit_hash=HASH,
    ),
    "Ordered": members(tx_id=HASH),
    "Response": members(status=WHOLE, message=TEXT, payload=ANY),
    "ChainInfo": members(
        channel=TEXT,
        height=WHOLE,
        last_hash=HASH,
        commit_hash=HASH,
        timestamp=WHOLE,
        transactions=WHOLE,
        config_sequence=WHOLE,
        bytes=WHOLE,
    ),
    "ChaincodeDefinition": members(sequence=WHOLE, version=TEXT, package=HASH, policy=TEXT),
    "ChaincodeEvent": members(
        chaincode=TEXT, name=TEXT, payload=ANY, tx_id=HASH, block=WHOLE, index=WHOLE, timestamp=WHOLE
    ),
    "BlockEvent": members(
        channel=TEXT,
        number=WHOLE,
        hash=HASH,
        timestamp=WHOLE,
        commit_hash=HASH,
        transactions=list_of(members(tx_id=TEXT, code=WHOLE)),
    ),
    "Block": {
        "type": "object",
        "required": ["header", "hash", "commit_hash", "transactions"],
        "properties": {
            "header": {"type": "object"},
            "hash": HASH,
            "commit_hash": HASH,
            "orderer": nullable(TEXT),
            "transactions": list_of({"type": "object"}),
        },
    },
    "CommittedHeader": members(
        header={**TEXT, "description": "the block header's text"},
        signature=nullable(members(orderer=HASH, signature=BASE64)),
        commit_hash=HASH,
    ),
    "ProvedTransaction": members(
        tx_id=HASH,
        block=WHOLE,
        index=WHOLE,
        code=WHOLE,
        code_name=TEXT,
        envelope=TEXT,
        proof=members(
            header={**TEXT, "description": "the block header's text"},
            count={**WHOLE, "description": "transactions in the block"},
            path=list_of(HASH),
            signature=nullable(members(orderer=HASH, signature=BASE64)),
        ),
    ),
    "FoundTransaction": members(
        tx_id={**TEXT, "description": "empty where the envelope cannot be read"},
        block=WHOLE,
        index=WHOLE,
        code=WHOLE,
        code_name=TEXT,
        timestamp={**WHOLE, "description": "the block's time, microseconds since 1970"},
        kind={"type": "string", "enum": ["transaction", "config", "unreadable"]},
        mspid={**nullable(TEXT), "description": "null where the channel did not know the creator"},
        creator={**nullable(TEXT), "description": "the common name"},
        certificate={**nullable(HASH), "description": "the fingerprint of the creator's certificate"},
        chaincode=nullable(TEXT),
        function=nullable(TEXT),
        time={**nullable(WHOLE), "description": "the client's time, microseconds since 1970"},
    ),
    "HistoryEntry": members(
        tx_id=HASH, value=ANY, deleted={"type": "boolean"}, block=WHOLE, index=WHOLE, timestamp=WHOLE
    ),
}

_OPERATIONS = {
    "POST /gateway/endorse": Operation(
        "Collect endorsements of a proposal",
        named("Endorsed"),
        named("EndorseRequest"),
        description="Runs the chaincode on as many peers as its policy needs. Nothing is ordered.",
    ),
    "POST /gateway/submit": Operation(
        "Have a transaction ordered and committed",
        {"anyOf": [named("Status"), named("Ordered")]},
        {"anyOf": [named("Transaction"), {"type": "object", "description": "a config update"}]},
        description="A transaction that is on the ledger already is not ordered again: its status is told.",
        parameters=[
            query("wait", {"type": "string", "enum": ["commit", "order"], "default": "commit"}, "until when to wait")
        ],
    ),
    "POST /gateway/evaluate": Operation(
        "Run a proposal on one peer, without effect",
        named("Response"),
        named("SignedProposal"),
        parameters=[
            query(
                "forward",
                {"type": "string", "enum": ["yes", "no"], "default": "yes"},
                "whether another peer may run it",
            )
        ],
    ),
    "POST /gateway/calls": Operation(
        "Many calls over one request",
        {**TEXT, "description": "frames"},
        {**TEXT, "description": "frames: docs/protocol.md, Calls"},
        media=_FRAMES,
        answer_media=_FRAMES,
    ),
    "GET /channels": Operation(
        "Names of this peer's channels that the caller may read", members(channels=list_of(TEXT))
    ),
    "GET /channels/{name}": Operation("How far the channel is here", named("ChainInfo")),
    "GET /channels/{name}/config": Operation(
        "The channel's configuration, its text",
        {"type": "object"},
        description="With `format=block` the newest config block's frames as `application/octet-stream`.",
    ),
    "GET /channels/{name}/peers": Operation(
        "The channel's peers; for admins of the peer's organisation, which of them this gateway leaves out",
        members(peers={"type": "object", "additionalProperties": members(mspid=TEXT, url=TEXT, left_out=ANY)}),
    ),
    "GET /channels/{name}/chaincodes/{chaincode}": Operation(
        "A chaincode's definition: the sequence that a proposal names, the policy", named("ChaincodeDefinition")
    ),
    "GET /channels/{name}/blocks/{number}": Operation(
        "A block",
        named("Block"),
        description="With `format=raw` the block's frames (docs/protocol.md) as `application/octet-stream`.",
    ),
    "GET /channels/{name}/blocks/by-hash/{block_hash}": Operation(
        "A block by the hash of its header",
        named("Block"),
        description="With `format=raw` the block's frames (docs/protocol.md) as `application/octet-stream`.",
    ),
    "GET /channels/{name}/headers": Operation(
        "Headers of consecutive blocks, without their transactions",
        members(items=list_of(named("CommittedHeader")), height=WHOLE),
        description="From block `from` on, at most `limit` of them, 1,000 or 1 MiB; none past the newest block.",
    ),
    "GET /channels/{name}/transactions": Operation(
        "Search transactions, the newest first",
        members(
            items=list_of(named("FoundTransaction")),
            bookmark={**nullable(TEXT), "description": "for the next page; null: this is the last one"},
            reached={**WHOLE, "description": "the block down to which the search has come"},
            indexed={**WHOLE, "description": "how many blocks the peer's index has"},
            height={**WHOLE, "description": "how many blocks the peer has"},
        ),
        description=(
            "Those that fit all filters: `mspid`, `creator` (common name), `certificate` (fingerprint), `chaincode`, "
            "`function`, `code` (a name, a number, or `invalid` for all but VALID), `kind` (`transaction`, `config`, "
            "`unreadable`), `from` <= block's time < `to` (microseconds since 1970). Or, by itself, `prefix`: the "
            "beginning of the id, in the order of the ids. At most `limit` (50 unless it is given, 1,000 at most); a "
            "page may have fewer, none even, and a bookmark: a request has a bound on what it looks at."
        ),
    ),
    "GET /channels/{name}/transactions/{tx_id}": Operation(
        "A transaction with its validation code and its Merkle proof", named("ProvedTransaction")
    ),
    "GET /channels/{name}/transactions/{tx_id}/status": Operation(
        "A transaction's status", named("Status"), description="Waits up to `wait_s` seconds for its commit."
    ),
    "GET /channels/{name}/history/{namespace}": Operation(
        "The committed writes of a key, the newest first",
        members(
            items=list_of(named("HistoryEntry")),
            bookmark={**nullable(TEXT), "description": "for the next page; null: this is the last one"},
        ),
        description="At most `limit` (100 unless it is given, 1,000 at most), and not much more than 16 MiB of values.",
    ),
    "GET /channels/{name}/events/blocks": Operation(
        "Committed blocks as they come, one JSON text a line", named("BlockEvent"), answer_media=_LINES
    ),
    "GET /channels/{name}/events/full-blocks": Operation(
        "Committed blocks with their envelopes as they come",
        {**TEXT, "description": "frames: docs/protocol.md, FullBlockEvent"},
        answer_media=_FRAMES,
    ),
    "GET /channels/{name}/events/chaincode": Operation(
        "Events of valid transactions as they come, one JSON text a line", named("ChaincodeEvent"), answer_media=_LINES
    ),
    "GET /status": Operation("This peer's state", {"type": "object"}),
    "GET /packages": Operation("Installed chaincode packages", members(packages=list_of({"type": "object"}))),
    "POST /packages": Operation(
        "Install a chaincode package (admins of the peer's organisation)",
        members(id=HASH),
        {**TEXT, "description": "a .tar.gz as `gridledger chaincode pack` writes it"},
        media="application/gzip",
        status=201,
        description="A host loads it first: 400 `CHAINCODE_NOT_LOADED` says why it cannot.",
    ),
    "POST /admin/revocations": Operation(
        "Bring revocation lists of the peer's own organisation, by which its admins are judged (its admins)",
        members(lists=list_of(members(issuer=HASH, number=nullable(WHOLE), this_update=WHOLE, revoked=WHOLE))),
        {**TEXT, "description": "lists in PEM"},
        media="application/x-pem-file",
        description="One of each root, in place of an older one; 409 where the one that is held is newer.",
    ),
}

DESCRIPTION = Description(
    "GridLedger peer",
    "Gateway, queries, events and operations of a peer",
    {**_OPERATIONS, **PARTICIPATION_OPERATIONS},
    {**_SCHEMAS, **PARTICIPATION_SCHEMAS},
)
