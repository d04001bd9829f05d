"""The pages of relay monitoring: all relays, one of them, one capture."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from gridledger.errors import NotFoundError
from gridledger.field.minutes import minute_of, minute_text
from gridledger.web import WholeNumber
from services.console.answers import page, page_or_export
from services.console.applications import RELAY, Place, of_each, place_on, places
from services.console.console import Console
from services.console.listing import Cell, Column, Filter, Listing, Row
from services.console.relay import capture_view, view
from services.console.relay.reading import RelayState, minute_at, overviews, relay_state

_TITLE: Final = RELAY.title
_MOST: Final = 40


def add_to(router: APIRouter, console: Console) -> None:
    """Add these pages."""

    @router.get("/relay")
    async def relays(request: Request) -> Response:
        await console.viewers.looked()
        now = minute_at(console.clock_us())

        async def read(place: Place) -> list[Row]:
            return [view.relay_row(place.channel, place.viewer.label, one) for one in await overviews(place, now)]

        rows, faults = await of_each(places(console.viewers, RELAY), read)
        listing = Listing(
            "relays",
            view.RELAYS,
            view.failed_first(rows),
            path="/relay",
            empty="No relay is registered: gridledger relay register FILE.",
        )
        return page_or_export(console, request, "relays.html", listing, title="Relays", here=_TITLE, faults=faults)

    @router.get("/relay/{channel}/{relay}")
    async def one(channel: str, relay: str, request: Request) -> Response:
        await console.viewers.looked()
        asked = {name: request.query_params.get(name, "")[:_MOST] for name in ("from", "to", "only")}
        chosen = request.query_params.get("list", "captures")
        place = place_on(console.viewers, RELAY, channel)
        now = minute_at(console.clock_us())
        begin, end = (minute_of(asked[name], name) if asked[name] else None for name in ("from", "to"))
        told = await relay_state(place, relay, begin, end, now)
        lists = _lists(channel, told, asked)
        if chosen not in lists:
            raise NotFoundError(f"there is no list {chosen!r:.40}; there are: {', '.join(lists)}")
        return page_or_export(
            console,
            request,
            "relay.html",
            lists[chosen],
            title=f"Relay {told.record['relay']}",
            here=_TITLE,
            channel=channel,
            record=told.record,
            facts=_facts(told),
            verdicts=view.verdicts(told),
            lists=lists,
            total=told.statistics["total"],
            newest=end is None,
            address=f"{request.url.path}?{request.url.query}",
            began=minute_text(told.begin),
            ended=minute_text(told.end),
            seen=place.viewer.label,
        )

    @router.get("/relay/{channel}/{relay}/captures/{minute}")
    async def capture(channel: str, relay: str, minute: Annotated[WholeNumber, Path()], request: Request) -> Response:
        await console.viewers.looked()
        place = place_on(console.viewers, RELAY, channel)
        told = await place.ask("GetCapture", relay=relay, minute=minute)
        record = await place.ask("GetRelay", relay=relay, revision=told["revision"])
        servers = [str(server["id"]) for server in record["servers"]]
        of_record = told["record"]
        other = of_record is not None and of_record["server"] != told["server"]
        return page(
            console,
            request,
            "capture.html",
            title=f"{told['relay']} {minute_text(minute)}",
            here=_TITLE,
            channel=channel,
            capture=told,
            facts=capture_view.facts(channel, told),
            readings=_readings(told),
            of_record=of_record if other else None,
            record_readings=_readings(of_record) if other else None,
            attestations=Listing(
                "attestations", capture_view.ATTESTATIONS, capture_view.attestation_rows(told, servers)
            ),
            differences=capture_view.differences(told),
            before=view.capture_path(channel, relay, minute - record["period_s"] // 60),
            behind=view.capture_path(channel, relay, minute + record["period_s"] // 60),
            seen=place.viewer.label,
        )


def _readings(told: dict[str, Any]) -> Listing:
    return Listing("readings", capture_view.READINGS, capture_view.reading_rows(told))


def _facts(told: RelayState) -> list[tuple[str, Cell]]:
    record = told.record
    limits = ", ".join(f"{measure} {low:g} to {high:g}" for measure, (low, high) in record["limits"].items())
    return [
        ("name", Cell(record["name"])),
        ("substation", Cell(record["substation"])),
        ("servers", Cell(", ".join(f"{one['id']} of {one['mspid']}" for one in record["servers"]))),
        ("quorum", Cell(f"{record['quorum']} of {len(record['servers'])}")),
        ("read by", Cell(f"{record['protocol']} at {record['address']}")),
        ("period", Cell(f"{record['period_s']} s, a reading each {record['reading_s']} s")),
        ("limits", Cell(limits or "none")),
        ("nominal frequency", Cell(f"{record['nominal_hz']} Hz")),
        ("record", Cell(f"revision {record['revision']} of {record['operator_msp']}")),
        ("record's time", Cell("", at_us=record["time_us"])),
    ]


def _lists(channel: str, told: RelayState, query: dict[str, str]) -> dict[str, Listing]:
    """The relay's lists by name; each is exported by ``list`` in the URL."""
    relay = str(told.record["relay"])
    path = view.relay_path(channel, relay)
    filters = (
        Filter("from", "from (2026-11-30T02:24Z)", query["from"]),
        Filter("to", "to, not with it", query["to"]),
        Filter("only", "captures", query["only"], view.CHOICES),
    )

    def made(name: str, columns: tuple[Column, ...], rows: list[Row], empty: str, **more: Any) -> Listing:
        return Listing(name, columns, rows, path, {**query, "list": name}, empty=empty, **more)

    captures = view.capture_rows(channel, relay, told.captures, query["only"])
    return {
        "disputes": made(
            "disputes", view.DISPUTES, view.dispute_rows(channel, relay, told.disputes), "Nothing is disputed."
        ),
        "captures": made(
            "captures", view.CAPTURES, captures, "There is no such capture in this time.", filters=filters
        ),
        "gaps": made("gaps", view.GAPS, view.gap_rows(told.gaps), "No minute of this time is missing."),
        "silences": made("silences", view.SILENCES, view.silence_rows(told.silences), "It was never silent."),
        "quality": made("quality", view.QUALITY, view.quality_rows(channel, told), "Its record names no limits."),
        "hours": made(
            "hours",
            view.HOURS,
            view.hour_rows(told.statistics),
            "No hour is closed: a server closes one when its minutes are concluded.",
        ),
        "measures": made("measures", view.MEASURED, view.measured_rows(told.statistics), "No hour is closed."),
        "faults": made("faults", view.FAULTS, view.fault_rows(told.faults), "No fault record is stated."),
    }
