"""The confinement of a chaincode host: limits on memory, files, network, processes, set before it loads chaincode."""

from __future__ import annotations

import ctypes
import resource
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Final

import gridledger
from gridledger.contract.hosting import landlock, seccomp

LOCK_FILE: Final = "lock.mdb"
_MAX_OPEN_FILES: Final = 256
_MAX_WRITTEN_FILE_BYTES: Final = 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
# What the interpreter and its libraries may still open: shared objects loaded late, and their index.
_SYSTEM_FILES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone, whatever the chaincode is doing then."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def limit_resources(memory_bytes: int) -> None:
    """Bound private memory (RLIMIT_DATA: RLIMIT_AS would count LMDB's sparse map), open files, file sizes; no core."""
    for what, bound in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, _MAX_WRITTEN_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(what, (limit, limit))


def confine(package_dir: Path, ledger_dir: Path) -> tuple[int, bool]:
    """Keep to the interpreter, GridLedger, the package and the ledgers there are now; no network, no new process.

    A ledger's lock file stays writable, because LMDB counts its readers there. Returns the Landlock ABI in force
    (0: none) and whether the seccomp filter is.
    """
    installation = {Path(path) for path in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())}
    sites = {Path(path) for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}
    library = Path(gridledger.__file__).parent
    abi = landlock.restrict(
        readable=[*installation, *sites, library, package_dir, ledger_dir, *map(Path, _SYSTEM_FILES)],
        writable_files=list(ledger_dir.glob(f"*/{LOCK_FILE}")),
    )
    return abi, seccomp.restrict()
