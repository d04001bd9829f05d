"""The confinement of a chaincode host: limits on memory, files and system calls, set before it loads chaincode."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Set
from contextlib import suppress
from pathlib import Path
from typing import Final

import gridledger
from gridledger.contract.hosting import landlock, seccomp

LEDGER_FILE: Final = "data.mdb"
_MAX_OPEN_FILES: Final = 256
_MAX_STACK_BYTES: Final = 8 * 1024 * 1024
_MAX_LIBRARY_BYTES: Final = 4 * 1024 * 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
# What the interpreter and its libraries may still open: shared objects loaded late, and their index.
_SYSTEM_FILES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone, whatever the chaincode is doing then."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def close_descriptors(keep: Set[int]) -> None:
    """Close what this process has inherited beyond ``keep``: what the peer, or who started it, left open."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in keep:
            with suppress(OSError):  # the folder's own, by which it was listed
                os.close(int(entry.name))


def limit_resources(memory_bytes: int, map_bytes: int) -> None:
    """Bound private memory (RLIMIT_DATA), the stack, addresses, open files; no locked memory, written file, core.

    The bound of addresses leaves room for ``map_bytes``, LMDB's sparse maps. It is far beyond the memory's, and bounds
    the page tables of maps that are only read.
    """
    for what, bound in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_STACK, _MAX_STACK_BYTES),
        (resource.RLIMIT_AS, map_bytes + memory_bytes + _MAX_LIBRARY_BYTES),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(what, (limit, limit))


def ledger_files(ledger_dir: Path) -> list[Path]:
    """LMDB's file of each ledger in a folder."""
    return list(ledger_dir.glob(f"*/{LEDGER_FILE}"))


def confine(package_dir: Path, ledger_dir: Path) -> tuple[int, bool]:
    """Read the interpreter, GridLedger, the package and the ledgers there are now; write nothing, start nothing.

    A ledger's lock file is out of reach: LMDB's mutexes lie there, and who can write it can stop the committer. Returns
    the Landlock ABI in force (0: none) and whether the seccomp filter is.
    """
    installation = {Path(path) for path in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())}
    sites = {Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}
    library = Path(gridledger.__file__).parent
    abi = landlock.restrict(
        readable=[*installation, *sites, library, package_dir, *ledger_files(ledger_dir), *map(Path, _SYSTEM_FILES)],
    )
    return abi, seccomp.restrict()
