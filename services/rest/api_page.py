"""The OpenAPI description as one page of HTML, which loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:.7rem;overflow:auto;font-size:.85rem}h2{margin-top:2.2rem;font-size:1.05rem}"
    "code{background:#f4f4f4}details{margin:.3rem 0}"
)


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    return "".join(_parts(document))


def _parts(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    title = escape(info["title"])
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title} {escape(info['version'])}</h1><p>{escape(info['summary'])}. "
    yield "Send <code>Authorization: Bearer TOKEN</code>. "
    yield "The same for programs: <a href=openapi.json>openapi.json</a></p>"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(method.upper(), path, operation)
    yield "<h1>Schemas</h1>"
    for name, schema in document["components"]["schemas"].items():
        yield f"<h2 id={escape(name)}>{escape(name)}</h2>{_written(schema)}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2><p>{escape(operation['summary'])}."
    yield f" {escape(operation.get('description', ''))}</p>"
    parts = {
        "parameters": operation.get("parameters"),
        "body": operation.get("requestBody", {}).get("content"),
        "answer": next(iter(operation["responses"].values())).get("content"),
    }
    for name, part in parts.items():
        if part:
            yield f"<details><summary>{name}</summary>{_written(part)}</details>"


def _written(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
