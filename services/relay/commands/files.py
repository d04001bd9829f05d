"""Files that commands read and write: bounded, and told of in one line where they cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gridledger.errors import InputError


def read_bytes(path: Path, most: int) -> bytes:
    """A file's bytes, one more than ``most`` of a larger one; :class:`InputError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name once all is written; what was there stays until then.

    :class:`InputError` where it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
