"""What processes have used so far, read from /proc: those below one, each with its node's name and its kind."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
ENGINE, LOCUST, FEEDER = "engine", "locust", "feeder"
GENERATOR = (ENGINE, LOCUST, FEEDER)
"""The kinds of the generator's own processes."""
KINDS = (
    ("services.peer.committer", "committer"),
    ("services.peer", "edge"),
    ("services.orderer", "orderer"),
    ("gridledger.contract.hosting.host", "host"),
    ("benchmarks.load.engine", ENGINE),
    ("locust", LOCUST),
    ("services.feeder", FEEDER),
    ("services.ca", "CA"),
)
"""Modules on the command line, and what their processes are called."""


class Used(NamedTuple):
    """Processor time in seconds and context switches (waits, preemptions) of a group of processes."""

    cpu_s: float
    waits: int
    preempted: int

    def plus(self, other: Used, sign: int = 1) -> Used:
        """Both together; with the sign -1 the difference."""
        return Used(
            self.cpu_s + sign * other.cpu_s, self.waits + sign * other.waits, self.preempted + sign * other.preempted
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment. ``name``: of its node, or its kind. ``rss_bytes``: without pages of mapped files."""

    pid: int
    name: str
    kind: str
    cpu_s: float
    rss_bytes: int


def descendants(root: int) -> list[int]:
    """All processes below one, each behind its parent."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            children[int(stat[1])].append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


class Watcher:
    """Samples the processes below one; what a process is, is looked up once."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._known: dict[tuple[int, str], tuple[str, str] | None] = {}

    def sample(self) -> dict[int, Sample]:
        """Every process of a known kind, by its id."""
        found = {}
        for pid in descendants(self._root):
            stat = _stat(pid)
            if stat is None:
                continue
            # Fields of proc(5) counted from the state, which is field 3: parent, utime, stime, start.
            parent, cpu_s, started = int(stat[1]), (int(stat[11]) + int(stat[12])) / _TICKS, stat[19]
            what = self._what(pid, parent, started)
            if what is not None:
                found[pid] = Sample(pid, *what, cpu_s, _own_bytes(pid))
        return found

    def _what(self, pid: int, parent: int, started: str) -> tuple[str, str] | None:
        key = (pid, started)
        if key not in self._known:
            words = _words(pid)
            kind = kind_of(words)
            node = next((Path(word).parent.name for word in words if word.endswith("/config.json")), None)
            if kind is None:
                # A child between fork and exec still looks like its parent: ask again.
                return None
            above = next((known for (other, _), known in self._known.items() if other == parent and known), None)
            name = node or (above[0] if above and kind not in GENERATOR else kind)
            self._known[key] = (name, kind)
        return self._known[key]


def used_by_kind(root: int) -> dict[str, Used]:
    """What each kind of process below one has used so far."""
    sums: dict[str, Used] = defaultdict(lambda: Used(0.0, 0, 0))
    for pid, sample in Watcher(root).sample().items():
        sums[sample.kind] = sums[sample.kind].plus(Used(sample.cpu_s, *_switches(pid)))
    return sums


def kind_of(words: list[str]) -> str | None:
    """What a command line runs."""
    return next((kind for module, kind in KINDS if module in words), None)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _own_bytes(pid: int) -> int:
    """Resident memory without pages of files: those of a ledger's map are the page cache's, which gives them back."""
    try:
        _, resident, of_files, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(of_files)) * _PAGE


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def _switches(pid: int) -> tuple[int, int]:
    waits = preempted = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            lines = status.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        numbers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        waits += int(numbers["voluntary_ctxt_switches"])
        preempted += int(numbers["nonvoluntary_ctxt_switches"])
    return waits, preempted
