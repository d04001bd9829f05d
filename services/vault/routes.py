"""The routes of a process of holders."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Annotated, Final, Protocol, TypeVar

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.web import json_response, read_body, unless_disconnected
from services.vault import metrics
from services.vault.hosting import Host
from services.vault.records import HOLDER_NAME, OBJECT_NAME
from services.vault.settings import HolderLimits
from services.vault.wire import SIGNED, ContributeRequest, RebuildRequest, ServeRequest

MAX_HEAD_BYTES: Final = 64 * 1024
"""The longest body of a request that is a JSON text."""

_Holder = Annotated[str, Path(pattern=f"^{HOLDER_NAME.pattern}$")]
_Object = Annotated[str, Path(pattern=f"^{OBJECT_NAME.pattern}$")]
_Version = Annotated[int, Path(ge=1, lt=10**8)]
_After = Annotated[str, Query(max_length=80)]
_Limit = Annotated[int, Query(ge=1, le=1000)]
_Ack = Annotated[str | None, Query(pattern=f"^{SIGNED}$")]
_SHARE = "/holders/{holder}/objects/{object_name}/versions/{version}"
_BYTES: Final = "application/octet-stream"
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class _Written(Protocol):
    def to_bytes(self) -> bytes: ...


def make_router(host: Host, max_body_bytes: int = HolderLimits().max_body_bytes) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()

    @router.get("/holders/{holder}")
    async def describe(request: Request, holder: _Holder, after: _After = "", limit: _Limit = 100) -> Response:
        async with _counted(request, host, holder, "describe"):
            hosted = host.holder(holder)
            caller: Identity = request.state.caller
            is_own_admin = caller.role == "admin" and caller.mspid == hosted.own.identity.mspid
            if not is_own_admin and not await hosted.serving.is_base(caller):
                raise PermissionDeniedError("what a holder has is told to the base and to its organisation's admins")
            return json_response(host.describe(holder, after, limit))

    @router.post(_SHARE + "/share")
    async def take(
        request: Request, holder: _Holder, object_name: _Object, version: _Version, ack: _Ack = None
    ) -> Response:
        async def body(max_bytes: int) -> bytes:
            return await read_body(request, max_bytes=max_bytes)

        async with _counted(request, host, holder, "share"):
            # What has begun is finished although the dealer leaves: the share may be on the disk by then.
            serving, key = host.holder(holder).serving, (object_name, version)
            answer = await serving.take(request.state.caller, key, body, signed=ack == SIGNED)
            return json_response(answer.to_bytes())

    @router.post(_SHARE + "/serve")
    async def serve(request: Request, holder: _Holder, object_name: _Object, version: _Version) -> Response:
        async with _counted(request, host, holder, "serve"):
            asked = ServeRequest.from_bytes(await read_body(request, max_bytes=MAX_HEAD_BYTES))
            work = host.holder(holder).serving.serve(request.state.caller, (object_name, version), asked)
            return await _bytes(request, work)

    @router.post(_SHARE + "/contribute")
    async def contribute(request: Request, holder: _Holder, object_name: _Object, version: _Version) -> Response:
        async with _counted(request, host, holder, "contribute"):
            asked = ContributeRequest.from_bytes(await read_body(request, max_bytes=MAX_HEAD_BYTES))
            work = host.holder(holder).mending.contribute(request.state.caller, (object_name, version), asked)
            return await _bytes(request, work)

    @router.post(_SHARE + "/rebuild")
    async def rebuild(request: Request, holder: _Holder, object_name: _Object, version: _Version) -> Response:
        async with _counted(request, host, holder, "rebuild"):
            asked = RebuildRequest.from_bytes(await read_body(request, max_bytes=max_body_bytes))
            answer = await host.holder(holder).mending.rebuild(request.state.caller, (object_name, version), asked)
            return json_response(answer.to_bytes())

    return router


async def _bytes(request: Request, work: Awaitable[_Written]) -> Response:
    answer = await unless_disconnected(request.scope, work)
    return Response(answer.to_bytes(), media_type=_BYTES)


@asynccontextmanager
async def _counted(request: Request, host: Host, holder: str, step: str) -> AsyncIterator[None]:
    """Count what is refused, log who was denied what, and tell how long what is answered took."""
    began = time.perf_counter()
    try:
        yield
    except GridLedgerError as error:
        known = holder if host.knows(holder) else "none"  # else strangers would make labels
        metrics.REFUSED.labels(known, error.code).inc()
        if isinstance(error, PermissionDeniedError):
            caller: Identity = request.state.caller
            by = {"mspid": caller.mspid, "certificate": caller.fingerprint}
            _log.warning("refused: %s", error.message, extra={"holder": known, "step": step, "code": error.code, **by})
        raise
    metrics.SECONDS.labels(holder, step).observe(time.perf_counter() - began)
