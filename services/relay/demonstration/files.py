"""What the demonstration exports: the captures as a table, and the chain in the article's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.relay.article import verify_chain
from services.relay.commands.article_file import ArticleFile
from services.relay.commands.table_files import CSVFile
from services.relay.errors import ArticleChainBad


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain in the article's form, as it verified; ``fault`` says why it did not."""

    length: int = 0
    head: str = "none"
    fault: str = ""


def write_captures(path: Path, record: Mapping[str, Any], items: Sequence[dict[str, Any]]) -> None:
    """Write a table with a row for each reading. ``items``: ListCaptures', with texts."""
    with path.open("wb") as file:
        table = CSVFile(file, dict(record))
        table.add(list(items))
        table.close()


def write_chain(path: Path, record: Mapping[str, Any], items: Sequence[dict[str, Any]]) -> Chain:
    """Write the chain, and verify what was written."""
    with path.open("wb") as file:
        chain = ArticleFile(file, record["relay"])
        chain.add(list(items))
        chain.close()
    try:
        found = verify_chain(path.read_bytes())
    except ArticleChainBad as error:
        return Chain(fault=error.message)
    return Chain(found["length"], found["head"])
