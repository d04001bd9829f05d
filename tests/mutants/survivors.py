"""Mutations that no test sees, and why that is right. Each is known by its file and the lines that differ."""

from __future__ import annotations

from tests.mutants.mutation import ROOT, Mutation

SURVIVORS: dict[tuple[str, tuple[str, ...]], str] = {}


def reason_for(mutation: Mutation) -> str | None:
    """Why this one may survive, None where nothing is known of it."""
    source = (ROOT / mutation.path).read_text()
    return SURVIVORS.get((mutation.path, mutation.changed_lines(source)))
