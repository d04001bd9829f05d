"""gridledger.startup: when the collector rests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY

COUNTED = """
import gc, runpy, sys
from contextlib import suppress
seen = []
gc.callbacks.append(lambda phase, told: seen.append(phase))
sys.argv = [sys.argv[1], "--config", "/nonexistent/config.json"]
with suppress(SystemExit):
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
print(len(seen), gc.isenabled())
"""


def printed(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["services.peer", "services.anchor"])
def test_no_garbage_is_looked_for_while_a_service_is_imported(module: str) -> None:
    collections, is_on = printed(COUNTED, module).split()
    assert int(collections) < 40  # some hundreds otherwise
    assert is_on == "True"


def test_a_program_that_imports_an_entry_keeps_its_collector() -> None:
    assert printed("import gc, services.peer.__main__; print(gc.isenabled())") == "True"
