"""What a chaincode can do from inside a host to others, as root and as an ordinary user: each way is tried."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gridledger.contract.hosting import landlock
from tests.support.escapes import MEMORY_BYTES

pytestmark = pytest.mark.timeout(180)
NOBODY = 65534
ROOT = Path(__file__).parents[4]


def command(user: int) -> list[str]:
    """How a command runs as ``user``. Python may lie where nobody else can read, so that right stays."""
    if user == os.geteuid():
        return []
    right = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
        *(f"--inh-caps={right}", f"--ambient-caps={right}"),
    ]


@pytest.fixture(scope="module", params=["root", "ordinary"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What came of each attempt."""
    root = os.geteuid() == 0
    if request.param == "root" and not root:
        pytest.skip("this test run is no root")
    if request.param == "ordinary" and root and shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    user = 0 if request.param == "root" else NOBODY if root else os.geteuid()
    with TemporaryDirectory() as folder:
        os.chown(folder, user, -1)
        output = subprocess.run(
            [*command(user), sys.executable, "-m", "tests.support.escapes", folder],
            check=True, capture_output=True, timeout=150, cwd=ROOT,
        ).stdout  # fmt: skip
    outcome: dict[str, Any] = json.loads(output)
    assert outcome["euid"] == outcome["host's euid"] == user
    return outcome


def test_system_calls_that_reach_others_are_refused(found: dict[str, Any]) -> None:
    assert found["refused"] == dict.fromkeys(found["refused"], "EPERM")
    assert len(found["refused"]) > 30


def test_every_forbidden_system_call_answers_eperm(found: dict[str, Any]) -> None:
    assert found["by name"] == dict.fromkeys(found["by name"], "EPERM")
    assert len(found["by name"]) > 100


def test_unknown_system_calls_answer_enosys(found: dict[str, Any]) -> None:
    assert found["unknown"] == ["ENOSYS"] * 4


def test_no_file_is_opened_for_writing(found: dict[str, Any]) -> None:
    written = {name: said for name, said in found["opened"].items() if not name.endswith(" 0")}
    assert written == dict.fromkeys(written, "EPERM")


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")
def test_lock_file_and_keys_are_not_opened_for_reading(found: dict[str, Any]) -> None:
    assert (found["opened"]["lock 0"], found["opened"]["key 0"], found["opened"]["mem 0"]) == ("EACCES",) * 3
    assert found["opened"]["ledger 0"] == "done"


def test_memory_beyond_its_bound_is_refused(found: dict[str, Any]) -> None:
    assert found["memory"].pop("private") == "ENOMEM"
    assert found["memory"] == dict.fromkeys(found["memory"], "EPERM")
    assert found["addresses"] == 0
    limits = [[MEMORY_BYTES] * 2, [8 << 20] * 2, [0, 0], [0, 0]]
    assert found["limits"] == limits
    assert resource.getrlimit(resource.RLIMIT_DATA)[1] != MEMORY_BYTES


def test_no_thread_starts(found: dict[str, Any]) -> None:
    assert found["thread"] == "can't start new thread"


def test_inherited_descriptors_change_nothing(found: dict[str, Any]) -> None:
    descriptors = found["descriptors"]
    # /dev/null, standard output and error (sockets too, by uvloop), the socket to the peer, the note, the ledger
    assert [each["kind"] for each in descriptors[:3]] == [stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFSOCK]
    others = sorted((each["kind"], each["writable"]) for each in descriptors[3:])
    assert others == [(stat.S_IFREG, False), (stat.S_IFREG, True), (stat.S_IFSOCK, True)]
    for each in descriptors:
        assert {each[name] for name in ("ftruncate", "fchmod", "pwrite", "lock")} == {"EPERM"}
        assert each["kind"] != stat.S_IFREG or each["write"] == ("EFBIG" if each["writable"] else "EBADF")


def test_the_peer_and_its_files_are_as_before(found: dict[str, Any]) -> None:
    assert found["unchanged"]
    assert found["still the same host"]


def test_commits_go_on(found: dict[str, Any]) -> None:
    assert found["commits"]
