"""The page of benchmarks: the last reports' numbers, and each report's own page, which gets no right of the console.

A report is a file that something else wrote. Its page is served with a policy that puts it into a sandbox: it has an
origin of its own, so that no script, form or request from it has the session, and it loads nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.console.answers import HTML, page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Filter, Listing, Row
from services.console.reports import Measured, Run, page_bytes, runs

SANDBOX: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
# A browser shows no page in a sandbox that asks to be alone in its group of windows.
_REPORT_HEADERS: Final = {"content-security-policy": SANDBOX, "cross-origin-opener-policy": "unsafe-none"}
_COLUMNS: Final = (
    Column("run", "report"),
    Column("time", "started at"),
    Column("topology", "topology"),
    Column("workload", "workload"),
    Column("offered", "offered tx/s", numeric=True),
    Column("tx_s", "VALID tx/s", numeric=True),
    Column("p50", "p50 ms", numeric=True),
    Column("p95", "p95 ms", numeric=True),
    Column("p99", "p99 ms", numeric=True),
    Column("commit", "commit", minor=True),
    Column("machine", "machine", minor=True),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page, and the reports' own."""

    @router.get("/benchmark")
    async def benchmark(request: Request) -> Response:
        found = await asyncio.to_thread(runs, console.options.reports)
        query = {name: request.query_params.get(name, "") for name in ("topology", "workload")}
        rows = run_rows(found, query["topology"], query["workload"])
        loads = [load for run in found for load in run.loads]
        listing = Listing(
            "benchmarks",
            _COLUMNS,
            rows,
            path="/benchmark",
            query=query,
            filters=(
                _choice("topology", query["topology"], {load.topology for load in loads}),
                _choice("workload", query["workload"], {load.workload for load in loads}),
            )
            if loads
            else (),
            empty=f"No report lies in {console.options.reports}: make bench writes one, --reports names another folder",
        )
        return page_or_export(
            console,
            request,
            "benchmark.html",
            listing,
            title="Benchmark",
            here="Benchmark",
            folder=str(console.options.reports),
        )

    @router.get("/benchmark/{name}/report")
    async def report(name: str, request: Request) -> Response:
        text = await asyncio.to_thread(page_bytes, console.options.reports, name)
        return Response(text, media_type=HTML, headers=_REPORT_HEADERS)


def run_rows(found: Sequence[Run], topology: str = "", workload: str = "") -> list[Row]:
    """A row for each load that is asked for; runs whose report cannot be read first, then the newest."""
    faulty = [Row({"run": _name(run), "workload": Cell(run.fault, state="bad")}, "bad") for run in found if run.fault]
    rows = [
        _row(run, load)
        for run in found
        for load in run.loads
        if topology in ("", load.topology) and workload in ("", load.workload)
    ]
    return [*faulty, *rows]


def _row(run: Run, load: Measured) -> Row:
    nothing = load.p50_ms is None
    return Row(
        {
            "run": _name(run),
            "time": _time(load.started_at),
            "topology": Cell(load.topology),
            "workload": Cell(load.workload),
            "offered": Cell("as fast as it goes") if load.offered_tx_s is None else _number(load.offered_tx_s),
            "tx_s": Cell("0, nothing became VALID", state="bad") if nothing else _number(load.tx_s),
            "p50": _number(load.p50_ms),
            "p95": _number(load.p95_ms),
            "p99": _number(load.p99_ms),
            "commit": Cell(run.commit, state="warn" if run.commit.endswith("-dirty") else ""),
            "machine": Cell(run.machine),
        },
        "bad" if nothing else "",
    )


def _name(run: Run) -> Cell:
    title = f"{run.name} ({run.title})" if run.title and run.title != run.name else run.name
    return Cell(title, href=f"/benchmark/{run.name}/report" if run.has_page else None)


def _time(text: str) -> Cell:
    try:
        moment = datetime.fromisoformat(text)
        at_us = round(moment.timestamp() * 1e6) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        at_us = None
    return Cell(text) if at_us is None else Cell("", value=text, at_us=at_us)


def _number(value: float | None) -> Cell:
    return Cell("") if value is None else Cell(f"{value:,.1f}", value=value)


def _choice(name: str, value: str, there: set[str]) -> Filter:
    return Filter(name, name, value, choices=[("", "any"), *((one, one) for one in sorted(there))])
