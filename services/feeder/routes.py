"""The routes of interactive control: a command, and the status of the stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from gridledger.errors import InputError
from gridledger.web import json_response, read_body

_MAX_BODY_BYTES = 4096

Answer = Callable[[str], Awaitable[str]]
"""Carries a command out and says what became of it; raises GridLedgerError where it cannot be."""


def make_router(answer: Answer) -> APIRouter:
    """Routes on which ``answer`` is asked."""
    router = APIRouter()

    @router.post("/control")
    async def control(request: Request) -> Response:
        body = await read_body(request, max_bytes=_MAX_BODY_BYTES)
        try:
            line = body.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise InputError("a command is a line of UTF-8") from None
        return json_response({"answer": await answer(line)})

    @router.get("/status")
    async def status() -> Response:
        return json_response({"answer": await answer("status")})

    return router
