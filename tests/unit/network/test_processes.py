"""A process under the supervisor: its output, its end, its log."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gridledger.errors import UnavailableError
from gridledger.network.processes import LogFile, RunningProcess, Service, exit_text, reason

CHILD = """
import argparse, os, signal, sys, threading

parser = argparse.ArgumentParser()
parser.add_argument("--config")
what = open(parser.parse_args().config).read()
print("hello", flush=True)
if what == "fail":
    print("error: the data folder is of another network", file=sys.stderr)
    sys.exit(3)
if what == "defect":
    raise ExceptionGroup("two faults", [ValueError("first"), KeyError("no such place")])
if what == "long":
    os.write(1, b"x" * 3_000_000 + b"\\nshort\\n")
    sys.exit(0)
if what == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("waiting", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service that does what its settings file says, as module ``child`` of the folder."""
    (tmp_path / "child.py").write_text(CHILD)
    settings = tmp_path / "settings"
    return Service("child", "child", settings, "https://127.0.0.1:1", 1, tmp_path / "roots.pem")


class Run:
    """A started process and the lines it wrote."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder = service, folder
        self.lines: list[str] = []
        self.log = folder / "child.log"

    async def start(self, what: str) -> RunningProcess:
        self.service.settings.write_text(what)
        return await RunningProcess.start(self.service, project=self.folder, log=self.log, sink=self._sink)

    def _sink(self, name: str, line: str) -> None:
        assert name == "child"
        self.lines.append(line)


@pytest.fixture
def run(service: Service, tmp_path: Path) -> Run:
    return Run(service, tmp_path)


async def test_output_goes_to_sink_and_log_and_its_error_is_told(run: Run) -> None:
    process = await run.start("fail")
    assert await process.wait() == 3
    assert process.ended
    assert await process.end_text() == "child ended with exit code 3: the data folder is of another network"
    assert run.lines == ["hello", "error: the data folder is of another network"]
    assert run.log.read_text().splitlines() == run.lines


async def test_waiting_for_the_health_of_a_process_that_ends(run: Run) -> None:
    process = await run.start("fail")
    with pytest.raises(UnavailableError, match=r"child ended with exit code 3: the data folder .* \(while starting\)"):
        await process.healthy(20)


async def test_a_traceback_is_told_by_its_exception(run: Run) -> None:
    process = await run.start("defect")
    assert await process.end_text() == "child ended with exit code 1: KeyError: 'no such place'"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["error: no such file", '{"message": "stopped serving"}'], "no such file"),
        (["hello", '{"level": "error", "message": "cannot go on"}', ""], "cannot go on"),
        (["[1, 2]"], "[1, 2]"),
        ([], ""),
        (["x" * 5000], "x" * 500),
    ],
)
def test_why_a_process_ended_is_found_in_its_last_lines(lines: list[str], said: str) -> None:
    assert reason(lines) == said


async def test_health_that_does_not_come_in_time(run: Run) -> None:
    process = await run.start("wait")
    with pytest.raises(UnavailableError, match=r"child was not healthy within 0\.2 s: nothing heard"):
        await process.healthy(0.2)
    await process.stop(10)
    assert await process.end_text() == "child ended with signal SIGTERM"


async def test_one_that_does_not_stop_is_killed(run: Run) -> None:
    process = await run.start("stubborn")
    while "waiting" not in run.lines:
        assert not process.ended
        await _turn(process)
    await process.stop(0.2)
    assert await process.end_text() == "child ended with signal SIGKILL"


async def test_a_line_beyond_all_bounds_does_not_stop_the_copying(run: Run) -> None:
    process = await run.start("long")
    assert await process.wait() == 0
    assert run.lines[0] == "hello"
    assert run.lines[-1] == "short"
    assert sum(map(len, run.lines)) < 3_000_000


async def test_a_sink_that_fails_does_not_stop_the_copying(run: Run) -> None:
    def broken(name: str, line: str) -> None:
        raise BrokenPipeError

    run.service.settings.write_text("fail")
    process = await RunningProcess.start(run.service, project=run.folder, log=run.log, sink=broken)
    assert await process.wait() == 3
    assert len(run.log.read_text().splitlines()) == 2


async def _turn(process: RunningProcess) -> None:
    """Let the copying go on until the process has said more, or 50 ms are over."""
    with pytest.raises(UnavailableError):
        await process.healthy(0.05)


def test_a_log_of_bounded_size_keeps_one_of_before(tmp_path: Path) -> None:
    path = tmp_path / "peer1.log"
    log = LogFile(path, max_bytes=20)
    for number in range(5):
        log.write(b"line %d...\n" % number)
    log.close()
    assert path.read_bytes() == b"line 4...\n"
    assert (tmp_path / "peer1.log.1").read_bytes() == b"line 2...\nline 3...\n"
    again = LogFile(path, max_bytes=20)
    again.write(b"more\n")
    again.close()
    assert path.read_bytes() == b"line 4...\nmore\n"


def test_a_log_without_room_goes_on_when_there_is_some(tmp_path: Path) -> None:
    """A folder in the log's place stands for a disk that takes nothing."""
    path = tmp_path / "peer1.log"
    path.mkdir()
    log = LogFile(path)
    log.write(b"lost\n")
    log.write(b"lost too\n")
    path.rmdir()
    log.write(b"kept\n")
    log.close()
    assert path.read_bytes() == b"\n(2 lines left out: no room)\nkept\n"


def test_an_end_by_a_damaged_file_names_what_to_run() -> None:
    assert exit_text(-signal.SIGBUS) == "signal SIGBUS (a damaged ledger ends a peer so: gridledger verify)"
    assert exit_text(-signal.SIGKILL) == "signal SIGKILL"
    assert exit_text(3) == "exit code 3"
