"""What the parts of a network config share: a name or address, and how their faults are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import Field

from gridledger.errors import GridLedgerError

Host = Annotated[str, Field(min_length=1, max_length=253)]


@contextmanager
def told_of(what: str) -> Iterator[None]:
    """An error of ours as the one that pydantic collects; ``what`` is at fault."""
    try:
        yield
    except GridLedgerError as error:
        raise ValueError(f"{what}: {error.message}") from None


def refuse_twice(what: str, names: list[str]) -> None:
    """Refuse names of which one comes twice; ``what`` they are names of."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} {', '.join(twice)} comes twice")
