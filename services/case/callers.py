"""Callers that the ledger names, as commands and reports tell of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = re.compile(r"x509::/?CN=((?:\\.|[^,:\\])+)")


def who(by: Mapping[str, Any]) -> str:
    """A caller, {mspid, id, ...}, as ``KyivMSP/olha``; by the whole id where that has no name of its own."""
    found = _NAME.match(by["id"])
    return f"{by['mspid']}/{by['id'] if found is None else found.group(1)}"
