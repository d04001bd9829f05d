"""Pages as HTML: Jinja templates, which escape every value; what comes from the ledger is foreign text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER: Final = Path(__file__).parent / "templates"
SHORT: Final = 12
MAX_SHOWN: Final = 100_000
"""Characters of a JSON value that a page shows where anything may stand in it."""

_ENCODER: Final = json.JSONEncoder(indent=1, ensure_ascii=False)


class Renderer:
    """Renders templates. ``always`` gives what every page has, of a session (None before the login)."""

    def __init__(self, always: Callable[[Any], dict[str, Any]]) -> None:
        self._always = always
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "number": grouped,
            "short": short,
            "time": told_time,
            "pretty": pretty_bounded,
        }

    def render(self, template: str, session: Any, **values: Any) -> str:
        """The HTML text of a page."""
        return self._environment.get_template(template).render({**self._always(session), **values})


def grouped(value: float) -> str:
    """A number with its thousands set apart."""
    return f"{value:,}"


def short(text: str, length: int = SHORT) -> str:
    """The beginning of an id."""
    return text if len(text) <= length else f"{text[:length]}…"


def told_time(at_us: int | None) -> str:
    """A time (microseconds since 1970) in UTC, as ISO 8601 writes it; what is no time, as a number."""
    if at_us is None:
        return "never"
    try:
        moment = datetime.fromtimestamp(at_us / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return str(at_us)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def pretty_bounded(value: Any) -> str:
    """A JSON value on several lines, cut to what a page shows."""
    parts, length = list[str](), 0
    for part in _ENCODER.iterencode(value):  # what is nested deeply is many times as long on several lines
        parts.append(part)
        length += len(part)
        if length > MAX_SHOWN:
            return f"{''.join(parts)[:MAX_SHOWN]}\n… and more: this page shows {MAX_SHOWN:,} characters of it"
    return "".join(parts)
