"""The filter of system calls, interpreted for each architecture, and in force in this kernel."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from gridledger.contract.hosting import seccomp
from gridledger.contract.hosting.system_calls import ALLOWED, CONDITIONAL, FORBIDDEN
from tests.support.wild_chaincode import Pools, payload

PID = 4321
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = (0x00050000 | code for code in (errno.EPERM, errno.ENOSYS))
MAPPED = {"r": 1, "rw": 3}


def judged(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the filter returns for a system call."""
    data = struct.pack("<iIQ6Q", number, arch or AUDIT[machine], 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("=HBBI", seccomp.program(machine, PID)))
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, k = program[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x15:
                position += if_true if accumulator == k else if_false
            case 0x45:
                position += if_true if accumulator & k else if_false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(code)


def number_of(machine: str, name: str) -> int | None:
    number: int | None = getattr((ALLOWED | CONDITIONAL | FORBIDDEN)[name], machine)
    return number


@pytest.mark.parametrize("machine", AUDIT)
def test_each_call_has_the_outcome_of_its_table(machine: str) -> None:
    for calls, outcome in ((ALLOWED, ALLOW), (FORBIDDEN, EPERM)):
        for name in calls:
            number = number_of(machine, name)
            assert number is None or judged(machine, number) == outcome, name


@pytest.mark.parametrize("machine", AUDIT)
def test_every_other_number_is_unknown(machine: str) -> None:
    known = {number_of(machine, name) for name in ALLOWED | CONDITIONAL | FORBIDDEN}
    for number in (*range(600), 1 << 30, (1 << 30) + 1, (1 << 31) - 1):
        if number not in known:
            assert judged(machine, number) == ENOSYS


@pytest.mark.parametrize("machine", AUDIT)
def test_the_calls_of_another_architecture_end_the_process(machine: str) -> None:
    assert judged(machine, 0, arch=0x40000003) == KILL


@pytest.mark.parametrize("machine", AUDIT)
def test_no_number_stands_twice(machine: str) -> None:
    numbers = [number_of(machine, name) for calls in (ALLOWED, CONDITIONAL, FORBIDDEN) for name in calls]
    known = [number for number in numbers if number is not None]
    assert len(known) == len(set(known))
    assert len(numbers) == len(ALLOWED | CONDITIONAL | FORBIDDEN)


@pytest.mark.parametrize("machine", AUDIT)
@pytest.mark.parametrize(
    ("name", "arguments", "outcome"),
    [
        ("openat", (0, 0, 0o2000000), ALLOW),
        ("openat", (0, 0, 0o1), EPERM),
        ("openat", (0, 0, 0o2), EPERM),
        ("openat", (0, 0, 0o100), EPERM),
        ("openat", (0, 0, 0o1000), EPERM),
        ("openat", (0, 0, 0o20200002), EPERM),
        ("mmap", (0, 4096, MAPPED["rw"], 0x22), ALLOW),
        ("mmap", (0, 4096, MAPPED["rw"], 0x20022), ALLOW),
        ("mmap", (0, 4096, MAPPED["r"], 0x01), ALLOW),
        ("mmap", (0, 4096, MAPPED["rw"], 0x01), EPERM),
        ("mmap", (0, 4096, MAPPED["r"], 0x21), EPERM),
        ("mmap", (0, 4096, MAPPED["r"], 0x03), EPERM),
        ("mmap", (0, 4096, MAPPED["rw"], 0x122), EPERM),
        ("mmap", (0, 4096, MAPPED["rw"], 0x8022), EPERM),
        ("mmap", (0, 4096, MAPPED["rw"], 0x28), EPERM),
        ("mmap", (0, 4096, MAPPED["rw"], 0), EPERM),
        ("madvise", (0, 4096, 4), ALLOW),
        ("madvise", (0, 4096, 9), EPERM),
        ("madvise", (0, 4096, 100), EPERM),
        ("fcntl", (3, 1030), ALLOW),
        ("fcntl", (3, 4), EPERM),
        ("fcntl", (3, 7), EPERM),
        ("fcntl", (3, 1024), EPERM),
        ("ioctl", (3, 0x5401), ALLOW),
        ("ioctl", (3, 0x5412), EPERM),
        ("prlimit64", (0, 7, 0, 0x7FFF00000000), ALLOW),
        ("prlimit64", (PID + 1, 7, 0, 0x7FFF00000000), EPERM),
        ("prlimit64", (0, 7, 0x7FFF00001000, 0), EPERM),
        ("prlimit64", (0, 7, 0x7FFF00000000, 0), EPERM),
        ("tgkill", (PID, PID, 6), ALLOW),
        ("tgkill", (PID + 1, PID + 1, 9), EPERM),
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], outcome: int) -> None:
    number = number_of(machine, name)
    assert number is not None
    assert judged(machine, number, *arguments) == outcome


def test_open_is_as_openat_where_there_is_one() -> None:
    assert judged("x86_64", 2, 0, 0) == ALLOW
    assert judged("x86_64", 2, 0, 0o1) == EPERM


def test_a_filter_fits_into_the_kernels_bound() -> None:
    assert all(len(seccomp.program(machine, PID)) // 8 <= 4096 for machine in AUDIT)


NUMPY = """
import hashlib, random
import numpy as np
from gridledger.contract import Context, Contract, transaction

class Numbers(Contract):
    @transaction
    def solve(self, ctx: Context, size):
        matrix = np.eye(size) * 2.0 + np.arange(size * size).reshape(size, size) / size ** 3
        x = np.linalg.solve(matrix, matrix @ np.ones(size))
        grown = bytearray()
        for _ in range(64):
            grown += bytes(1 << 20)  # reallocated without mremap
        values, _ = np.linalg.eigh(matrix @ matrix.T)
        return [bool(np.allclose(x, 1.0)), len(grown), hashlib.sha256(b"").hexdigest()[:8], bool(values.min() > 0)]
"""


async def test_numpy_and_hashes_work_in_a_host(pools: Pools, package: Path) -> None:
    (package / "contract.py").write_text(NUMPY)
    async with pools() as pool:
        assert await payload(pool, "solve", 300) == [True, 64 << 20, "e3b0c442", True]
