"""Load by Locust, headless or from its web page: ``locust --locustfile benchmarks/locustfile.py``.

Each simulated user submits a transaction, waits until it is committed, and submits the next. What the network needs for
it is made by ``python -m benchmarks.prepare``. The times that Locust shows are the SDK's: from submitting to the
verdict of the gateway's peer. ``GRIDLEDGER_BENCH`` names the prepared file.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from locust import User, constant, events, task
from locust.exception import StopUser

from gridledger.errors import GridLedgerError

PREPARED = Path(os.environ.get("GRIDLEDGER_BENCH", "/network/bench.json"))
PROJECT = Path(__file__).resolve().parents[1]
ANSWERED_WITHIN_S = 90.0
BUSY_SHARE = 0.9
_log = logging.getLogger(__name__)


class SenderProcess:
    """This worker's process that submits; see benchmarks/sender.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "benchmarks.sender", str(PREPARED)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._numbers = itertools.count()
        self._waiting: dict[int, AsyncResult[dict[str, Any]]] = {}
        self._reading = gevent.spawn(self._read)
        self._begun = time.monotonic()
        self.cpu_s = 0.0

    def submit(self, workload: str, stream: int) -> dict[str, Any]:
        """Have a transaction of a workload submitted on one of its streams; what became of it."""
        if self._process.stdin is None or self._process.stdin.closed:
            raise StopUser
        number = next(self._numbers)
        answer = self._waiting[number] = AsyncResult()
        order = json.dumps({"id": number, "workload": workload, "stream": stream})
        self._process.stdin.write(order.encode() + b"\n")
        self._process.stdin.flush()
        try:
            return dict(answer.get(timeout=ANSWERED_WITHIN_S))
        finally:
            del self._waiting[number]

    def close(self) -> None:
        """Let it finish what is under way, say what it used of a core, and warn where that was all of it."""
        assert self._process.stdin is not None  # noqa: S101 - asked for
        self._process.stdin.close()
        share = self.cpu_s / (time.monotonic() - self._begun)
        level = logging.WARNING if share > BUSY_SHARE else logging.INFO
        _log.log(level, "the sender used %.2f of a core%s", share, ": add workers" if share > BUSY_SHARE else "")
        self._process.wait(10)

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for
        for line in self._process.stdout:
            answer = json.loads(line)
            self.cpu_s = answer["cpu_s"]
            if waiting := self._waiting.get(answer["id"]):
                waiting.set(answer)
        for waiting in list(self._waiting.values()):
            waiting.set_exception(StopUser())


class LedgerUser(User):
    """A user that submits one workload, on one of its streams for each user."""

    abstract = True
    wait_time = constant(0)
    workload = ""
    _streams = itertools.count()
    _starting = BoundedSemaphore()
    _senders: ClassVar[list[SenderProcess]] = []

    def on_start(self) -> None:
        """Start the worker's sender with its first user."""
        self.stream = next(self._streams)
        with self._starting:
            if self._senders:
                return
            self._senders.append(SenderProcess())
            events.quitting.add_listener(lambda **_: self._senders[0].close())  # type: ignore[no-untyped-call]

    @task
    def submit(self) -> None:
        """One transaction, reported to Locust as one request."""
        answer = self._senders[0].submit(self.workload, self.stream)
        failure = None
        if answer["code"] is not None:
            failure = GridLedgerError(f"{answer['code']}: {answer['message']}")
        self.environment.events.request.fire(
            request_type="submit",
            name=self.workload,
            response_time=answer["latency_s"] * 1000,
            response_length=0,
            exception=failure,
            context={},
        )


class Put(LedgerUser):
    """100 bytes under a key of their own: the ledger by itself."""

    workload = "put"


class ComputeVSI(LedgerUser):
    """A frame of the IEEE 30-bus grid, judged by the voltage-stability contract."""

    workload = "ComputeVSI"
