"""Files that are replaced in one step, on a real file system."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridledger.errors import UnavailableError
from gridledger.files import no_space_left, write_atomically

SIZE, REPLACED = 300_000, 10

WRITER = """
import sys
import time
from pathlib import Path
from gridledger.files import write_atomically

path, letters = Path(sys.argv[1]), (b"a", b"b")
while True:
    for letter in letters:
        write_atomically(path, letter * int(sys.argv[2]))
"""


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "checkpoint"
    for content in (b"first", b"", b"third" * 100_000):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_rights_are_as_asked_whatever_the_umask(tmp_path):
    with umask(0o027):
        write_atomically(tmp_path / "key", b"secret", mode=0o600)
        write_atomically(tmp_path / "shared", b"open", mode=0o664)
    assert (rights(tmp_path / "key"), rights(tmp_path / "shared")) == (0o600, 0o664)


def test_rights_that_nobody_asked_for_are_kept_or_the_umask(tmp_path):
    path = tmp_path / "settings"
    with umask(0o027):
        write_atomically(path, b"first")
        assert rights(path) == 0o640
        path.chmod(0o604)
        write_atomically(path, b"second")
    assert rights(path) == 0o604


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "registry"
    write_atomically(path, b"old")
    with file_size_limit(1000), pytest.raises(OSError, match="too large"):
        write_atomically(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_durable_before_its_name_and_then_the_folder(tmp_path, monkeypatch):
    path, seen = tmp_path / "mark", []
    write_atomically(path, b"old")

    def fsync(descriptor: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size
        seen.append((what, path.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"newer")
    assert seen == [(5, b"old"), ("folder", b"newer")]


def test_whoever_reads_meanwhile_sees_a_whole_file(tmp_path):
    path = tmp_path / "state"
    whole = (b"a" * SIZE, b"b" * SIZE)
    write_atomically(path, whole[0])
    deadline = time.monotonic() + 60
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(SIZE)]) as writer:
        try:
            last, replaced = whole[0], 0
            while replaced < REPLACED:
                assert writer.poll() is None
                assert time.monotonic() < deadline, f"replaced {replaced} times only"
                content = path.read_bytes()
                assert content in whole
                replaced, last = replaced + (content != last), content
        finally:
            writer.kill()
    assert path.read_bytes() in whole


def test_a_full_disk_is_found_in_what_it_led_to(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    led_to = UnavailableError("the CA did not answer")
    led_to.__cause__ = full
    for error in (
        full,
        OSError(errno.EDQUOT, ""),
        led_to,
        ExceptionGroup("", [ValueError(), ExceptionGroup("", [led_to])]),
    ):
        told = no_space_left(error, tmp_path)
        assert told is not None
        assert told.message == f"no space left on device: free space in {tmp_path}"
    for other in (OSError(errno.EACCES, ""), ValueError(), ExceptionGroup("", [ValueError()])):
        assert no_space_left(other, tmp_path) is None
