"""An engine (benchmarks/load/engine.py) as a Locust worker sees it: orders go in, reports come out.

Locust patches the standard library for gevent and our SDK runs on asyncio, so each has a process of its own.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from benchmarks.load.plan import DRAIN_S

PROJECT = Path(__file__).resolve().parents[2]
_log = logging.getLogger(__name__)


class EngineProcess:
    """Starts the engine; ``report`` is called for each of its reports, in a greenlet."""

    def __init__(self, bench: str, report: Callable[[dict[str, Any]], None]) -> None:
        if not Path(bench).is_file():
            raise SystemExit(
                f"there is no {bench}: prepare the network first (python -m benchmarks.commands.prepare --connect DIR)"
            )
        self._report = report
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "benchmarks.load.engine", bench],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # As each of the ledger's processes: Linux shares out its cores among sessions first (autogroup), and all
            # engines together would get no more than one of many peers.
            start_new_session=True,
        )
        self.cpu_s = 0.0
        self._reading = gevent.spawn(self._read)

    def order(self, **order: Any) -> None:
        """Have it do something; see there."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            return
        try:
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            _log.error("the engine has ended")

    def close(self) -> None:
        """Let it finish what is under way."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for
        for line in self._process.stdout:
            report = json.loads(line)
            self.cpu_s = report.get("cpu_s", self.cpu_s)
            self._report(report)
        if code := self._process.wait():
            _log.error("the engine ended with exit code %d", code)
            self._report({"done": {"error": f"exit code {code}"}})
