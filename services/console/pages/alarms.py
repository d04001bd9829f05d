"""The page Alarms, and what people do about them: each is a transaction, signed as the identity that may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from gridledger.errors import GridLedgerError, InputError, PermissionDeniedError
from services.console.answers import page_or_export
from services.console.callers import read_form
from services.console.console import Console
from services.console.grid.alarms import MEANINGS, Alarm, first_out
from services.console.listing import Cell, Column, Filter, Listing, Row, State
from services.console.viewers import Viewer

ROLE: Final = "alarms.role"
OPERATOR: Final = "operator"
SHELF_HOURS: Final = (("3600", "1 hour"), ("14400", "4 hours"), ("28800", "8 hours"), ("86400", "24 hours"))
_STATES: Final[Mapping[str, tuple[str, State]]] = {
    "unacknowledged": ("active", "bad"),
    "acknowledged": ("acknowledged", "warn"),
    "returned": ("returned", "warn"),
}
_FILTERS: Final = (("", "all"), ("unacknowledged", "active"), ("acknowledged", "acknowledged"),
                   ("returned", "returned"), ("shelved", "shelved"))  # fmt: skip
_COLUMNS: Final = (
    Column("priority", "priority", numeric=True),
    Column("state", "state"),
    Column("group", "group"),
    Column("kind", "alarm"),
    Column("detail", "what"),
    Column("raised", "raised at"),
    Column("times", "times", numeric=True, minor=True),
    Column("channel", "channel", minor=True),
    Column("acknowledged", "acknowledged by"),
    Column("shelved", "shelved until"),
    Column("transaction", "raised by"),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page, and its three forms."""

    @router.get("/alarms")
    async def alarms(request: Request) -> Response:
        return _answer(console, request)

    async def act(request: Request, function: str, argument: Callable[[Mapping[str, str]], dict[str, Any]]) -> Response:
        fields = await read_form(request, request.state.caller)
        try:
            await _submit(console, fields.get("channel", ""), function, argument(fields))
        except GridLedgerError as error:
            return _answer(console, request, refused=error.message)
        return RedirectResponse("/alarms", 303)

    @router.post("/alarms/acknowledge")
    async def acknowledge(request: Request) -> Response:
        return await act(request, "Acknowledge", _acknowledgement)

    @router.post("/alarms/shelve")
    async def shelve(request: Request) -> Response:
        return await act(request, "Shelve", _shelf)

    @router.post("/alarms/unshelve")
    async def unshelve(request: Request) -> Response:
        return await act(request, "Unshelve", _source)


def operator_of(console: Console, channel: str) -> Viewer | None:
    """The first identity that may act on alarms of a channel; None where the console has none."""
    if console.viewers.shared:
        return None  # what a person does is signed by the person
    for viewer in console.viewers.all:
        config = viewer.configs.get(channel)
        may = viewer.identity.certificate.attributes.get(ROLE) == OPERATOR
        if may and viewer.ended is None and config is not None and console.grid.alarms in config.chaincodes:
            return viewer
    return None


def alarm_rows(console: Console, state: str = "") -> list[dict[str, Any]]:
    """Each alarm with its row and whether somebody here may act on it; the most urgent first."""
    alarms = console.grid.alarms_now()
    first = first_out(alarms)
    rows = []
    for alarm in alarms:
        wanted = "shelved" if alarm.shelved is not None else alarm.state
        if state in ("", wanted):
            rows.append(
                {
                    "alarm": alarm,
                    "row": _row(alarm, is_first=first is not None and alarm.id == first.id and len(alarms) > 1),
                    "operator": operator_of(console, alarm.channel),
                }
            )
    return rows


def _answer(console: Console, request: Request, *, refused: str | None = None) -> Response:
    state = request.query_params.get("state", "")
    if state not in {value for value, _ in _FILTERS}:
        raise InputError("'state' is unacknowledged, acknowledged, returned or shelved")
    rows = alarm_rows(console, state)
    query = {"state": state} if state else {}
    listing = Listing(
        "alarms",
        _COLUMNS,
        [row["row"] for row in rows],
        path="/alarms",
        query=query,
        filters=(Filter("state", "state", state, _FILTERS),),
        empty="There is no alarm.",
    )
    shelves = [
        (known.channel, each) for known in console.grid.channels() for each in known.alarms.shelves(console.clock_us())
    ]
    operators = {
        channel: viewer.label
        for channel in console.viewers.channels
        if (viewer := operator_of(console, channel)) is not None
    }
    return page_or_export(
        console,
        request,
        "alarms.html",
        listing,
        title="Alarms",
        here="Alarms",
        rows=rows,
        shelves=shelves,
        hours=SHELF_HOURS,
        operators=operators,
        refused=refused,
        self_url=f"/alarms?state={state}" if state else "/alarms",
    )


def _row(alarm: Alarm, *, is_first: bool) -> Row:
    word, state = _STATES[alarm.state]
    shelf, seen = alarm.shelved, alarm.acknowledged
    kind = MEANINGS.get(alarm.kind, alarm.kind)
    cells = {
        "priority": Cell(str(alarm.priority), value=alarm.priority),
        "state": Cell("shelved" if shelf is not None else word, state="dim" if shelf is not None else state),
        "group": Cell(alarm.group, href=f"/groups/{alarm.channel}/{alarm.group}"),
        "kind": Cell(f"{kind} (first)" if is_first else kind, value=alarm.kind),
        "detail": Cell(alarm.detail),
        "raised": Cell("", at_us=alarm.raised_us),
        "times": Cell(str(alarm.count), value=alarm.count),
        "channel": Cell(alarm.channel),
        "acknowledged": Cell("" if seen is None else f"{_name(seen.by)} @ {seen.mspid}"),
        "shelved": Cell("", at_us=None if shelf is None else shelf.until_us),
        "transaction": Cell(
            alarm.tx_id[:12], href=f"/channels/{alarm.channel}/transactions/{alarm.tx_id}", whole=alarm.tx_id
        ),
    }
    detail = [] if seen is None or not seen.note else [("note", seen.note)]
    if shelf is not None:
        detail.append(("shelved", f"by {_name(shelf.by)} @ {shelf.mspid}: {shelf.reason or ''}"))
    urgent = alarm.state == "unacknowledged" and shelf is None
    return Row(cells, "bad" if urgent else "", detail)


def _name(identity: str) -> str:
    """The common name in an id such as ``x509::/CN=alice::/CN=ca``, else the id."""
    parts = identity.split("::")
    subject = parts[1] if len(parts) > 1 else ""
    names = (part.strip()[3:] for part in subject.replace("/", ",").split(",") if part.strip().startswith("CN="))
    return next(names, identity)


async def _submit(console: Console, channel: str, function: str, argument: dict[str, Any]) -> None:
    console.viewers.require_own()
    viewer = operator_of(console, channel)
    if viewer is None:
        raise PermissionDeniedError(
            f"none of the console's identities is an operator on {channel!r:.80}: enrol one "
            f"(gridledger enroll ORGANISATION NAME --attribute {ROLE}={OPERATOR}) and start the console with --user"
        )
    await viewer.network(channel).get_contract(console.grid.alarms).submit_transaction(function, argument)


def _source(fields: Mapping[str, str]) -> dict[str, Any]:
    return {"group": fields.get("group", ""), "kind": fields.get("kind", "")}


def _acknowledgement(fields: Mapping[str, str]) -> dict[str, Any]:
    argument = {**_source(fields), "raised_us": _integer(fields, "raised_us")}
    if fields.get("raised_by"):
        argument["raised_by"] = fields["raised_by"]
    note = fields.get("note", "").strip()
    return {**argument, "note": note} if note else argument


def _shelf(fields: Mapping[str, str]) -> dict[str, Any]:
    argument = {**_source(fields), "duration_s": _integer(fields, "duration_s")}
    return {**argument, "reason": fields.get("reason", "").strip()}


def _integer(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 16):  # noqa: PLR2004 - the digits of 2^53
        raise InputError(f"the form's {name!r} is no number")
    return int(text)
