"""Reading into large buffers must not map and unmap memory each time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_READS = """
import os, resource
from gridledger.allocator import keep_read_buffers
keep_read_buffers()
reader, writer = os.pipe()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(1000):
        os.write(writer, b"x" * 100)
        os.read(reader, 256 * 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of use with glibc only")
def test_reads_into_large_buffers_cost_no_page_faults():
    done = subprocess.run([sys.executable, "-c", _READS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100
