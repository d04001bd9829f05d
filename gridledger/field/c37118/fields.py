"""Fields of a frame, one after the other."""

from __future__ import annotations

import struct
from typing import Any

from gridledger.field.c37118.frame import FrameError


class Fields:
    """Reads fields from the front. A frame that ends in one raises :class:`FrameError` with the field's name."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, name: str, form: str) -> Any:
        """The next number, in :mod:`struct`'s form."""
        try:
            (value,) = struct.unpack_from(form, self._data, self._at)
        except struct.error:
            raise FrameError(name, "the frame ends before this field") from None
        self._at += struct.calcsize(form)
        return value

    def bytes(self, name: str, count: int) -> bytes:
        """The next ``count`` bytes."""
        found = self._data[self._at : self._at + count]
        if len(found) != count:
            raise FrameError(name, "the frame ends before this field")
        self._at += count
        return found

    def end(self) -> None:
        """:class:`FrameError` where bytes are left."""
        if self._at != len(self._data):
            raise FrameError("size", f"{len(self._data) - self._at} bytes follow the last field")
