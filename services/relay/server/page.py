"""The page for people: captures and their verdicts, relays, nodes, chains. It loads nothing, and runs nothing.

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
    "*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#f5f7fa;max-width:76rem;"
    "margin:0 auto;padding:1.5rem 1rem}h1{font-size:1.5rem;margin:0 0 1rem}h2{font-size:1.15rem;margin:0}"
    "section{background:#fff;border:1px solid #dde3ea;border-radius:8px;padding:1rem;margin:0 0 1rem}"
    "p{margin:.4rem 0;overflow-wrap:anywhere}table{border-collapse:collapse;margin:.5rem 0 0;width:100%}"
    "td,th{padding:.35rem .6rem .35rem 0;text-align:left;border-bottom:1px solid #e8ecf1;vertical-align:top;"
    "overflow-wrap:anywhere}th{font-size:.8rem;color:#5a6675;font-weight:600}time{white-space:nowrap}"
    "b{display:inline-block;padding:0 .5rem;border-radius:9px;font-weight:600;background:#e8ecf1}"
    ".good{background:#dff2e1;color:#1b6e20}.bad{background:#fbe3e6;color:#a0001c}.dim{color:#5a6675}"
    "pre{margin:.3rem 0;font-size:.75rem;white-space:pre-wrap;overflow-wrap:anywhere}"
    "@media(max-width:640px){thead{display:none}tr{display:block;padding:.4rem 0;border-bottom:1px solid #dde3ea}"
    "td{display:block;border:0;padding:.1rem 0}td::before{content:attr(data-head) ' ';color:#5a6675;font-size:.8rem}}"
)


def page(
    server: str,
    relays: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    chains: Sequence[Mapping[str, Any]],
    *,
    states: Sequence[Mapping[str, Any]] = (),
    passed_over: Sequence[Mapping[str, Any]] = (),
) -> str:
    """``relays`` as ``/captures/latest`` tells them, each capture with ``attestations`` and ``verdict`` where they are
    known; ``nodes``, ``states`` and ``passed_over`` as ``/nodes``; ``chains`` have relay, length, fault."""
    title = escape(f"Server {server}: relay monitoring")
    head = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<meta http-equiv=refresh content={REFRESH_S}><title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
    )
    parts = [_relays(relays), _followed(states, passed_over), _nodes(nodes), _chains(chains)]
    return head + "".join(piece for part in parts for piece in part)


def _relays(relays: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for relay in relays:
        yield f"<section><h2>{escape(relay['relay'])}: {escape(relay['name'])}, {escape(relay['substation'])}</h2>"
        if (silence := relay["silence"]) is not None:
            yield f"<p><b class=bad>silent</b> since {_time(silence['from'])}: {escape(silence['reason'])}</p>"
        captures = relay["captures"]
        disputed = sum(item["status"] == "disputed" for item in captures)
        yield f"<p class=dim>The newest {len(captures)} captures, {disputed} of them disputed.</p>"
        heads = ("minute (UTC)", "recorded by", "verdict", "attested by", "against", "faults", "outside limits", "text")
        yield from _table(heads, map(_capture, captures))
        yield "</section>"


def _capture(item: Mapping[str, Any]) -> tuple[str, ...]:
    kind = {"confirmed": "good", "disputed": "bad"}.get(item["status"], "dim")
    told = item.get("attestations") or ()
    against = (item.get("verdict") or {}).get("against") or [one["server"] for one in told if not one["match"]]
    attested = ", ".join(str(one["server"]) for one in told if one["server"] not in against)
    return (
        _time(item["minute"]),
        escape(item["server"]),
        f"<b class={kind}>{escape(item['status'])}</b>",
        escape(attested) or "nobody",
        f"<b class=bad>{escape(', '.join(map(str, against)))}</b>" if against else "nobody",
        escape(str(item["faults"])),
        "<br>".join(map(_breach, item["breaches"])) or "none",
        f"<details><summary>show</summary><pre>{escape(item['text'])}</pre></details>",
    )


def _breach(breach: Mapping[str, Any]) -> str:
    return escape(f"{breach['field']} {breach['value']} (limit {breach['limit']})")


def _followed(states: Sequence[Mapping[str, Any]], passed_over: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "<section><h2>Relays that this server follows</h2>"
    heads = ("relay", "newest minute (UTC)", "waiting to be recorded", "last fault or refusal")
    yield from _table(heads, map(_state, states))
    for item in passed_over:
        text = f"{item['relays']} of {item['operator']} not followed: {item['why']}"
        yield f"<p>{escape(text)}</p>"
    yield "</section>"


def _state(state: Mapping[str, Any]) -> tuple[str, ...]:
    fault = "none" if state["fault"] is None else f"<b class=bad>{escape(str(state['fault']))}</b>"
    newest = "none yet" if state["newest"] is None else _time(state["newest"])
    return escape(state["relay"]), newest, escape(str(state["spool"])), fault


def _nodes(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "<section><h2>Nodes</h2>"
    yield from _table(("node", "address", "state"), map(_node, nodes))
    yield "<p class=dim>For programs: <a href=/nodes>/nodes</a>, <a href=/captures/latest>/captures/latest</a>.</p>"
    yield "</section>"


def _node(node: Mapping[str, Any]) -> tuple[str, ...]:
    state = "<b class=good>up</b>" if node["up"] else f"<b class=bad>{escape(str(node['why']))}</b>"
    return escape(node["name"]), escape(node["url"]), state


def _chains(chains: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "<section><h2>The article's chain</h2>"
    for chain in chains:
        query = f"?relay={quote(chain['relay'], safe='')}"
        fault = "" if chain["fault"] is None else f" <b class=bad>{escape(str(chain['fault']))}</b>"
        yield f"<p>{escape(chain['relay'])}: {chain['length']} blocks{fault}: "
        yield f"<a href='/get_chain{query}'>/get_chain</a>, <a href='/is_valid{query}'>/is_valid</a></p>"
    yield "</section>"


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table of cells that are HTML already; on a narrow screen each cell has its head before it."""
    yield "<table><thead><tr>" + "".join(f"<th>{head}" for head in heads) + "<tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td data-head='{head}'>{cell}" for head, cell in zip(heads, row, strict=True))
    yield "</table>"


def _time(minute: int) -> str:
    try:
        return f"<time>{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}</time>"
    except (ValueError, OverflowError, OSError):
        return str(minute)
