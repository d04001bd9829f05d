"""A seccomp filter by ctypes: system calls that a chaincode host does not need fail with EPERM, for good.

It refuses what Landlock leaves open in part or wholly: sockets of every kind, new processes and programs, looking into
other processes. Numbers are those of <linux/seccomp.h>, <linux/bpf_common.h> and the system call tables.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2

_LOAD: Final = 0x20  # A = the 32-bit word at k of seccomp_data (nr at 0, arch at 4, low half of argument 0 at 16)
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER_OR_EQUAL: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NR, _ARCH, _ARG0 = 0, 4, 16
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_EPERM: Final = 1
_ENOSYS: Final = 38
_CLONE_THREAD: Final = 0x00010000
_X32: Final = 0x40000000

# Architecture: its AUDIT_ARCH number, clone, and what is refused. fork and vfork exist on x86_64 only.
_REFUSED: Final[dict[str, tuple[int, int, dict[str, int]]]] = {
    "x86_64": (
        0xC000003E,
        56,
        {
            "socket": 41, "socketpair": 53, "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101, "mount": 165,
            "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321, "execveat": 322, "userfaultfd": 323,
            "pidfd_getfd": 438,
        },
    ),
    "aarch64": (
        0xC00000B7,
        220,
        {
            "mount": 40, "unshare": 97, "ptrace": 117, "socket": 198, "socketpair": 199, "add_key": 217,
            "request_key": 218, "keyctl": 219, "execve": 221, "perf_event_open": 241, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280, "execveat": 281, "userfaultfd": 282,
            "pidfd_getfd": 438,
        },
    ),
}  # fmt: skip
_CLONE3: Final = 435
_IO_URING_SETUP: Final = 425


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> bool:
    """Install the filter. False on an architecture not known here, and in a kernel built without such filters."""
    entry = _REFUSED.get(platform.machine())
    if entry is None:
        return False
    code = _program(*entry)
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        if ctypes.get_errno() in {errno.EINVAL, errno.ENOSYS}:
            return False
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
    return True


def _program(arch: int, clone: int, refused: dict[str, int]) -> bytes:
    """The filter in classic BPF: each instruction is code, jump if true, jump if false, k."""
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
        # The x32 twins of x86_64's calls carry this bit; no other architecture has numbers this high.
        (_JUMP_GREATER_OR_EQUAL, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        # clone3 has its flags in memory, where a filter cannot look: ENOSYS makes the C library take clone instead.
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]
    for number in (*refused.values(), _IO_URING_SETUP):
        steps += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    steps += [
        (_JUMP_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _ARG0),
        (_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD),  # a thread of this process may start, a process may not
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
