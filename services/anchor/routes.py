"""The routes of an agent of anchors: how far each channel is, and proofs that a block is under an anchor."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.errors import NotFoundError
from gridledger.web import WholeNumber, json_response
from gridledger.web.openapi import HASH, TEXT, WHOLE, Description, Operation, Schema, list_of, members, named, nullable
from services.anchor.agent import Agent
from services.anchor.chain import PeerChain

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

    return router


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
