"""What schemathesis uses against a running service (``SCHEMATHESIS_HOOKS``): the check of each answer, bodies that are
no JSON, and names of what is really there in every second case."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import schemathesis

_ERRORS = Path(__file__).parents[2] / "docs" / "errors.md"
_ROW = re.compile(r"^\| `([A-Z_]+)` \| (5\d\d) ", re.MULTILINE)
DOCUMENTED = {(code, int(status)) for code, status in _ROW.findall(_ERRORS.read_text())} - {("INTERNAL", 500)}
THERE = {
    "name": os.environ.get("FUZZ_CHANNEL", ""),
    "channel": os.environ.get("FUZZ_CHANNEL", ""),
    "chaincode": os.environ.get("FUZZ_CHAINCODE", ""),
    "namespace": os.environ.get("FUZZ_CHAINCODE", ""),
    "org": os.environ.get("FUZZ_ORGANISATION", ""),
}


@schemathesis.check
def documented_server_error(ctx: Any, response: Any, case: Any) -> None:
    """Raise AssertionError for a 5xx that no page of ours explains."""
    if response.status_code >= 500:
        code = response.json()["error"]["code"]
        if (code, response.status_code) not in DOCUMENTED:
            raise AssertionError(f"{response.status_code}: {response.text}")


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Half of the cases reach what is behind a name: those whose other parameters happen to have an even length."""
    if not path_parameters or sum(len(str(value)) for value in path_parameters.values()) % 2:
        return path_parameters
    return {name: THERE.get(name) or value for name, value in path_parameters.items()}


@schemathesis.serializer("application/gzip", "application/octet-stream", "application/x-pem-file", "text/plain")
def as_bytes(ctx: Any, value: Any) -> bytes:
    """A body that is no JSON, as the bytes it is or those of its text."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ask for the status of what never comes without waiting for it for long."""
    if not query or "wait_s" not in query:
        return query
    return {**query, "wait_s": _soon(query["wait_s"])}


def _soon(wait_s: Any) -> Any:
    """A parameter may also be given several times, as a list; the service takes the last of its values."""
    if isinstance(wait_s, list):
        return [_soon(value) for value in wait_s]
    return min(wait_s, 0.01) if isinstance(wait_s, int | float) else wait_s
