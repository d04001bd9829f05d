"""The routes of the case desk: rows and packages, each behind a valid Query."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.web import json_response, read_body, unless_disconnected
from gridledger.web.openapi import (
    ANY,
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
from services.case.errors import BadQuestion
from services.case.questions import PACKAGE, Question, purpose_of
from services.case.serving import metrics
from services.case.serving.admission import Admission, Admitted
from services.case.serving.reading import Reading

MAX_REQUEST_BYTES: Final = 16 * 1024
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_Case = Annotated[str, Path(pattern=NAME)]
_ZIP: Final = "application/zip"
_TX_DIGITS: Final = 64

_SCHEMAS: dict[str, Schema] = {
    "Row": members(
        channel=TEXT,
        block=WHOLE,
        position=WHOLE,
        item=WHOLE,
        tx_id=TEXT,
        code=WHOLE,
        kind=TEXT,
        device=nullable(TEXT),
        seq=nullable(WHOLE),
        operator=nullable(TEXT),
        terminal=nullable(TEXT),
        session=nullable(TEXT),
        said_us=nullable(WHOLE),
        at_us=nullable(WHOLE),
        block_us=WHOLE,
        certificate=nullable(TEXT),
        text=TEXT,
        marks=ANY,
    ),
    "LeftOut": members(
        scope=nullable(WHOLE),
        not_valid=nullable(WHOLE),
        told_elsewhere=nullable(WHOLE),
        undated=nullable(WHOLE),
        limit=nullable(WHOLE),
        counted_up_to=WHOLE,
    ),
    "Rows": members(
        case=TEXT,
        query=TEXT,
        rows=list_of(named("Row")),
        bookmark=nullable(TEXT),
        left_out=nullable(named("LeftOut")),
        read_to=ANY,
    ),
    "RowsRequest": members(query=TEXT, kind=TEXT, question=ANY),
    "PackageRequest": members(query=TEXT, question=ANY, disclose=ANY),
}
_OPERATIONS = {
    "POST /cases/{case}/rows": Operation(
        "A page of the rows that a question asks for, in the case's scope",
        named("Rows"),
        body=named("RowsRequest"),
        description="`query` is the transaction by which the caller submitted `Query` with the text "
        '`{"kind", "question"}`; it is good for one answer.',
    ),
    "POST /cases/{case}/package": Operation(
        "The evidence package of the transactions of such a page",
        ANY,
        body=named("PackageRequest"),
        answer_media=_ZIP,
        description="The Query's `kind` is `package`. Without `disclose` it is refused where other transactions stand "
        "in its blocks.",
    ),
}
DESCRIPTION = Description("GridLedger case desk", "What the case desk reads for investigators", _OPERATIONS, _SCHEMAS)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    purpose: str
    question: Question
    query: str
    disclose: bool = False


def make_router(admission: Admission, reading: Reading) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()

    @router.post("/cases/{case}/rows")
    async def rows(request: Request, case: _Case) -> Response:
        asked = _rows_request(await read_body(request, max_bytes=MAX_REQUEST_BYTES))
        async with _counted(request, case, asked.purpose):
            admitted = await _admitted(admission, request, case, asked)
            answer = await unless_disconnected(request.scope, reading.rows(admitted))
            return json_response(jsontext.dumps(answer))

    @router.post("/cases/{case}/package")
    async def package(request: Request, case: _Case) -> Response:
        asked = _package_request(await read_body(request, max_bytes=MAX_REQUEST_BYTES))
        async with _counted(request, case, PACKAGE):
            admitted = await _admitted(admission, request, case, asked)
            made = await unless_disconnected(request.scope, reading.package(admitted, disclose=asked.disclose))
            return Response(made, media_type=_ZIP)

    return router


async def _admitted(admission: Admission, request: Request, case: str, asked: _Asked) -> Admitted:
    caller: Identity = request.state.caller
    return await admission.admit(caller, case, asked.purpose, asked.question, asked.query)


def _rows_request(body: bytes) -> _Asked:
    message = _members(body, ("query", "kind", "question"))
    purpose = purpose_of(message["kind"])
    if purpose == PACKAGE:
        raise BadQuestion("kind", "packages have a route of their own")
    return _Asked(purpose, Question.from_dict(message["question"]), _query(message))


def _package_request(body: bytes) -> _Asked:
    message = _members(body, ("query", "question", "disclose"))
    if type(message["disclose"]) is not bool:
        raise BadQuestion("disclose", "must be true or false")
    return _Asked(PACKAGE, Question.from_dict(message["question"]), _query(message), message["disclose"])


def _members(body: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    message = jsontext.loads(body)
    if not isinstance(message, dict) or message.keys() != set(names):
        raise BadQuestion("request", f"must be an object with the members {', '.join(names)}")
    return message


def _query(message: dict[str, Any]) -> str:
    query = message["query"]
    if not isinstance(query, str) or len(query) != _TX_DIGITS or query.strip("0123456789abcdef"):
        raise BadQuestion("query", "must be the id of the transaction by which Query was submitted, 64 hex digits")
    return query


@asynccontextmanager
async def _counted(request: Request, case: str, purpose: str) -> AsyncIterator[None]:
    """Count answers and refusals, and log who was denied what."""
    began = time.perf_counter()
    try:
        yield
    except GridLedgerError as error:
        metrics.REFUSED.labels(error.code).inc()
        if isinstance(error, PermissionDeniedError):
            caller: Identity = request.state.caller
            who = {"mspid": caller.mspid, "by": caller.name, "certificate": caller.fingerprint}
            _log.warning("refused: %s", error.message, extra={"case": case, "code": error.code, **who})
        raise
    metrics.ANSWERED.labels(purpose).inc()
    metrics.SECONDS.labels(purpose).observe(time.perf_counter() - began)
