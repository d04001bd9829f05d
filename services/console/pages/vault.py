"""The pages of shard storage: clusters, holders and objects; one object with its holders' health and its reads."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger.errors import NotFoundError
from services.console.answers import page_or_export
from services.console.applications import VAULT, Place, of_each, place_on, places
from services.console.console import Console
from services.console.listing import Column, Listing, Row
from services.console.vault import view

_TITLE: Final = VAULT.title
_MAX_HOLDERS: Final = 500
_MAX_OBJECTS: Final = 200
_MAX_READS: Final = 1000


def add_to(router: APIRouter, console: Console) -> None:
    """Add these pages."""

    @router.get("/vault")
    async def vault(request: Request) -> Response:
        await console.viewers.looked()
        told, faults = await of_each(places(console.viewers, VAULT), _rows)

        def made(name: str, columns: tuple[Column, ...], rows: list[Row], empty: str) -> Listing:
            return Listing(name, columns, view.failed_first(rows), "/vault", {"list": name}, empty=empty)

        lists = {
            "objects": made(
                "objects",
                view.OBJECTS,
                [row for one in told for row in one["objects"]],
                "No object is stored: gridledger vault put FILE.",
            ),
            "clusters": made(
                "clusters",
                view.CLUSTERS,
                [row for one in told for row in one["clusters"]],
                "No cluster is set: gridledger vault set-up.",
            ),
            "holders": made(
                "holders",
                view.HOLDERS,
                [row for one in told for row in one["holders"]],
                "No holder has joined.",
            ),
        }
        return page_or_export(
            console,
            request,
            "vault.html",
            _chosen(request, lists, "objects"),
            title=_TITLE,
            here=_TITLE,
            lists=lists,
            seen=", ".join(sorted({place.viewer.label for place in places(console.viewers, VAULT)})),
            faults=faults,
        )

    @router.get("/vault/{channel}/{name}")
    async def one(channel: str, name: str, request: Request) -> Response:
        await console.viewers.looked()
        place = place_on(console.viewers, VAULT, channel)
        health, (reads, more) = await asyncio.gather(
            place.ask("GetHealth", object=name), place.items("GetReads", _MAX_READS, object=name)
        )
        manifest = await place.ask("GetObject", object=name, version=health["version"])
        path = view.object_path(channel, name)
        lists = {
            "shares": Listing("shares", view.SHARES, view.share_rows(health), path, {"list": "shares"}),
            "reads": Listing(
                "reads",
                view.READS,
                view.read_rows(channel, reads),
                path,
                {"list": "reads"},
                empty="Nobody was granted a read.",
            ),
        }
        return page_or_export(
            console,
            request,
            "vault_object.html",
            _chosen(request, lists, "reads"),
            title=f"Object {manifest['object']}",
            here=_TITLE,
            channel=channel,
            name=manifest["object"],
            path=path,
            facts=view.object_facts(manifest, health),
            lists=lists,
            more=more,
            seen=place.viewer.label,
        )


def _chosen(request: Request, lists: dict[str, Listing], otherwise: str) -> Listing:
    chosen = request.query_params.get("list", otherwise)
    if chosen not in lists:
        raise NotFoundError(f"there is no list {chosen!r:.40}; there are: {', '.join(lists)}")
    return lists[chosen]


async def _rows(place: Place) -> list[dict[str, list[Row]]]:
    """The rows of one place's lists."""
    stored = await _stored(place)
    return [
        {
            "objects": view.object_rows(stored),
            "clusters": view.cluster_rows(stored),
            "holders": view.holder_rows(stored),
        }
    ]


async def _stored(place: Place) -> view.Stored:
    (clusters, _), (holders, _), (joins, _), (objects, _) = await asyncio.gather(
        place.items("ListClusters", _MAX_HOLDERS),
        place.items("ListHolders", _MAX_HOLDERS),
        place.items("ListJoins", _MAX_HOLDERS),
        place.items("ListObjects", _MAX_OBJECTS),
    )
    suspicions = await asyncio.gather(*(_suspicions(place, str(one["holder"])) for one in holders))
    health = await asyncio.gather(*(_health(place, one) for one in objects))
    told = [{**one, "suspicions": said} for one, said in zip(holders, suspicions, strict=True)]
    return view.Stored(place.channel, clusters, told, joins, list(zip(objects, health, strict=True)))


async def _suspicions(place: Place, holder: str) -> list[Any]:
    return list((await place.ask("GetHolder", holder=holder))["suspicions"])


async def _health(place: Place, record: dict[str, Any]) -> dict[str, Any] | None:
    return None if record["abandoned"] is not None else await place.ask("GetHealth", object=record["object"])
