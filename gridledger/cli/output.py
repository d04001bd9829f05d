"""What commands write to standard output: lines for people, one JSON document for programs."""

from __future__ import annotations

import sys
from typing import Any


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """Write a JSON value on a line of its own."""
    from gridledger import jsontext  # noqa: PLC0415 - orjson is not needed for help

    say(jsontext.dumps(value).decode())
