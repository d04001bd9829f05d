"""The position in its batch of the call that a host runs, in four bytes of memory shared with the peer.

A host notes the position before it begins a call. When it dies or hangs, the peer so knows which call is to blame, and
runs the others of the batch again.
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import Final

SIZE: Final = 4
_POSITION: Final = Struct("<I")
_NONE: Final = 2**32 - 1


class HostProgress:
    """The note of one host. ``descriptor`` is a file of ``SIZE`` bytes; it may be closed afterwards."""

    __slots__ = ("_shared",)

    def __init__(self, descriptor: int) -> None:
        self._shared = mmap.mmap(descriptor, SIZE)

    def begin(self, position: int) -> None:
        """The call at this position of the batch begins."""
        _POSITION.pack_into(self._shared, 0, position)

    def rest(self) -> None:
        """No call runs."""
        _POSITION.pack_into(self._shared, 0, _NONE)

    def running(self) -> int | None:
        """The position of the call that runs, or ran when the process died; None if none did."""
        position: int = _POSITION.unpack_from(self._shared)[0]
        return None if position == _NONE else position
