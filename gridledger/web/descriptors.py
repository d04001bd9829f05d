"""File descriptors: as many as the system allows, and how many of them may be a server's connections."""

from __future__ import annotations

import resource
from pathlib import Path

from gridledger.errors import SettingsError

KEPT = 256
"""Kept back from connections that come in: for files, the ledgers' maps, connections to other nodes, pipes to child
processes. The log goes to standard error, which is open already."""

LEAST_CONNECTIONS = 64


def raise_limit() -> None:
    """Raise this process's soft limit of open files to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_within(wanted: int) -> int:
    """How many connections a server takes that would take ``wanted``: the limit less ``KEPT`` and what is open now.

    Raises :class:`SettingsError` where the limit leaves fewer than ``LEAST_CONNECTIONS``.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return wanted
    free = limit - _open_now() - KEPT
    if free < min(wanted, LEAST_CONNECTIONS):
        raise SettingsError(
            f"the limit of {limit} open files leaves no room for connections: raise it (ulimit -n, LimitNOFILE) "
            f"to {limit - free + LEAST_CONNECTIONS} at least"
        )
    return min(wanted, free)


def _open_now() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if Path(folder).is_dir():
            return sum(1 for _ in Path(folder).iterdir())
    return 0
