"""The pages Grid and Group: the one-line diagram, groups, injections, what stands, and the last ten minutes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger.errors import NotFoundError
from gridledger.web import json_response
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.grid.state import ActionNote, GroupState
from services.console.grid.view import BusView, GroupView, bus_views, merges_now, standing_now
from services.console.listing import Cell, Column, Listing, Row, State
from services.console.pages.alarms import alarm_rows

MAX_SHOWN_ACTIONS: Final = 30
MAX_SERIES: Final = 8
_RESOURCES: Final = (
    Column("bus", "bus", numeric=True),
    Column("left", "left, p.u.", numeric=True),
    Column("standing", "injected, MVAr", numeric=True),
)
_WORD_STATES: Final[dict[str, State]] = {
    "alarm": "bad",
    "escalated": "bad",
    "no data": "bad",
    "injected": "warn",
    "suspect": "warn",
    "stale": "warn",
}
_LEVEL_WORDS: Final[dict[str, tuple[str, State]]] = {
    "low": ("below the threshold", "bad"),
    "near": ("near the threshold", "warn"),
    "ok": ("", ""),
    "none": ("no data", "dim"),
}
_BUSES: Final = (
    Column("bus", "bus", numeric=True),
    Column("group", "group"),
    Column("v", "V, p.u.", numeric=True),
    Column("vsi", "VSI", numeric=True),
    Column("threshold", "threshold", numeric=True, minor=True),
    Column("state", "state"),
)
_ACTIONS: Final = (
    Column("at", "at"),
    Column("group", "group"),
    Column("bus", "at bus", numeric=True),
    Column("q", "MVAr", numeric=True),
    Column("weak", "for bus", numeric=True, minor=True),
    Column("transaction", "transaction"),
)
_MERGES: Final = (Column("merge", "merge", numeric=True), Column("groups", "groups"), Column("status", "status"),
                  Column("since", "since"))  # fmt: skip


def add_to(router: APIRouter, console: Console) -> None:
    """Add these pages, and the series that their charts ask for."""

    @router.get("/grid")
    async def grid(request: Request) -> Response:
        await console.viewers.looked()
        views = console.grid.groups()
        buses = bus_views(views, console.grid.homes)
        diagram, fault = console.grid.diagram()
        known = [group for channel in console.grid.channels() for group in channel.groups.values()]
        return page_or_export(
            console,
            request,
            "grid.html",
            Listing(
                "buses",
                _BUSES,
                bus_rows(buses.values()),
                path="/grid",
                empty="No frame has been seen yet.",
            ),
            title="Grid",
            here="Grid",
            diagram=diagram,
            fault=fault,
            buses=buses,
            standing=standing_now(known),
            fresh={view.state.group for view in views if not view.stale},
            groups=views,
            word_states=_WORD_STATES,
            chart=_chart(views),
            alarms=alarm_rows(console)[:MAX_SHOWN_ACTIONS],
            actions=_actions([each for group in known for each in group.actions]),
            merges=_merges(console),
            unreadable=sum(len(each.unreadable) for each in console.grid.channels()),
            seen=_seen(console),
        )

    @router.get("/grid/series")
    async def series(
        channel: Annotated[str, Query(max_length=200)],
        group: Annotated[str, Query(max_length=600)],
        buses: Annotated[str, Query(max_length=200)] = "",
        since_us: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    ) -> Response:
        state = _group(console, channel, group)
        wanted = [int(part) for part in buses.split(",")[:MAX_SERIES] if part.isascii() and part.isdigit()]
        if not wanted and state.latest is not None and state.latest.weak_bus is not None:
            wanted = [state.latest.weak_bus]
        times, columns = ([], {}) if state.series is None else state.series.columns(wanted, since_us)
        marks = [[note.time_us / 1e6, note.source_bus, round(note.q_mvar, 3)] for note in state.actions]
        return json_response(
            {
                "times": times,
                "columns": {str(bus): found for bus, found in columns.items()},
                "threshold": state.threshold,
                "actions": marks,
            }
        )

    @router.get("/groups/{channel}/{group}")
    async def one(channel: str, group: str, request: Request) -> Response:
        state = _group(console, channel, group)
        views = console.grid.groups()
        view = next((each for each in views if each.state is state), None)
        return _group_page(console, request, state, view, views)


def _group_page(
    console: Console, request: Request, state: GroupState, view: GroupView | None, views: Sequence[GroupView]
) -> Response:
    found = bus_views(
        [each for each in views if each.state is state or each.state.group == (view and view.merged_into)]
    )
    loads = state.latest.vsi.keys() if state.latest is not None else ()
    own = sorted(
        (bus for number, bus in found.items() if number in loads),
        key=lambda bus: (bus.vsi is None, (bus.vsi or 0.0) - (bus.threshold or 0.0), bus.number),
    )
    record = console.grid.record(state.group)
    viewer = console.viewers.channels.get(state.channel)
    path = f"/groups/{state.channel}/{state.group}"
    listing = Listing("buses", _BUSES, bus_rows(own), path=path, empty="Nothing is known of its buses.")
    return page_or_export(
        console,
        request,
        "group.html",
        listing,
        title=f"Group {state.group}",
        here="Grid",
        state=state,
        view=view,
        word_states=_WORD_STATES,
        record=record,
        weakest=[bus.number for bus in own[:4]],
        resources=_resources(state),
        alarms=[row for row in alarm_rows(console) if row["alarm"].group == state.group],
        actions=_actions(list(state.actions)),
        latency=[(name, state.latency_ms(share)) for name, share in (("p50", 0.5), ("p99", 0.99))],
        now_us=console.clock_us(),
        seen=viewer.label if viewer is not None else "nobody",
    )


def _group(console: Console, channel: str, group: str) -> GroupState:
    console.viewers.of(channel)
    found = console.grid.state.channels.get(channel)
    state = None if found is None else found.groups.get(group)
    if state is None:
        raise NotFoundError(f"no frame of a group {group!r:.80} has been seen on {channel}", channel=channel[:80])
    return state


def bus_rows(buses: Iterable[BusView]) -> list[Row]:
    """A row for each bus, with its numbers."""
    rows = []
    for bus in buses:
        word, state = _LEVEL_WORDS[bus.level]
        word = f"weakest, {word}" if bus.weak and word else "weakest" if bus.weak else word
        cells = {
            "bus": Cell(str(bus.number), value=bus.number),
            "group": Cell(bus.group),
            "v": _number(bus.vm),
            "vsi": _number(bus.vsi),
            "threshold": _number(bus.threshold),
            "state": Cell(word, state=state),
        }
        rows.append(Row(cells))
    return rows


def _number(value: float | None) -> Cell:
    return Cell("" if value is None else f"{value:.4f}", value=value)


def _actions(notes: Sequence[ActionNote]) -> Listing:
    rows = [
        Row(
            {
                "at": Cell("", at_us=note.time_us),
                "group": Cell(note.group, href=f"/groups/{note.channel}/{note.group}"),
                "bus": Cell(str(note.source_bus), value=note.source_bus),
                "q": Cell(f"{note.q_mvar:+.3f}", value=note.q_mvar),
                "weak": Cell(str(note.weak_bus), value=note.weak_bus),
                "transaction": Cell(
                    note.place.tx_id[:12],
                    href=f"/channels/{note.channel}/transactions/{note.place.tx_id}",
                    whole=note.place.tx_id,
                ),
            }
        )
        for note in sorted(notes, key=lambda one: (-one.time_us, one.group, -one.number))[:MAX_SHOWN_ACTIONS]
    ]
    return Listing("injections", _ACTIONS, rows, empty="No injection in the blocks that were read.")


def _merges(console: Console) -> Listing:
    rows = [
        Row(
            {
                "merge": Cell(str(note.told.number), value=note.told.number),
                "groups": Cell(" + ".join(note.told.components)),
                "status": Cell(note.told.status, state="warn"),
                "since": Cell("", at_us=note.since_us, aged=True),
            }
        )
        for note in merges_now(note for channel in console.grid.channels() for note in channel.merges.values())
    ]
    return Listing("merges", _MERGES, rows, empty="No merge stands.")


def _resources(state: GroupState) -> Listing:
    rows = [
        Row(
            {
                "bus": Cell(str(bus), value=bus),
                "left": Cell(f"{state.vvc.get(bus, 0.0):.4f}", value=state.vvc.get(bus, 0.0)),
                "standing": Cell(f"{state.standing.get(bus, 0.0):+.3f}", value=state.standing.get(bus, 0.0)),
            }
        )
        for bus in sorted(state.vvc.keys() | state.standing.keys())
    ]
    return Listing("resources", _RESOURCES, rows, empty="Nothing is known of its reactive power.")


def _chart(views: Sequence[GroupView]) -> GroupView | None:
    """The group whose chart is shown first: the one that is nearest to its threshold, or below it."""

    def key(view: GroupView) -> tuple[bool, bool, float]:
        margin = None if view.frame is None else view.frame.margin
        return view.merged_into is not None, margin is None, margin or 0.0

    return min(views, key=key, default=None)


def _seen(console: Console) -> str:
    """As whom each channel of the grid is seen."""
    who: dict[str, list[str]] = {}
    for channel, viewer in console.viewers.channels.items():
        if console.grid.wants(viewer, channel):
            who.setdefault(viewer.label, []).append(channel)
    return "; ".join(f"{label}: {', '.join(channels)}" for label, channels in who.items()) or "nobody"
