"""docs/openapi/ is what the services answer, and each route of a service is described once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from docs.make_openapi import FOLDER, SERVICES, page
from gridledger.web import create_app
from gridledger.web.openapi import COMMON, routes_of
from services.ca.routes import OPEN_ROUTES

PLAIN = {
    "peer": {"POST /gateway/calls", "POST /gateway/endorse", "POST /gateway/submit", "POST /gateway/evaluate"},
    "orderer": {"POST /channels/{name}/broadcast"},
    "anchor": set(),
    "ca": set(),
    "case-desk": set(),
    "lightnode": set(),
    "relay": set(),
    "rest": set(),
    "vault-base": set(),
    "vault-holder": set(),
}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = set().union(*map(references, value.values()), set())
        return found | ({value["$ref"]} if "$ref" in value else set())
    return set().union(*map(references, value), set()) if isinstance(value, list) else set()


@pytest.mark.parametrize("service", SERVICES)
def test_the_files_are_what_is_generated(service: str) -> None:
    assert (FOLDER / f"{service}.json").read_text() == page(service), "run make reference"


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_described_and_no_other(service: str) -> None:
    description, make_router = SERVICES[service]
    app = create_app(service, lambda scope: None, description=description)
    app.include_router(make_router(None))
    assert {*description.operations, *COMMON} == routes_of(app.routes) | PLAIN[service]


@pytest.mark.parametrize("service", SERVICES)
def test_every_schema_that_is_named_is_there(service: str) -> None:
    document = json.loads(page(service))
    named = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= named


def test_the_cas_open_routes_are_described_as_open() -> None:
    operations = SERVICES["ca"][0].operations
    assert {name.split()[1] for name, one in operations.items() if one.open or one.basic} == set(OPEN_ROUTES)


def test_operations_have_ids_of_their_own() -> None:
    for service in SERVICES:
        paths = json.loads(page(service))["paths"]
        ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
        assert len(set(ids)) == len(ids)
