"""One feeder at a time in a network's folder: each one simulates a grid of its own, and the ledger judges one grid."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gridledger.disk import SYSTEM_DISK
from gridledger.errors import ConflictError

LOCK = "streaming.lock"


@asynccontextmanager
async def only_feeder(network: Path) -> AsyncIterator[None]:
    """In the block no other feeder runs with the network's folder, or with the connection profile in it.

    Raises ConflictError, which names the other process. The lock ends with the process, however that ends.
    """
    folder = network if network.is_dir() else network.parent  # noqa: ASYNC240 - at once
    descriptor = SYSTEM_DISK.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            with suppress(ImportError):  # Windows has no such lock
                SYSTEM_DISK.lock(descriptor)
        except OSError as error:
            raise ConflictError(
                f"another feeder drives the groups of {folder} ({error.strerror}): wait for its end, or stop it first",
                folder=str(folder),
            ) from None
        yield
    finally:
        SYSTEM_DISK.close(descriptor)
