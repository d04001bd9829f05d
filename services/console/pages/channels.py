"""The pages of channels: all of them, and one."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.console.answers import page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row

_COLUMNS = (
    Column("channel", "channel"),
    Column("height", "height", numeric=True),
    Column("rate", "transactions/s", numeric=True),
    Column("newest", "newest block", minor=True),
    Column("organisations", "organisations"),
    Column("chaincodes", "chaincodes", minor=True),
    Column("seen_as", "seen as"),
    Column("fault", "fault"),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add these pages."""

    @router.get("/channels")
    async def channels(request: Request) -> Response:
        await console.viewers.looked()
        listing = Listing(
            "channels",
            _COLUMNS,
            [_row(console, name) for name in console.viewers.channels],
            path="/channels",
            empty="No channel admits you as a reader, or no peer has answered yet.",
        )
        readable = console.viewers.channels
        faults = [
            (viewer.label, name, fault)
            for viewer in console.viewers.all
            for name, fault in viewer.faults.items()
            if not console.viewers.shared or name in readable
        ]
        return page_or_export(
            console, request, "channels.html", listing, title="Channels", here="Channels", faults=faults
        )


def _row(console: Console, name: str) -> Row:
    viewer = console.viewers.of(name)
    config, flow = viewer.configs[name], console.followers.flows.get(name)
    newest = flow.blocks[-1] if flow is not None and flow.blocks else None
    rate = 0.0 if flow is None else flow.rate(console.clock_us())
    fault = (flow.fault if flow is not None else None) or viewer.faults.get(name)
    height = None if newest is None else newest.number + 1
    at_us = None if newest is None else newest.timestamp_us
    cells = {
        "channel": Cell(name, href=f"/channels/{name}"),
        "height": Cell("" if height is None else f"{height:,}", value=height),
        "rate": Cell(f"{rate:.1f}", value=round(rate, 2)),
        "newest": Cell("none seen yet" if at_us is None else "", at_us=at_us, aged=True),
        "organisations": Cell(", ".join(sorted(config.organisations))),
        "chaincodes": Cell(", ".join(sorted(config.chaincodes))),
        "seen_as": Cell(viewer.label),
        "fault": Cell(fault or "", state="bad" if fault else ""),
    }
    return Row(cells, "bad" if fault else "")
