"""Landlock by ctypes: a process gives up its own right to open files and to use the network, for good.

Landlock is in Linux since 5.13 and needs no privilege; each of its versions (ABI) has more rights. Numbers and layouts
are those of <linux/landlock.h>; the three system calls have the same numbers on every architecture.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION_FLAG: Final = 1
_RULE_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
# Bits 0 to 12 came with ABI 1, then one each with 2 (rename across folders), 3 (truncate) and 5 (ioctl on devices).
_FS_RIGHTS_BY_ABI: Final = ((5, (1 << 16) - 1), (3, (1 << 15) - 1), (2, (1 << 14) - 1), (1, (1 << 13) - 1))
_ABI_WITH_TCP: Final = 4
_TCP_RIGHTS: Final = 0b11
_ABI_WITH_SCOPES: Final = 6
_SCOPES: Final = 0b11  # abstract UNIX sockets of others, signals to others


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what _pack_ has meant all along; Python 3.14 wants it said
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


_libc: Final = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none, or where it is switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)))


def restrict(*, readable: Sequence[Path]) -> int:
    """From here on this process opens nothing but files below ``readable``, and these for reading.

    Nothing can be written, executed, created, removed or renamed, no TCP connection made or accepted. What is open
    stays open. Paths that do not exist are left out. Returns the ABI in force; 0 says that the kernel has no Landlock
    and nothing is restricted. Raises OSError where the kernel has it and refuses. Call it before any thread starts.
    """
    version = abi()
    if version == 0:
        return 0
    handled = next(rights for least, rights in _FS_RIGHTS_BY_ABI if version >= least)
    attr = _RulesetAttr(
        fs=handled,
        net=_TCP_RIGHTS if version >= _ABI_WITH_TCP else 0,
        scoped=_SCOPES if version >= _ABI_WITH_SCOPES else 0,
    )
    size = 8 if version < _ABI_WITH_TCP else 16 if version < _ABI_WITH_SCOPES else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(size), 0)
    try:
        for path in readable:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR) if path.is_dir() else _READ_FILE)
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        attr = _PathBeneathAttr(allowed=rights, parent_fd=parent)
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(attr), 0)
    finally:
        os.close(parent)


def _call(number: int, *args: object) -> int:
    outcome = int(_libc.syscall(number, *args))
    if outcome < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock system call {number}: {os.strerror(code)}")
    return outcome
