"""CITATION.cff: the members that its format asks for, in agreement with pyproject.toml."""

from __future__ import annotations

import tomllib

import yaml

from tests.support.processes import REPOSITORY


def test_the_citation_agrees_with_the_project() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    assert all(reference["title"] and reference["authors"] for reference in citation["references"])
