"""The position in its batch of the call that a host runs, in four bytes of memory shared with the peer.

A host notes the position before it begins a call. When it dies or hangs, the peer so knows which call is to blame, and
runs the others of the batch again. The memory's size is sealed: a host that could cut it short would end the peer, by
SIGBUS, at its next look.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from struct import Struct
from typing import Final

SIZE: Final = 4
_POSITION: Final = Struct("<I")
_NONE: Final = 2**32 - 1


def new_note() -> int:
    """The descriptor of a new note, closed by whoever asks for it."""
    descriptor = os.memfd_create("host-progress", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, SIZE)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class HostProgress:
    """The note of one host. ``descriptor`` is what :func:`new_note` made; it may be closed afterwards."""

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
