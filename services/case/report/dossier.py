"""All that a case's report tells, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.case.rows import Row
from services.case.rules.catalogue import Examined


@dataclass(frozen=True, slots=True)
class Packed:
    """A package of evidence, and what verifying it said (``gridledger.evidence.report.Report.to_dict()``)."""

    file: str
    sha256: str
    size: int
    verification: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the report: SVG text."""

    heading: str
    lead: str
    svg: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """``case`` as GetCase answers it, ``queries`` and ``findings`` as ListQueries and ListFindings do. ``rows`` are
    what was asked for, in order; ``left_out``: what of it is not there, by why, with how many. ``made_us``: now."""

    case: Mapping[str, Any]
    queries: Sequence[Mapping[str, Any]]
    findings: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    examined: Examined
    made_us: int
    left_out: Mapping[str, int | None] = field(default_factory=dict)
    packed: Packed | None = None
    drawings: Sequence[Drawing] = ()
    expectations: Sequence[tuple[str, bool]] = ()
    """Of a demonstration: what had to hold."""
