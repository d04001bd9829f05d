"""A seccomp filter by ctypes: a chaincode host makes the system calls that are allowed, and no others, for good.

What is refused by name fails with EPERM, what is not known here with ENOSYS, as in a kernel that does not have it.
Numbers are those of <linux/seccomp.h> and <linux/bpf_common.h>; flags are the same on both architectures.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from gridledger.contract.hosting.system_calls import ALLOWED, CONDITIONAL, FORBIDDEN

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2

_LOAD: Final = 0x20  # A = the 32-bit word at k of seccomp_data
_AND: Final = 0x54
_JUMP: Final = 0x15  # if equal
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NR, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000 | errno.EPERM
_UNKNOWN: Final = 0x00050000 | errno.ENOSYS
_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: a host opens nothing for writing, and O_TMPFILE needs one of the first two.
_WRITING: Final = 0o1 | 0o2 | 0o100 | 0o1000
_MAP_TYPE, _MAP_SHARED, _MAP_PRIVATE, _MAP_ANONYMOUS, _PROT_WRITE = 0x0F, 1, 2, 0x20, 2
# A map's type, FIXED, ANONYMOUS, DENYWRITE, EXECUTABLE, NORESERVE, STACK, FIXED_NOREPLACE: what the C library uses. Not
# GROWSDOWN, which RLIMIT_DATA does not bound, nor LOCKED, POPULATE and HUGETLB, which take memory before it is used.
_MAP_FLAGS: Final = _MAP_TYPE | 0x10 | _MAP_ANONYMOUS | 0x800 | 0x1000 | 0x4000 | 0x20000 | 0x100000
# NORMAL to DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP. Not what reaches pages that others share: HWPOISON
# (root's), REMOVE, PAGEOUT, COLD.
_MADVICE: Final = (0, 1, 2, 3, 4, 8, 14, 15, 16, 17)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. Not locks and leases, which others would wait for, nor signals.
_FCNTL: Final = (0, 1, 2, 3, 1030)
# TCGETS and TIOCGWINSZ (is this a terminal?), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
_IOCTL: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)


class _Step(NamedTuple):
    """An instruction. Where a jump goes to: None is the next one, the others are the ends of the block."""

    code: int
    k: int
    if_true: str | None = None
    if_false: str | None = None


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> bool:
    """Install the filter. False on an architecture not known here, and in a kernel built without such filters."""
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        return False
    code = program(machine, os.getpid())
    loaded = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(loaded), 0, 0):
        if ctypes.get_errno() in {errno.EINVAL, errno.ENOSYS}:
            return False
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
    return True


def program(machine: str, pid: int) -> bytes:
    """The filter of process ``pid`` in classic BPF: each instruction is code, jump if true, jump if false, k."""
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
    ]
    for name, numbers in CONDITIONAL.items():
        number = getattr(numbers, machine)
        if number is not None:
            block = _assembled(_condition(name, pid))
            steps += [(_JUMP, 0, len(block), number), *block]
    for calls, outcome in ((ALLOWED, _ALLOW), (FORBIDDEN, _REFUSE)):
        for numbers in calls.values():
            number = getattr(numbers, machine)
            if number is not None:
                steps += [(_JUMP, 0, 1, number), (_RETURN, 0, 0, outcome)]
    steps.append((_RETURN, 0, 0, _UNKNOWN))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _condition(name: str, pid: int) -> list[_Step]:
    """The tests of a call's arguments. Behind the last one the call is refused."""
    match name:
        case "open" | "openat":
            return [_argument(1 if name == "open" else 2), _Step(_JUMP_ANY_BIT, _WRITING, "refuse", "allow")]
        case "mmap":
            # LMDB's map is shared and read only. Shared memory that can be written would be bounded by nothing.
            return [
                _argument(3),
                _Step(_JUMP_ANY_BIT, 0xFFFFFFFF & ~_MAP_FLAGS, "refuse"),
                _Step(_AND, _MAP_TYPE),
                _Step(_JUMP, _MAP_PRIVATE, "allow"),
                _Step(_JUMP, _MAP_SHARED, None, "refuse"),
                _argument(3),
                _Step(_JUMP_ANY_BIT, _MAP_ANONYMOUS, "refuse"),
                _argument(2),
                _Step(_JUMP_ANY_BIT, _PROT_WRITE, "refuse", "allow"),
            ]
        case "madvise":
            return _one_of(2, _MADVICE)
        case "fcntl":
            return _one_of(1, _FCNTL)
        case "ioctl":
            return _one_of(1, _IOCTL)
        case "prlimit64":
            # Its own limits (pid 0), and only to read them: the new ones are at no address.
            return [
                _argument(0),
                _Step(_JUMP, 0, None, "refuse"),
                _argument(2),
                _Step(_JUMP, 0, None, "refuse"),
                _argument(2, high=True),
                _Step(_JUMP, 0, "allow"),
            ]
        case "tgkill":
            return _one_of(0, (pid,))
        case _:
            raise AssertionError(name)


def _argument(position: int, *, high: bool = False) -> _Step:
    """Load the lower or the higher half of an argument; both architectures are little-endian."""
    return _Step(_LOAD, _FIRST_ARGUMENT + 8 * position + (4 if high else 0))


def _one_of(position: int, values: Sequence[int]) -> list[_Step]:
    return [_argument(position), *(_Step(_JUMP, value, "allow") for value in values)]


def _assembled(block: list[_Step]) -> list[tuple[int, int, int, int]]:
    """A block with its two ends behind it, and its jumps as distances."""
    ends = {"refuse": len(block), "allow": len(block) + 1}

    def distance(target: str | None, position: int) -> int:
        return 0 if target is None else ends[target] - position - 1

    steps = [
        (step.code, distance(step.if_true, position), distance(step.if_false, position), step.k)
        for position, step in enumerate(block)
    ]
    return [*steps, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
