"""The routes of an agent of anchors: how far each channel is, and proofs that a block is under an anchor."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.errors import NotFoundError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.protocol.fields import integer_of, object_of, text_of
from gridledger.web import WholeNumber, json_response, read_body
from gridledger.web.openapi import HASH, TEXT, WHOLE, Description, Operation, Schema, list_of, members, named, nullable
from services.anchor.agent import Agent
from services.anchor.asking import ROUNDS, STATEMENTS
from services.anchor.chain import PeerChain
from services.anchor.collecting import read_round, signers_of

ROLE, AGENT = "anchor.role", "agent"
_MAX_ASKED = 4 * 1024

_SCHEMAS: dict[str, Schema] = {
    "Channel": members(
        channel=TEXT,
        height={**WHOLE, "description": "blocks that the agent's own peer has"},
        size={**WHOLE, "description": "blocks that are anchored"},
        lag_blocks=WHOLE,
        lag_s={"type": "number", "description": "age of the oldest block that is not anchored"},
        forks={**WHOLE, "description": "sizes at which organisations attested different heads"},
        members=nullable(list_of(TEXT)),
        alarms={"type": "object", "additionalProperties": TEXT, "description": "what is wrong, by kind"},
    ),
    "Section": members(
        section=TEXT,
        due={**WHOLE, "description": "devices to be looked at"},
        told={**WHOLE, "description": "suspensions and keys that this agent has told the section of"},
        alarms={"type": "object", "additionalProperties": TEXT},
    ),
    "Asked": members(
        channel=TEXT,
        size={**WHOLE, "description": "of how many blocks the head is asked for"},
        base={**WHOLE, "description": "blocks that are anchored"},
    ),
    "Statement": members(
        mspid=TEXT,
        channel=TEXT,
        size=WHOLE,
        base=WHOLE,
        root=HASH,
        header_hash=HASH,
        commit_hash=HASH,
        signature={**TEXT, "description": "ECDSA with the key that the agent has on record, DER in hexadecimal"},
    ),
    "Signed": members(mspid=TEXT, signature=TEXT),
    "SignedHead": members(root=HASH, header_hash=HASH, commit_hash=HASH, signatures=list_of(named("Signed"))),
    "Round": members(
        channel=TEXT, size=WHOLE, base=WHOLE, consistency=list_of(HASH), heads=list_of(named("SignedHead"))
    ),
    "Recorded": members(
        channel=TEXT,
        size=WHOLE,
        anchored={"type": "boolean"},
        forked={"type": "boolean"},
        refused=nullable(TEXT),
    ),
    "Proof": members(channel=TEXT, block=WHOLE, size=WHOLE, leaf_hash=HASH, path=list_of(HASH), root=HASH),
}
_OPERATIONS = {
    "GET /": Operation(
        "How far the channels of the agent's organisation are anchored, and what is wrong",
        members(
            mspid=TEXT,
            anchoring_channel=TEXT,
            channels=list_of(named("Channel")),
            devices=list_of(named("Section")),
        ),
    ),
    "POST /statements": Operation(
        "What the agent's organisation says of a channel at a size, signed",
        named("Statement"),
        body=named("Asked"),
        description="For agents of the channel's organisations, as often as rounds are due.",
    ),
    "POST /rounds": Operation(
        "Hand a round to the contract, with those of other channels that come at once",
        named("Recorded"),
        body=named("Round"),
        description="For agents whose organisation has signed in it. Answers when the transaction is final.",
    ),
    "GET /channels/{name}/proofs/{block}": Operation(
        "The path from a block's leaf to the head of the tree of `size` blocks",
        named("Proof"),
        description="Compare the root with the anchor of that size on the anchoring channel.",
    ),
}
DESCRIPTION = Description(
    "GridLedger anchor agent", "How far channels are anchored, and proofs of blocks", _OPERATIONS, _SCHEMAS
)


def make_router(agent: Agent) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()

    @router.get("/")
    async def state(request: Request) -> Response:
        del request
        return json_response(jsontext.dumps(agent.state()))

    @router.get("/channels/{name}/proofs/{block}")
    async def proof(
        name: str,
        block: Annotated[WholeNumber, Path()],
        request: Request,
        size: Annotated[WholeNumber, Query()],
    ) -> Response:
        del request
        return json_response(jsontext.dumps(_proof(agent.chain(name), block, size)))

    @router.post(STATEMENTS)
    async def statement(request: Request) -> Response:
        asker = _agent_of(request.state.caller)
        asked = object_of(jsontext.loads(await read_body(request, max_bytes=_MAX_ASKED)), "what is asked for")
        size, base = integer_of(asked, "size", minimum=1), integer_of(asked, "base")
        said = await agent.statement(asker, text_of(asked, "channel"), size, base)
        return json_response(jsontext.dumps(said.to_dict()))

    @router.post(ROUNDS)
    async def round_(request: Request) -> Response:
        caller = _agent_of(request.state.caller)
        told = read_round(await read_body(request))
        if caller not in signers_of(told):
            raise PermissionDeniedError(f"{caller} has signed nothing of this round")
        return json_response(jsontext.dumps(await agent.hand_over(told)))

    return router


def _agent_of(caller: Identity) -> str:
    """The organisation of an agent; :class:`PermissionDeniedError` for everybody else."""
    if caller.attributes.get(ROLE) != AGENT:
        raise PermissionDeniedError(f"only agents ask this: they have certificates with {ROLE}={AGENT}")
    return caller.mspid


def _proof(chain: PeerChain, block: int, size: int) -> dict[str, Any]:
    tree = chain.tree
    if not block < size <= tree.size:
        raise NotFoundError(
            f"there is no path from block {block} to the head of {size} blocks: the agent has {tree.size} blocks",
            height=tree.size,
        )
    return {
        "channel": chain.channel,
        "block": block,
        "size": size,
        "leaf_hash": chain.leaf(block).hex(),
        "path": [item.hex() for item in tree.inclusion(block, size)],
        "root": tree.root(size).hex(),
    }
