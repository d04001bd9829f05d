"""The page Network: nodes, heights, commit hashes, leaders, certificates' ends; what failed stands first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.network.status import ChannelState, NetworkState
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row, State

SOON_US: Final = 30 * 86_400_000_000
"""A certificate that ends within this time is marked."""

_COLUMNS: Final = (
    Column("node", "node"),
    Column("state", "state"),
    Column("organisation", "organisation"),
    Column("role", "role"),
    Column("version", "version", minor=True),
    Column("certificate_ends", "certificate ends", minor=True),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/network")
    async def network(request: Request) -> Response:
        await console.nodes.asked()
        state = _seen(console)
        rows = [] if state is None else node_rows(console.viewers.profile, state, console.clock_us())
        channels = {} if state is None else state.channels
        columns = (*_COLUMNS, *(Column(name, name, numeric=True) for name in channels))
        listing = Listing("nodes", columns, rows, path="/network", empty="No node has been asked yet.")
        return page_or_export(
            console,
            request,
            "network.html",
            listing,
            title="Network",
            here="Network",
            verdicts=[] if state is None else list(verdicts(state)),
            at_us=console.nodes.at_us,
            seen=", ".join(sorted({viewer.label for viewer in console.viewers.all})),
        )


def _seen(console: Console) -> NetworkState | None:
    """The newest state, without the channels that whoever looks may not read."""
    state = console.nodes.state
    if state is None or not console.viewers.shared:
        return state
    seen = console.viewers.channels
    return replace(state, channels={name: found for name, found in state.channels.items() if name in seen})


def node_rows(profile: ConnectionProfile, state: NetworkState, now_us: int) -> list[Row]:
    """A row for each node: those that fail first, then those that are behind."""
    entries: dict[str, tuple[NodeEntry | None, str]] = {"ca": (None, "CA")}
    entries |= {name: (entry, "orderer") for name, entry in profile.orderers.items()}
    entries |= {name: (entry, "peer") for name, entry in profile.peers.items()}
    rows = [_row(name, entry, role, state, now_us) for name, (entry, role) in entries.items()]
    rank = {"bad": 0, "warn": 1}
    return sorted(rows, key=lambda row: rank.get(row.state, 2))


def _row(name: str, entry: NodeEntry | None, role: str, state: NetworkState, now_us: int) -> Row:
    told = state.told.get(name)
    leads = [channel for channel, found in state.channels.items() if found.leader == name]
    cells = {
        "node": Cell(name),
        "organisation": Cell("" if entry is None else entry.organisation),
        "role": Cell(f"{role}, leads {', '.join(leads)}" if leads else role),
        "version": Cell("" if told is None else told.version),
        "state": Cell("up", state="good"),
    }
    kind = ""
    if name in state.down:
        cells["state"], kind = Cell(f"down: {state.down[name]}", state="bad"), "bad"
    elif name in state.refusals:
        cells["state"] = Cell(f"up, tells you nothing: {state.refusals[name]}", state="dim")
    if told is not None:
        ends = told.certificate_not_after_us
        soon = ends - now_us < SOON_US
        days = (ends - now_us) // 86_400_000_000
        cells["certificate_ends"] = Cell(
            f"in {days:,} d" if ends > now_us else "ended", value=ends, state="warn" if soon else ""
        )
    behind = False
    for channel, found in state.channels.items():
        cell = _place(name, found)
        if cell is not None:
            cells[channel] = cell
            behind = behind or cell.state in ("warn", "bad")
    return Row(cells, "bad" if kind or _differs(cells, state.channels) else "warn" if behind else "")


def _differs(cells: Mapping[str, Cell], channels: Mapping[str, ChannelState]) -> bool:
    return any(cells[name].state == "bad" for name in channels if name in cells)


def _place(name: str, channel: ChannelState) -> Cell | None:
    """How far a node is on a channel: its height, how many blocks it is behind, whether it differs from others."""
    highest = max((*(peer.height for peer in channel.peers.values()), *channel.orderers.values()), default=0)
    if name in channel.orderers:
        height = channel.orderers[name]
        return Cell(_height(height, highest), value=height, state=_lag(height, highest))
    if name not in channel.peers:
        return None
    peer = channel.peers[name]
    others = [other for other in channel.peers.values() if other.height == peer.height]
    hashes = {other.commit_hash for other in others}
    wrong = len(hashes) > 1 or len(set(channel.common.values())) > 1
    mark = " differs" if wrong else " ✓" if len(channel.peers) > 1 else ""
    text = f"{_height(peer.height, highest)} {peer.commit_hash[:8]}{mark}"
    return Cell(text, value=peer.height, state="bad" if wrong else _lag(peer.height, highest), whole=None)


def _height(height: int, highest: int) -> str:
    return f"{height:,}" if height >= highest - _NEAR else f"{height:,} ({highest - height:,} behind)"


_NEAR: Final = 3
"""Blocks that a node may be behind while all are asked."""


def _lag(height: int, highest: int) -> State:
    return "warn" if height < highest - _NEAR else ""


def verdicts(state: NetworkState) -> Iterator[tuple[str, str, str]]:
    """What stands above the table: text, state, and the address of what it is about."""
    up = len(state.nodes) - len(state.down)
    yield f"{up} of {len(state.nodes)} nodes up", "bad" if state.down else "good", ""
    for name, channel in state.channels.items():
        if not channel.peers:
            yield f"{name}: no peer tells you of it", "dim", ""
        elif not channel.agree:
            yield f"{name}: PEERS DIFFER", "bad", f"/channels/{name}"
        elif len(channel.peers) == 1:
            (only,) = channel.peers
            leads = "" if channel.leader is None else f"; {channel.leader} leads"
            yield f"{name}: {only} alone tells you of it, nothing to compare{leads}", "dim", f"/channels/{name}"
        elif channel.leader is None:
            yield f"{name}: no leader is known", "warn", f"/channels/{name}"
        else:
            yield f"{name}: peers agree, {channel.leader} leads", "good", f"/channels/{name}"
