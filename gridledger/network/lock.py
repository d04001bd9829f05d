"""The locks of a network's folder: one supervisor at a time, found and told to stop by its process id, and one command
at a time that changes the network."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from types import ModuleType

from gridledger.backoff import Backoff
from gridledger.errors import ConflictError, UnavailableError
from gridledger.extras import UnsupportedSystem
from gridledger.network.folder import NetworkFolder

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25


@contextmanager
def locked(folder: NetworkFolder) -> Iterator[None]:
    """Hold the folder's lock; :class:`ConflictError` where a supervisor runs this network already."""
    locks = _locks()
    folder.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
        except OSError:
            raise ConflictError(
                f"the network in {folder.root} is running already (gridledger status --dir {folder.root})"
            ) from None
        if not os.fstat(descriptor).st_nlink:
            raise ConflictError(f"the network in {folder.root} was just reset; try again")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def changing(folder: NetworkFolder) -> Iterator[None]:
    """Hold the folder for one command that changes the network; :class:`ConflictError` while another one does. Each
    reads the description at its begin and writes it: of two at once one would undo what the other did."""
    locks = _locks()
    descriptor = os.open(folder.changes_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
        except OSError:
            raise ConflictError(
                f"another command changes the network in {folder.root} now: try again when it is done"
            ) from None
        yield
    finally:
        os.close(descriptor)


def is_running(folder: NetworkFolder) -> bool:
    """Whether a supervisor runs this network."""
    if not folder.supervisor_lock.exists():
        return False
    with folder.supervisor_lock.open("r") as file:
        return not _lock_is_free(file.fileno())


def stop_detached(folder: NetworkFolder, timeout_s: float = 60.0) -> bool:
    """Tell the supervisor of this folder to stop and wait for it; False where none runs."""
    if not folder.supervisor_lock.exists():
        return False
    with folder.supervisor_lock.open("r") as file:
        if _lock_is_free(file.fileno()):
            return False
        os.kill(int(file.read()), signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        while not _lock_is_free(file.fileno()):
            if time.monotonic() > deadline:
                raise UnavailableError(f"the supervisor of {folder.root} did not stop within {timeout_s:g} s")
            # Another process's lock cannot be waited for with a deadline, only asked for again.
            signal.sigtimedwait([], backoff.failed())
    return True


def _lock_is_free(descriptor: int) -> bool:
    locks = _locks()
    try:
        locks.flock(descriptor, locks.LOCK_SH | locks.LOCK_NB)
    except OSError:
        return False
    locks.flock(descriptor, locks.LOCK_UN)
    return True


def _locks() -> ModuleType:
    """The module of locks. It is imported when a network is there, as ``gridledger status`` runs without it too."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ModuleNotFoundError:
        raise UnsupportedSystem("a network of local processes") from None
    return fcntl
