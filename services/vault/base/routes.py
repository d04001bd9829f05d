"""The routes of the vault's base: what it saw and found, and audits on demand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.errors import ConflictError, GridLedgerError, InputError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.protocol.fields import exactly, text_of
from gridledger.web import json_response, read_body, unless_disconnected
from gridledger.web.openapi import ANY, TEXT, WHOLE, Description, Operation, Schema, list_of, members, named, nullable
from services.vault.attributes import BASE, ROLE
from services.vault.auditing import Audited, Auditor
from services.vault.base.tending import Tending
from services.vault.records import OBJECT_NAME
from services.vault.session import why

AUDIT_WAIT_S: Final = 15.0
"""How long a request for audits waits for the holders' answers; the base goes on with those that are open."""
MAX_REQUEST_BYTES: Final = 4096
_Object = Annotated[str, Path(pattern=f"^{OBJECT_NAME.pattern}$")]

_SCHEMAS: dict[str, Schema] = {
    "Audited": members(
        object=TEXT,
        version=WHOLE,
        holder=TEXT,
        number=WHOLE,
        outcome=nullable(TEXT),
        finding=nullable(TEXT),
        why=TEXT,
    ),
    "Seen": members(
        looked_us=nullable(WHOLE),
        objects=ANY,
        short=list_of(TEXT),
        reshare_due=list_of(TEXT),
        findings=list_of(named("Audited")),
    ),
    "Audits": members(object=TEXT, audits=list_of(named("Audited")), failed=list_of(members(holder=TEXT, why=TEXT))),
    "AuditRequest": members(holder=nullable(TEXT)),
}
_OPERATIONS = {
    "GET /": Operation("What the base saw at its last look at all objects, and its newest findings", named("Seen")),
    "POST /objects/{name}/audit": Operation(
        "Audit one holder's share of an object, or every holder's that can be",
        named("Audits"),
        body=named("AuditRequest"),
    ),
}
DESCRIPTION = Description(
    "GridLedger vault base", "What the base of the vault saw and found, and audits on demand", _OPERATIONS, _SCHEMAS
)


def make_router(mspid: str, tending: Tending, auditor: Auditor) -> APIRouter:
    """All routes but those that every service has. ``mspid`` is the base's own organisation."""
    router = APIRouter()

    @router.get("/")
    async def seen(request: Request) -> Response:
        del request
        return json_response(jsontext.dumps(asdict(tending.seen)))

    @router.post("/objects/{name}/audit")
    async def audit(name: _Object, request: Request) -> Response:
        _require_base(request.state.caller, mspid)
        wanted = _holder_of(await read_body(request, max_bytes=MAX_REQUEST_BYTES))
        told = await unless_disconnected(request.scope, _audit(tending, auditor, name, wanted))
        return json_response(jsontext.dumps(told))

    return router


async def _audit(tending: Tending, auditor: Auditor, name: str, wanted: str | None) -> dict[str, Any]:
    holders = [wanted] if wanted is not None else await tending.auditable(name)
    if not holders:
        raise ConflictError(f"no holder of {name} can be audited: none is live with audits left")
    audits: list[Audited] = []
    failed: list[dict[str, str]] = []
    for outcome, holder in zip(await tending.audit_all(name, holders, AUDIT_WAIT_S), holders, strict=True):
        if isinstance(outcome, GridLedgerError):
            failed.append({"holder": holder, "why": why(outcome)})
        else:
            audits.append(outcome)
    return {"object": name, "audits": [each.to_dict() for each in audits], "failed": failed}


def _require_base(caller: Identity, mspid: str) -> None:
    if caller.mspid != mspid or (caller.attributes.get(ROLE) != BASE and caller.role != "admin"):
        raise PermissionDeniedError(f"audits are asked for by the base: a certificate with {ROLE}={BASE}, or its admin")


def _holder_of(body: bytes) -> str | None:
    """The holder that a request names; None for all of them."""
    if not body:
        return None
    try:
        message = exactly(jsontext.loads(body), frozenset(("holder",)), "the request")
    except InputError as error:
        raise InputError(f"the request: {error.message}") from None
    return None if message["holder"] is None else text_of(message, "holder")
