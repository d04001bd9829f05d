"""The report of a demonstration: one HTML file that needs no other, with its figures as inline SVG.

Jinja comes with the extras of applications that have a report; it is imported when a report is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from gridledger.extras import require_extra
from gridledger.files import write_atomically

Tone = Literal["", "good", "warn", "bad", "dim"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure at the top of the page: ``value`` with its unit, what it is, and what it is to be compared with."""

    value: str
    label: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table. ``mono``: in a fixed-width face, for hashes."""

    text: str
    tone: Tone = ""
    mono: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its head, and rows of as many cells."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: a heading, a sentence or two, then a drawing (SVG text), a table, or both."""

    heading: str
    lead: str = ""
    svg: str = ""
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The page. ``verdict`` is one line; ``expectations`` are those that held, with True, and those that did not."""

    title: str
    subtitle: str
    verdict: str
    is_good: bool
    figures: Sequence[Figure]
    sections: Sequence[Section]
    expectations: Sequence[tuple[str, bool]] = ()
    footer: str = ""


def write_report(path: Path, report: Report, *, extra: str) -> None:
    """Write the page; its folder exists. Raises MissingExtra, where ``extra`` is not installed."""
    write_atomically(path, render_report(report, extra=extra).encode())


def render_report(report: Report, *, extra: str) -> str:
    """The page's text. All that comes from outside is escaped; of SVG only what follows ``<svg`` is taken."""
    require_extra(extra, "the report")
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    template = files("gridledger.demonstration").joinpath("report.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(template).render(report=report, svg_of=_inline)


def _inline(svg: str) -> str:
    """An SVG document without what stands before its root element, which HTML does not take."""
    return svg[svg.index("<svg") :]
