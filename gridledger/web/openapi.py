"""OpenAPI of a service: ``GET /openapi.json`` for members, made from the routes and from a table of operations.

FastAPI knows each route's path and parameters. What goes in and what comes out is in the service's table, one
:class:`Operation` a route; plain routes, which FastAPI does not see, are described by the same table. Schemas are JSON
Schema 2020-12, as OpenAPI 3.1 has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

import gridledger

Schema: TypeAlias = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256, hexadecimal"}
BASE64: Final[Schema] = {"type": "string", "contentEncoding": "base64"}
ANY: Final[Schema] = {"description": "any JSON value"}

ERROR: Final = "Error"
_ERROR_SCHEMA: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "stable, for programs: docs/errors.md"},
                "message": {"type": "string", "description": "for people: what is wrong and what to do"},
                "details": {"type": "object"},
            },
        }
    },
}


_TOKEN: Final[Schema] = {"token": {"type": "http", "scheme": "bearer", "description": "the client's token"}}
_CERTIFICATES: Final[Schema] = {
    "client_certificate": {
        "type": "mutualTLS",
        "description": "a certificate that the CA of a member organisation has issued",
    },
    "registration": {"type": "http", "scheme": "basic", "description": "id and secret of a registration"},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What one route takes and gives. ``body`` and ``answer`` are schemas; None is an empty body or answer.

    ``media`` and ``answer_media`` say how they are written where that is not JSON. ``parameters`` are the query's,
    for a plain route; FastAPI knows those of its own. ``open`` routes are served without a client certificate.
    """

    summary: str
    answer: Schema | None = None
    body: Schema | None = None
    description: str = ""
    media: str = "application/json"
    answer_media: str = "application/json"
    status: int = 200
    parameters: Sequence[Schema] = ()
    open: bool = False
    basic: bool = False


COMMON: Final[Mapping[str, Operation]] = {
    "GET /healthz": Operation(
        "Whether the service works",
        {"type": "object", "required": ["service", "node", "status"], "properties": {"status": TEXT}},
        description="Answers 200 with status `ok`, and 503 with any other status.",
        open=True,
    ),
    "GET /version": Operation(
        "Versions of GridLedger and Python",
        {
            "type": "object",
            "properties": {"service": TEXT, "node": TEXT, "version": TEXT, "python": TEXT},
        },
        open=True,
    ),
    "GET /metrics": Operation("Metrics in Prometheus's text form", TEXT, answer_media="text/plain"),
    "GET /openapi.json": Operation("This description", {"type": "object"}),
}
"""The routes of every service."""


@dataclass(frozen=True, slots=True)
class Description:
    """A service's table: its operations by ``"METHOD /path"``, and the schemas that they refer to by name.

    Callers come with a certificate, or with a token where the service says ``bearer``.
    """

    title: str
    summary: str
    operations: Mapping[str, Operation]
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    bearer: bool = False


def named(schema: str) -> Schema:
    """A reference to one of the description's ``schemas``."""
    return {"$ref": f"#/components/schemas/{schema}"}


def members(**properties: Schema) -> Schema:
    """An object with exactly these members."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def list_of(schema: Schema) -> Schema:
    """A list of such values."""
    return {"type": "array", "items": schema}


def nullable(schema: Schema) -> Schema:
    """Such a value, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def query(name: str, schema: Schema, description: str) -> Schema:
    """A parameter of the query, which may be left out."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def document(description: Description, routes: Sequence[BaseRoute]) -> Schema:
    """The OpenAPI document of a service with these routes."""
    known = _known_to_fastapi(routes)
    paths: dict[str, dict[str, Schema]] = {}
    for name, operation in sorted({**COMMON, **description.operations}.items()):
        method, _, path = name.partition(" ")
        found = known.get(path, {}).get(method.lower(), {}).get("parameters")
        parameters = list(found) if found is not None else [*_path_parameters(path), *operation.parameters]
        paths.setdefault(path, {})[method.lower()] = _written(name, operation, parameters)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": description.title,
            "summary": description.summary,
            "version": gridledger.__version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token" if description.bearer else "client_certificate": []}],
        "paths": paths,
        "components": {
            "schemas": {ERROR: _ERROR_SCHEMA, **description.schemas},
            "securitySchemes": _TOKEN if description.bearer else _CERTIFICATES,
        },
    }


def routes_of(routes: Sequence[BaseRoute]) -> set[str]:
    """The routes that FastAPI serves, as a table names them: ``"GET /channels/{name}"``."""
    return {f"{method.upper()} {path}" for path, methods in _known_to_fastapi(routes).items() for method in methods}


def _known_to_fastapi(routes: Sequence[BaseRoute]) -> dict[str, dict[str, Schema]]:
    paths: dict[str, dict[str, Schema]] = get_openapi(title="", version="", routes=routes).get("paths", {})
    return paths


def _path_parameters(path: str) -> list[Schema]:
    names = [part[1:-1] for part in path.split("/") if part[:1] == "{"]
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]


def _written(name: str, operation: Operation, parameters: list[Schema]) -> Schema:
    answer: Schema = {"description": operation.summary}
    if operation.answer is not None:
        answer["content"] = {operation.answer_media: {"schema": operation.answer}}
    written: Schema = {
        "operationId": _operation_id(name),
        "summary": operation.summary,
        "responses": {
            str(operation.status): answer,
            "default": {"description": "an error", "content": {"application/json": {"schema": named(ERROR)}}},
        },
    }
    if operation.description:
        written["description"] = operation.description
    if parameters:
        written["parameters"] = parameters
    if operation.body is not None:
        written["requestBody"] = {"required": True, "content": {operation.media: {"schema": operation.body}}}
    if operation.open or operation.basic:
        written["security"] = [{"registration": []}] if operation.basic else []
    return written


def _operation_id(name: str) -> str:
    words = [word for word in name.replace("/", " ").replace("-", " ").split() if word[:1] != "{"]
    of = "_".join(part[1:-1] for part in name.split("/") if part[:1] == "{")
    return "_".join(words).lower().replace(".", "_") + (f"_of_{of}" if of else "")
