"""Settings of the C library's heap for a node's process."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1024 * 1024
_KEPT_BYTES = 8 * 1024 * 1024


def keep_read_buffers() -> None:
    """Have buffers of less than 1 MiB cut from the heap, of which up to 8 MiB stay when they are free.

    Event loops give every read from a TLS connection a buffer of 256 KiB, two for each piece that arrives. glibc maps
    and unmaps memory for each of those, 12 us a time, unless it is told that they come again at once. For a process of
    our own only: a library must not decide this for its user's. Other C libraries than glibc are left as they are.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
