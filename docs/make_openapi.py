"""Writes docs/openapi/*.json, what each service answers to ``GET /openapi.json``: ``python -m docs.make_openapi``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from gridledger.web import create_app
from gridledger.web.openapi import Description, document
from services.anchor import routes as anchor_routes
from services.ca import api_description as ca
from services.ca import routes as ca_routes
from services.case.serving import routes as case_desk
from services.lightnode import api_description as lightnode
from services.lightnode import routes as lightnode_routes
from services.orderer import api_description as orderer
from services.orderer import routes as orderer_routes
from services.peer import api_description as peer
from services.peer import routes as peer_routes
from services.relay import api_description as relay
from services.relay import routes as relay_routes
from services.rest import api_description as rest
from services.rest import routes as rest_routes
from services.rest.settings import RestLimits
from services.vault import api_description as vault_holder
from services.vault import routes as vault_holder_routes
from services.vault.base import routes as vault_base

FOLDER = Path(__file__).with_name("openapi")
SERVICES: Mapping[str, tuple[Description, Callable[[Any], APIRouter]]] = {
    "anchor": (anchor_routes.DESCRIPTION, anchor_routes.make_router),
    "case-desk": (case_desk.DESCRIPTION, lambda desk: case_desk.make_router(desk, desk)),
    "ca": (ca.DESCRIPTION, ca_routes.make_router),
    "lightnode": (lightnode.DESCRIPTION, lambda node: lightnode_routes.make_router(node, node)),
    "orderer": (orderer.DESCRIPTION, orderer_routes.make_router),
    "peer": (peer.DESCRIPTION, peer_routes.make_router),
    "relay": (relay.DESCRIPTION, relay_routes.make_router),
    "rest": (rest.DESCRIPTION, lambda bridge: rest_routes.make_router(bridge, bridge, RestLimits())),
    "vault-base": (vault_base.DESCRIPTION, lambda base: vault_base.make_router("", base, base)),
    "vault-holder": (vault_holder.DESCRIPTION, vault_holder_routes.make_router),
}


def page(service: str) -> str:
    """One service's document. Its routes are made without the node behind them: nothing is called."""
    description, make_router = SERVICES[service]
    app = create_app(service, lambda scope: None, description=description)
    app.include_router(make_router(None))
    return json.dumps(document(description, app.routes), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SERVICES:
        (FOLDER / f"{name}.json").write_text(page(name))
