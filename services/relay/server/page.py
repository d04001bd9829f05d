"""The page for people: nodes, the latest captures and their verdicts. It loads nothing, and runs nothing.

What it shows comes from relays and other servers: all of it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final
from urllib.parse import quote

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
REFRESH_S: Final = 10
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem;width:100%}td,th{padding:.25rem .6rem;text-align:left;"
    "border-bottom:1px solid #ddd;vertical-align:top}pre{margin:0;font-size:.75rem;overflow:auto;max-width:60rem}"
    ".bad{color:#b00020}.good{color:#1b6e20}"
)


def page(
    server: str,
    relays: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    chains: Sequence[Mapping[str, Any]],
) -> str:
    """``relays`` as ``/captures/latest`` tells them, ``nodes`` as ``/nodes``; ``chains`` have relay, length, fault."""
    return "".join(_parts(server, relays, nodes, chains))


def _parts(
    server: str,
    relays: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    chains: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    title = escape(f"Server {server}: relay monitoring")
    yield f"<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content={REFRESH_S}>"
    yield f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
    for chain in chains:
        query = f"?relay={quote(chain['relay'], safe='')}"
        yield f"<p>The article's chain of {escape(chain['relay'])} has {chain['length']} blocks: "
        yield f"<a href='/get_chain{query}'>/get_chain</a>, <a href='/is_valid{query}'>/is_valid</a>.</p>"
    yield "<p>More: <a href=/nodes>/nodes</a>, <a href=/captures/latest>/captures/latest</a>.</p>"
    yield "<h2>Nodes</h2>"
    yield from _table(("node", "address", "state"), (_node(node) for node in nodes))
    for relay in relays:
        yield f"<h2>{escape(relay['relay'])}: {escape(relay['name'])}, {escape(relay['substation'])}</h2>"
        if (silence := relay["silence"]) is not None:
            yield f"<p class=bad>Silent since {_time(silence['from'])}: {escape(silence['reason'])}</p>"
        yield from _table(
            ("minute (UTC)", "recorded by", "faults", "breaches", "verdict", "text"),
            (_capture(item) for item in relay["captures"]),
        )


def _node(node: Mapping[str, Any]) -> tuple[str, ...]:
    state = "<span class=good>up</span>" if node["up"] else f"<span class=bad>{escape(str(node['why']))}</span>"
    return escape(node["name"]), escape(node["url"]), state


def _capture(item: Mapping[str, Any]) -> tuple[str, ...]:
    kind = {"confirmed": "good", "disputed": "bad"}.get(item["status"], "")
    return (
        _time(item["minute"]),
        escape(item["server"]),
        escape(str(item["faults"])),
        str(len(item["breaches"])),
        f"<span class={kind or 'none'}>{escape(item['status'])}</span>",
        f"<pre>{escape(item['text'])}</pre>",
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table of cells that are HTML already."""
    yield "<table><tr>" + "".join(f"<th>{escape(head)}" for head in heads)
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}" for cell in row)
    yield "</table>"


def _time(minute: int) -> str:
    try:
        return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return str(minute)
