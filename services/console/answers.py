"""Answers of the pages: HTML, or a list's rows as CSV and JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from gridledger.errors import InputError
from gridledger.web import json_response
from services.console.console import Console
from services.console.listing import Listing

HTML: Final = "text/html; charset=utf-8"


def page(console: Console, request: Request, template: str, **values: Any) -> Response:
    """A page of a session."""
    text = console.renderer.render(template, request.state.caller, **values)
    return Response(text, media_type=HTML)


def page_or_export(console: Console, request: Request, template: str, listing: Listing, **values: Any) -> Response:
    """A page around a list, or the list alone where ``format`` in the URL is csv or json."""
    form = request.query_params.get("format", "")
    if form == "csv":
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", listing.name)
        disposition = {"content-disposition": f'attachment; filename="{name}.csv"'}
        return Response(listing.to_csv(), media_type="text/csv; charset=utf-8", headers=disposition)
    if form == "json":
        return json_response(listing.to_json())
    if form:
        raise InputError("'format' is csv or json")
    return page(console, request, template, listing=listing, **values)


def page_or_exports(
    console: Console, request: Request, template: str, listings: Sequence[Listing], **values: Any
) -> Response:
    """A page around several lists, ``listings`` in the template by their names, or one of them alone, which ``list`` in
    the URL names."""
    by_name = {listing.name: listing for listing in listings}
    wanted = request.query_params.get("list")
    if wanted is None:
        return page(console, request, template, listings=by_name, **values)
    if wanted not in by_name:
        raise InputError(f"there is no list {wanted!r:.80} here; there are: {', '.join(by_name)}")
    return page_or_export(console, request, template, by_name[wanted], listings=by_name, **values)
