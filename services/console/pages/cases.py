"""The pages of cases: all of them, one with its questions and findings, what the case desk answers, and packages.

A question leaves a trace on the ledger before it is answered, so each is a POST from a page of this console.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, NotFoundError
from gridledger.protocol.fields import list_of, object_of, value_of
from gridledger.web import json_response
from services.console.answers import page, page_or_export
from services.console.applications import CASES, Place, of_each, place_on, places
from services.console.callers import read_form
from services.console.cases import view
from services.console.cases.basket import Baskets, items_of, question_of
from services.console.cases.desk import Desk, investigator_on
from services.console.cases.questions import LISTS, PACKAGE_ROWS, PAGE, paged, time_text
from services.console.cases.questions import question_of as asked_of
from services.console.console import Console
from services.console.listing import Listing

_TITLE: Final = CASES.title
_MAX_CASES: Final = 500
_MAX_SHOWN: Final = 200
_HOUR_US: Final = 3_600_000_000
_MAX_TITLE: Final = 200
_FIELDS: Final = (*LISTS, "from", "to", "words", "by", "not_valid")


def add_to(router: APIRouter, console: Console) -> None:
    """Add these pages."""
    baskets = Baskets()
    _add_basket(router, console, baskets)

    @router.get("/cases")
    async def cases(request: Request) -> Response:
        await console.viewers.looked()

        async def read(place: Place) -> list[tuple[str, str, dict[str, Any]]]:
            several, _ = await place.items("ListCases", _MAX_CASES)
            told = [(place.channel, place.viewer.label, case) for case in several]
            view.case_rows(told)  # it is written here once, so that what is no case is this place's fault alone
            return told

        told, faults = await of_each(places(console.viewers, CASES), read)
        listing = Listing(
            "cases",
            view.CASES,
            view.case_rows(told),
            path="/cases",
            empty="No case is open: gridledger case open NAME --purpose TEXT --channel CHANNEL --from TIME --to TIME.",
        )
        return page_or_export(console, request, "cases.html", listing, title="Cases", here=_TITLE, faults=faults)

    @router.get("/cases/{channel}/{case}")
    async def one(channel: str, case: str, request: Request) -> Response:
        return await _case(console, baskets, request, (channel, case))

    @router.post("/cases/{channel}/{case}/timeline")
    async def timeline(channel: str, case: str, request: Request) -> Response:
        fields = await read_form(request, request.state.caller)
        try:
            question = paged(asked_of(fields), fields.get("bookmark", ""))
            answer = await _desk(console, channel).rows(case, question)
            return _timeline(console, request, (channel, case), fields, answer)
        except GridLedgerError as error:
            return await _case(console, baskets, request, (channel, case), fields, refused=error.message)

    @router.post("/cases/{channel}/{case}/package")
    async def package(channel: str, case: str, request: Request) -> Response:
        fields = await read_form(request, request.state.caller)
        try:
            title = fields.get("title", "").strip()
            if not 1 <= len(title) <= _MAX_TITLE:
                raise InputError(f"a package has a title, of {_MAX_TITLE} characters at most")
            asked = fields.get("question")
            question = question_of(baskets.of(request.state.caller.key)) if asked is None else _question(asked)
            desk = _desk(console, channel)
            made = await desk.package(case, question, title, disclose=bool(fields.get("disclose")))
        except GridLedgerError as error:
            return await _case(console, baskets, request, (channel, case), fields, refused=error.message)
        name = f"{re.sub('[^A-Za-z0-9._-]+', '-', case)}-{made.sha256[:12]}.zip"
        return Response(
            made.data, media_type="application/zip", headers={"content-disposition": f'attachment; filename="{name}"'}
        )


def _add_basket(router: APIRouter, console: Console, baskets: Baskets) -> None:
    @router.get("/basket")
    async def basket(request: Request) -> Response:
        await console.viewers.looked()
        items = baskets.of(request.state.caller.key)
        if request.query_params.get("format") == "package":
            return json_response(question_of(items))
        listing = Listing(
            "basket",
            view.BASKET,
            view.basket_rows(items, console.viewers.channels),
            path="/basket",
            empty="It is empty.",
        )

        async def read(place: Place) -> list[tuple[str, str, str]]:
            several, _ = await place.items("ListCases", _MAX_CASES)
            approved = [case for case in several if case["status"] == view.APPROVED]
            return [(place.channel, case["case"], case["purpose"]) for case in approved]

        open_cases, _ = await of_each(places(console.viewers, CASES), read)
        return page_or_export(
            console, request, "basket.html", listing, title="Basket", here=_TITLE, cases=open_cases, items=items
        )

    @router.post("/basket/{act}")
    async def change(act: str, request: Request) -> Response:
        session = request.state.caller
        fields = await read_form(request, session)
        if act == "add":
            baskets.add(session.key, items_of(fields))
        elif act == "remove":
            baskets.remove(session.key, items_of(fields))
        elif act == "empty":
            baskets.empty(session.key)
        else:
            raise NotFoundError("a basket takes add, remove and empty")
        return RedirectResponse("/basket", 303)


async def _case(
    console: Console,
    baskets: Baskets,
    request: Request,
    at: tuple[str, str],
    fields: Mapping[str, str] | None = None,
    *,
    refused: str | None = None,
) -> Response:
    channel, case = at
    await console.viewers.looked()
    place = place_on(console.viewers, CASES, channel)
    told, (queries, _), (findings, _) = await asyncio.gather(
        place.ask("GetCase", case=case),
        place.items("ListQueries", _MAX_SHOWN, case=case),
        place.items("ListFindings", _MAX_SHOWN, case=case),
    )
    path = view.case_path(channel, told["case"])
    lists = {
        "queries": Listing(
            "queries",
            view.QUERIES,
            view.query_rows(channel, queries),
            path,
            {"list": "queries"},
            empty="Nothing was asked.",
        ),
        "findings": Listing(
            "findings",
            view.FINDINGS,
            view.finding_rows(channel, findings),
            path,
            {"list": "findings"},
            empty="Nothing was found.",
        ),
    }
    chosen = request.query_params.get("list", "findings")
    if chosen not in lists:
        raise NotFoundError(f"there is no list {chosen!r:.40}; there are: {', '.join(lists)}")
    return page_or_export(
        console,
        request,
        "case.html",
        lists[chosen],
        title=f"Case {told['case']}",
        here=_TITLE,
        channel=channel,
        case=told,
        path=path,
        facts=view.case_facts(told),
        lists=lists,
        fields=_form(told, fields or {}, console.clock_us()),
        may_ask=_may_ask(console, place, told),
        investigator=investigator_on(console.viewers, place).viewer.label,
        basket=len(baskets.of(request.state.caller.key)),
        refused=refused,
        seen=place.viewer.label,
    )


def _timeline(
    console: Console,
    request: Request,
    at: tuple[str, str],
    fields: Mapping[str, str],
    answer: dict[str, Any],
) -> Response:
    channel, case = at
    rows = [object_of(row, "a row") for row in list_of(answer, "rows", max_length=PAGE)]
    bookmark, told = value_of(answer, "bookmark"), value_of(answer, "left_out")
    return page(
        console,
        request,
        "timeline.html",
        title=f"Timeline of case {case}",
        here=_TITLE,
        channel=channel,
        case=case,
        path=view.case_path(channel, case),
        query=view.transaction_cell(channel, str(answer["query"])),
        columns=view.ROWS,
        rows=list(zip(view.desk_rows(rows, console.viewers.channels), view.items_in(rows), strict=True)),
        left_out=view.left_out(told),
        fields={name: fields.get(name, "") for name in _FIELDS},
        bookmark=bookmark,
        question=jsontext.dumps(asked_of(fields)).decode(),
        seen=investigator_on(console.viewers, place_on(console.viewers, CASES, channel)).viewer.label,
    )


def _desk(console: Console, channel: str) -> Desk:
    console.viewers.require_own()
    place, url = place_on(console.viewers, CASES, channel), console.options.desk
    if url is None:
        raise NotFoundError(
            "no case desk is known: gridledger up NETWORK --with desk, or gridledger console --desk URL"
        )
    return Desk.at(console.viewers, place, url)


def _may_ask(console: Console, place: Place, case: Mapping[str, Any]) -> str:
    """Why nothing can be asked of a case; empty where it can."""
    if console.viewers.shared:
        return "Questions are signed by yourself: ask them in a console on your own machine (gridledger console)."
    if console.options.desk is None:
        return "No case desk is known here: gridledger up NETWORK --with desk, or gridledger console --desk URL."
    if case["status"] != view.APPROVED:
        return "A case is asked when the authority has approved it, until it is closed."
    return ""


def _question(text: str) -> dict[str, Any]:
    question = object_of(jsontext.loads(text), "the question")
    return {**{name: value for name, value in question.items() if name != "bookmark"}, "limit": PACKAGE_ROWS}


def _form(case: Mapping[str, Any], fields: Mapping[str, str], now_us: int) -> dict[str, str]:
    """What the form begins with: what was asked, else the last hour of the case's scope."""
    if any(fields.get(name) for name in _FIELDS):
        return {name: fields.get(name, "") for name in _FIELDS}
    scope = case["scope"]
    end = max(scope["from_us"], min(scope["to_us"], now_us))
    begin = max(scope["from_us"], end - _HOUR_US)
    return {
        **dict.fromkeys(_FIELDS, ""),
        "from": time_text(begin),
        "to": time_text(min(scope["to_us"], end + 60_000_000)),
    }
