"""The CA service put together."""

from __future__ import annotations

from fastapi import FastAPI

from gridledger.web import Limits, ServerSettings, TLSFiles, create_app, serve
from services.ca.office import Office
from services.ca.routes import OPEN_ROUTES, router
from services.ca.settings import CASettings


def build(settings: CASettings, office: Office) -> FastAPI:
    """The application over an office that is open."""
    limits = Limits(max_body_bytes=settings.limits.max_body_bytes, max_requests=settings.limits.max_requests)
    organisations = [one.name for one in office.organisations]
    app = create_app(
        "ca",
        office.identify,
        limits,
        lambda: {"status": "ok", "organisations": organisations},
        node=settings.name,
        open_routes=OPEN_ROUTES,
    )
    app.include_router(router(office))
    return app


async def main(settings: CASettings) -> None:
    """Open the office and serve until told to stop."""
    office = Office(settings)
    try:
        roots = [one.root_pem for one in office.organisations]
        tls = TLSFiles(office.tls_certificate, office.tls_key, roots)
        await serve(build(settings, office), ServerSettings(settings.host, settings.port, tls))
    finally:
        office.close()
