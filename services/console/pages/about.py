"""The page About: who looks, what they may do, versions and licences."""

from __future__ import annotations

import platform
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger.errors import GridLedgerError
from gridledger.protocol.acls import DEFAULT_ACLS
from services.console.answers import page
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row
from services.console.sessions import Person
from services.console.vendored import vendored
from services.console.viewers import Viewer, Viewers

_IDENTITIES: Final = (
    Column("name", "name"),
    Column("organisation", "organisation"),
    Column("role", "role"),
    Column("attributes", "attributes"),
    Column("certificate", "certificate", minor=True),
    Column("ends", "ends"),
    Column("channels", "channels"),
)
_RIGHTS: Final = (Column("channel", "channel"), Column("who", "as"), Column("may", "may"), Column("may_not", "may not"))


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/about")
    async def about(request: Request) -> Response:
        await console.viewers.looked()
        viewers = console.viewers
        identities = Listing("identities", _IDENTITIES, [_identity(one, viewers) for one in viewers.all])
        person = request.state.caller.person
        rights = [
            _rights(viewer, channel, person, shared=viewers.shared) for channel, viewer in viewers.channels.items()
        ]
        return page(
            console,
            request,
            "about.html",
            title="About",
            identities=identities,
            rights=Listing("rights", _RIGHTS, rows=rights, empty="No channel admits you."),
            session_ends_us=round(request.state.caller.ends_s * 1e6),
            vendored=vendored(),
            python=platform.python_version(),
            network=viewers.profile.name,
        )


def _identity(viewer: Viewer, viewers: Viewers) -> Row:
    certificate = viewer.identity.certificate
    channels = [name for name in sorted(viewer.configs) if not viewers.shared or name in viewers.channels]
    roles = {found.role for channel in channels if (found := viewer.role_on(channel)) is not None}
    return Row(
        {
            "name": Cell(certificate.subject),
            "organisation": Cell(viewer.identity.mspid),
            "role": Cell(", ".join(sorted(roles)) or "none"),
            "attributes": Cell(", ".join(f"{key}={value}" for key, value in sorted(certificate.attributes.items()))),
            "certificate": Cell(certificate.fingerprint[:12], whole=certificate.fingerprint),
            "ends": Cell("", at_us=certificate.not_after_us),
            "channels": Cell(viewer.ended or ", ".join(channels), state="bad" if viewer.ended else ""),
        },
        "bad" if viewer.ended else "",
    )


def _rights(viewer: Viewer, channel: str, person: Person, *, shared: bool) -> Row:
    """What the policies let whoever looks do: the person, where the console's identities are not the person's."""
    certificate = person.certificate if shared else viewer.identity.certificate
    identity, config = viewer.role_on(channel, certificate), viewer.configs[channel]
    may: list[str] = []
    may_not: list[str] = []
    for resource in sorted(DEFAULT_ACLS):
        try:
            if identity is not None:
                config.admit(resource, identity)
            (may if identity is not None else may_not).append(resource)
        except GridLedgerError:
            may_not.append(resource)
    cells = {
        "channel": Cell(channel, href=f"/channels/{channel}"),
        "who": Cell(person.label if shared else viewer.label),
        "may": Cell(", ".join(may)),
        "may_not": Cell(", ".join(may_not) or "everything is allowed"),
    }
    return Row(cells)
