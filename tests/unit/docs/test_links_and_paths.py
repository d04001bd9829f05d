"""README.md, CONTRIBUTING.md and docs/*.md name only files, folders and modules that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "gridledger|services|chaincode|network-config|benchmarks|docker|docs|tests|requirements"

LINK = re.compile(r"\]\(([^)\s:#]+)(?:#[^)\s]*)?\)")
PATH = re.compile(rf"(?<![\w./@-])((?:{FOLDERS})/[\w./*{{}},-]*)")
FILE = re.compile(r"`([\w-]+\.py)`")
MODULE = re.compile(r"python -m ((?:gridledger|services|benchmarks|docs)[\w.]*)")
MAP_FOLDER = re.compile(r"    ((?:gridledger|services|chaincode|benchmarks)/[\w/]*/)\s*$")
MAP_ENTRY = re.compile(r"    ( +)([\w]+(?:\.py|/))(?:  |$)")


def matches(pattern: str, folder: Path = ROOT) -> bool:
    """Whether a path, or a glob with braces as a shell reads it, names at least one file (in each of its braces)."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces:
        choices = braces[1].split(",")
        return all(matches(pattern[: braces.start()] + item + pattern[braces.end() :], folder) for item in choices)
    return any(folder.glob(pattern)) if "*" in pattern else (folder / pattern).exists()


def entries_of_maps(text: str) -> Iterator[str]:
    """The paths in a page's maps: a folder in a line of its own, then its entries, deeper ones further in."""
    folders: list[tuple[int, str]] = []
    for line in text.splitlines():
        if start := MAP_FOLDER.match(line):
            folders = [(0, start[1])]
        elif not line.startswith("     "):
            folders = []
        elif folders and (entry := MAP_ENTRY.match(line)):
            depth = len(entry[1])
            while len(folders) > 1 and folders[-1][0] >= depth:
                folders.pop()
            path = folders[-1][1] + entry[2]
            yield path
            if path.endswith("/"):
                folders.append((depth, path))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    text = page.read_text()
    named = {path.rstrip(".,") for path in PATH.findall(text)} | set(entries_of_maps(text))
    assert sorted(path for path in named if not matches(path)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_without_their_folder_exist(page: Path) -> None:
    folders = [ROOT / name for name in FOLDERS.split("|")]
    known = {file.name for folder in folders for file in folder.rglob("*.py")}
    assert sorted(set(FILE.findall(page.read_text())) - known) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_starts_exist(page: Path) -> None:
    modules = {name.rstrip(".").replace(".", "/") for name in MODULE.findall(page.read_text())}
    assert sorted(name for name in modules if not (matches(f"{name}.py") or matches(f"{name}/__main__.py"))) == []


def test_a_map_names_the_files_below_its_folder() -> None:
    text = "    services/peer/\n      app.py      wiring\n      gateway/\n        nowhere.py\n      gone.py\n\ntext\n"
    assert list(entries_of_maps(text)) == [
        "services/peer/app.py",
        "services/peer/gateway/",
        "services/peer/gateway/nowhere.py",
        "services/peer/gone.py",
    ]
