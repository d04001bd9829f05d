"""The files of others that the console serves: what they are, of which version, under which licence."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext

FOLDER: Final = Path(__file__).parent / "static" / "vendor"


@cache
def vendored() -> tuple[dict[str, Any], ...]:
    """The packages in ``vendor.json``: name, version, licence, npm's integrity, and each file with its SHA-512."""
    return tuple(jsontext.loads((FOLDER / "vendor.json").read_bytes())["packages"])
