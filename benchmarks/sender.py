"""A process that submits transactions for a Locust worker: ``python -m benchmarks.sender BENCH_JSON``.

Locust patches the standard library for gevent, our SDK runs on asyncio: so each has a process of its own, and one line
on a pipe is what a transaction costs the worker. In: ``{"id", "workload", "stream"}``. Out: ``{"id", "latency_s",
"code", "message", "cpu_s"}``, the code null when the transaction was committed and valid, ``cpu_s`` what this process
has used so far.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.generator import call_of
from benchmarks.plan import Workloads
from gridledger import jsontext
from gridledger.client import Gateway, SigningIdentity
from gridledger.errors import GridLedgerError

_CONNECTIONS = 256
_MAX_LINE = 64 * 1024
_MAX_OPEN = 20_000


class Sender:
    """Submits on gateways that are opened once per peer and identity."""

    def __init__(self, workloads: Workloads, output: asyncio.StreamWriter) -> None:
        self._output = output
        self._gateways: dict[tuple[str, str], Gateway] = {}
        self._calls = {
            name: [call_of(self._gateway(target.url, target.identity, workloads.roots), target) for target in targets]
            for name, targets in workloads.workloads.items()
        }
        # Keys and frame times of several senders and of later runs must not meet: microseconds, then the process.
        begin = time.time_ns() // 1000 % 10**12
        self._numbers = itertools.count(begin * 1000 + os.getpid() % 1000, 1000)
        self._open = asyncio.Semaphore(_MAX_OPEN)

    def _gateway(self, url: str, identity: str, roots: str) -> Gateway:
        key = (url, identity)
        if key not in self._gateways:
            who = SigningIdentity.load(identity)
            self._gateways[key] = Gateway.connect(url, who, roots=Path(roots), max_connections=_CONNECTIONS)
        return self._gateways[key]

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Carry out orders until there are no more."""
        async with asyncio.TaskGroup() as tasks:
            while line := await orders.readline():
                await self._open.acquire()
                tasks.create_task(self._carry_out(jsontext.loads(line)))
        for gateway in self._gateways.values():
            await gateway.close()

    async def _carry_out(self, order: dict[str, Any]) -> None:
        calls = self._calls[order["workload"]]
        begun = time.perf_counter()
        code = message = None
        try:
            await calls[order["stream"] % len(calls)](next(self._numbers))
        except GridLedgerError as error:
            code, message = error.code, error.message
        finally:
            self._open.release()
        answer = {"id": order["id"], "latency_s": time.perf_counter() - begun, "code": code, "message": message}
        self._output.write(jsontext.dumps({**answer, "cpu_s": time.process_time()}) + b"\n")
        await self._output.drain()


async def serve(workloads: Workloads) -> None:
    """Read orders from standard input, write answers to standard output."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=_MAX_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    await Sender(workloads, asyncio.StreamWriter(transport, protocol, None, loop)).run(orders)


if __name__ == "__main__":
    given = Workloads.model_validate_json(Path(sys.argv[1]).read_bytes())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given))
