"""The engine of one Locust worker: starts it, passes orders to it and its reports on.

Locust patches the standard library for gevent, and the SDK runs on asyncio; so each has a process of its own.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from benchmarks import PROJECT
from benchmarks.load.plan import DRAIN_S, engine_command

_log = logging.getLogger(__name__)


class EngineProcess:
    """A running engine; ``report`` is called with each of its reports, in a greenlet."""

    def __init__(self, bench_file: str, report: Callable[[dict[str, Any]], None]) -> None:
        if not Path(bench_file).is_file():
            raise SystemExit(
                f"there is no {bench_file}: prepare the network first (python -m benchmarks.commands.prepare)"
            )
        self._report = report
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            engine_command(bench_file),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Linux divides its cores among sessions first (autogroup). Each of the ledger's processes has a session of
            # its own; if all engines shared one, they would together get no more than one peer does.
            start_new_session=True,
        )
        self.cpu_s = 0.0
        self._reading = gevent.spawn(self._read)

    def order(self, **order: Any) -> None:
        """Send an order to the engine (engine.py)."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            return
        try:
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            _log.error("the engine has ended")

    def close(self) -> None:
        """Let the engine finish what is under way, and wait for its end."""
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
