"""Small files that a node keeps about itself: a JSON object with the number of its format and a CRC-32 of the rest."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import CorruptionError, MalformedJSON
from gridledger.formats import Format


def seal(kind: Format, message: dict[str, Any]) -> bytes:
    """The text of such a file."""
    body = {"format": kind.number, **message}
    return jsontext.dumps({**body, "crc": zlib.crc32(jsontext.dumps(body))})


def unseal(kind: Format, data: bytes, path: Path, remedy: str) -> dict[str, Any]:
    """What was sealed. ``remedy`` ends the error's line: what to do when the file is damaged.

    Raises :class:`CorruptionError` for a file that is empty or not as it was written, and OtherFormat.
    """
    if not data.strip(b"\0 \n"):
        raise CorruptionError(f"{path} is empty; {remedy}", file=str(path))
    try:
        body = jsontext.loads(data)
    except MalformedJSON:
        body = None
    if not isinstance(body, dict):
        raise CorruptionError(f"{path} is damaged; {remedy}", file=str(path))
    crc = body.pop("crc", None)
    if crc is None:
        kind.check(body.get("format", 1), path)
    if crc != zlib.crc32(jsontext.dumps(body)):
        raise CorruptionError(f"{path} is damaged: its checksum does not hold; {remedy}", file=str(path))
    kind.check(body.pop("format"), path)
    return body
