"""Flushes that fail as a bad disk's do: the kernel answers fsync and fdatasync with EIO, by a seccomp filter."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import subprocess
import sys
from pathlib import Path

_CALLS = {"x86_64": (0xC000003E, (74, 75, 26)), "aarch64": (0xC00000B7, (82, 83, 227))}  # fsync, fdatasync, msync
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def fail_flushes() -> None:
    """From now on, for good, each fsync, fdatasync and msync of this process and its children fails with EIO."""
    architecture, numbers = _CALLS[platform.machine()]
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 0, len(numbers) + 1, architecture), (_LOAD, 0, 0, 0)]
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        program.append((_EQUAL, left, 0, number))
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EIO)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    described = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    # By the system call and not by prctl, which knows no flag for the threads that run already.
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(_SECCOMP[platform.machine()], 1, 1, ctypes.c_char_p(described)):
        raise OSError(ctypes.get_errno(), "seccomp")


def run_with_failing_flushes(code: str, *arguments: Path) -> str:
    """Run Python code in which ``fail_flushes`` is defined, in a process of its own; the line that its error is."""
    whole = (
        "from gridledger.errors import GridLedgerError\n"
        "from tests.support.failing_disk import fail_flushes\n"
        "def main():\n" + "".join(f"    {line}\n" for line in code.splitlines()) + "try:\n    main()\n"
        "except GridLedgerError as error:\n    print(error.message)\n"
    )
    command = [sys.executable, "-c", whole, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
