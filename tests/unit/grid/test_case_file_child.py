"""Files whose readers crash, hang or take memory without bound: the child that reads them ends, not the caller."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.case_files.child import Bounds, CaseFileChild
from gridledger.grid.case_files.matpower_binary import MAX_INFLATED
from gridledger.grid.case_files.tables import CaseFileError, CaseTables
from tests.support.case_files import case_text
from tests.support.hostile_files import far_cell_workbook, mat_bomb, mat_file, mutants, workbook_bomb

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals and no module resource")
LOADMAT = """
import ctypes, os, time

def loadmat(file):
    told = file.read()
    if told == b"crash":
        ctypes.string_at(0)
    if told == b"exit":
        os._exit(3)
    while told == b"spin":
        pass
    if told == b"fill":
        bytearray(4 << 30)
    if told == b"limits":
        import resource
        raise ValueError(f"core {resource.getrlimit(resource.RLIMIT_CORE)[0]}")
    begun = time.process_time()
    while told == b"burn" and time.process_time() - begun < 0.8:
        pass
    if told == b"babble":
        print("{}", flush=True)
        os.write(1, b"{}\\n")
    raise ValueError(f"told {told!r}")
"""


@pytest.fixture(scope="module")
def child() -> Iterator[CaseFileChild]:
    """A child for all tests that need no own one."""
    with CaseFileChild() as one:
        yield one


@pytest.fixture
def cores_allowed() -> Iterator[None]:
    """Files of memory after a crash, which many systems leave off by default."""
    import resource  # noqa: PLC0415 -- Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if not hard:
        pytest.skip("no process of this system may leave a core")
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20 if hard < 0 else hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.fixture
def ill_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child's place of scipy, a reader that does what the file says."""
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text("")
    (tmp_path / "scipy" / "io.py").write_text(LOADMAT)
    monkeypatch.syspath_prepend(str(tmp_path))


def error_of(child: CaseFileChild, data: bytes, kind: str = ".mat") -> str:
    """What is told of a file."""
    with pytest.raises(CaseFileError) as caught:
        child.tables(kind, "mine", data)
    return str(caught.value)


def outcomes(child: CaseFileChild, files: Iterator[bytes], kind: str) -> Counter[str]:
    """How many were tables and how many our error; anything else ends the test."""
    found: Counter[str] = Counter()
    for data in files:
        try:
            assert isinstance(child.tables(kind, "mine", data), CaseTables)
            found["tables"] += 1
        except CaseFileError as error:
            assert str(error).startswith("mine: ")  # noqa: PT017 -- either is right
            found["crashed" if "crashed" in str(error) else "refused"] += 1
    return found


@pytest.mark.parametrize("compressed", [True, False])
def test_mutated_mat_files_are_tables_or_our_error(child: CaseFileChild, compressed: bool) -> None:
    found = outcomes(child, mutants(mat_file(compressed=compressed), 120, seed=1), ".mat")
    assert found["tables"] > 5
    assert found["refused"] > 50


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("compressed", [True, False])
def test_thousands_of_mutated_mat_files_are_tables_or_our_error(child: CaseFileChild, compressed: bool) -> None:
    found = outcomes(child, mutants(mat_file(compressed=compressed), 5000, seed=2), ".mat")
    assert found.total() == 5000
    print(dict(found))


@pytest.mark.parametrize("kind", [".mat", ".xlsx"])
def test_any_bytes_are_our_error(child: CaseFileChild, kind: str) -> None:
    random = Random(3)
    found = outcomes(child, (random.randbytes(random.randrange(300)) for _ in range(60)), kind)
    assert found["refused"] + found["crashed"] == 60


def test_a_mat_bomb_is_refused(child: CaseFileChild) -> None:
    data = mat_bomb(MAX_INFLATED)
    assert len(data) < 1024 * 1024
    assert "is larger than 512 MiB once inflated" in error_of(child, data)


def test_a_workbook_bomb_is_refused(child: CaseFileChild) -> None:
    data = workbook_bomb(MAX_INFLATED)
    assert len(data) < 4 * 1024 * 1024
    assert "is larger than 512 MiB once inflated" in error_of(child, data, ".xlsx")


@POSIX_ONLY
def test_a_workbook_with_a_far_cell_is_given_up() -> None:
    with CaseFileChild(Bounds(cpu_s=1)) as own:
        assert "more than 1 s of a processor" in error_of(own, far_cell_workbook(), ".xlsx")


@POSIX_ONLY
@pytest.mark.usefixtures("ill_reader")
def test_a_reader_that_crashes_ends_its_child_and_no_other() -> None:
    with CaseFileChild() as own:
        assert "told b'first'" in error_of(own, b"first")
        assert "the reader of .mat files crashed on it (signal 11)" in error_of(own, b"crash")
        assert "the reader of .mat files crashed on it (exit code 3)" in error_of(own, b"exit")
        assert "write the case anew" in error_of(own, b"crash")
        assert "told b'next'" in error_of(own, b"next")


@pytest.mark.usefixtures("ill_reader")
def test_a_reader_that_hangs_is_given_up() -> None:
    with CaseFileChild(Bounds(wall_s=1.0)) as own:
        assert "reading it took longer than 1 s" in error_of(own, b"spin")


@POSIX_ONLY
@pytest.mark.usefixtures("ill_reader", "cores_allowed")
def test_a_reader_has_so_much_memory_and_leaves_no_core() -> None:
    with CaseFileChild() as own:
        assert "takes more memory than is allowed" in error_of(own, b"fill")
        assert "core 0" in error_of(own, b"limits")


@POSIX_ONLY
@pytest.mark.usefixtures("ill_reader")
def test_processor_time_is_bounded_for_each_file_anew() -> None:
    with CaseFileChild(Bounds(cpu_s=1)) as own:
        for _ in range(3):  # 2.4 s together
            assert "told b'burn'" in error_of(own, b"burn")


@POSIX_ONLY
@pytest.mark.usefixtures("ill_reader")
def test_what_a_library_prints_is_no_answer() -> None:
    with CaseFileChild() as own:
        assert "told b'babble'" in error_of(own, b"babble")


def test_a_childs_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text("raise ModuleNotFoundError('none', name='scipy')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with CaseFileChild() as own, pytest.raises(Exception, match=r"gridledger\[feeder\]"):
        own.tables(".mat", "mine", b"")


@pytest.mark.deep
def test_a_net_with_a_number_that_is_too_large_is_our_error(tmp_path: Path) -> None:
    """pandapower makes an array as long as the largest bus number."""
    import json  # noqa: PLC0415

    import pandapower  # noqa: PLC0415
    from pandapower.networks import case9  # noqa: PLC0415

    net = case9()
    net.bus.index = [*net.bus.index[:-1], 1 << 31]
    path = tmp_path / "net.json"
    path.write_text(json.dumps(json.loads(pandapower.to_json(net))))
    with pytest.raises(CaseFileError, match=r"memory|cannot convert"):
        load_case(str(path))


def test_the_callers_folder_is_no_source_of_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scipy.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.mat").write_bytes(mat_file(compressed=True))
    assert len(load_case("mine.mat").numbers) == 14


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff.mat")
    Path(path).write_bytes(b"no case")
    with pytest.raises(InputError, match="no MATLAB file"):
        load_case(path)


def test_a_name_with_a_zero_byte_is_our_error() -> None:
    with pytest.raises(CaseFileError, match="cannot be read"):
        load_case("mine\0.m")


def test_text_files_are_read_without_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    (tmp_path / "mine.m").write_text(case_text("case14"))
    assert len(load_case(str(tmp_path / "mine.m")).numbers) == 14
