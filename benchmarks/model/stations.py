"""The stations of the model, at which work waits: cores, disks, links and batching queues. All times are in seconds.

A free core goes to the process that had the least core time so far, for a turn of ``QUANTUM_S``; a process that slept
saves up at most one turn. This is Linux's fair scheduler in steps: a process that needs little does not wait long. The
throughput of a saturated machine hardly depends on it; latencies do, and through them the pace of blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from simpy import Environment, Event

QUANTUM_S = 0.003
"""A turn on a core: the default time slice of Linux's scheduler."""

Steps = Generator[Event, Any, None]
"""A part of a simulated process: yields the events that it waits for."""


@dataclass(slots=True)
class _WorkItem:
    left_s: float
    done: Event


class Cores:
    """The cores of a machine, which its processes share. ``number`` may be a fraction: 3.6 cores are 4 cores that each
    run at nine tenths of the speed."""

    def __init__(self, env: Environment, number: float) -> None:
        self.env = env
        self.whole = max(1, round(number + 0.499))
        self.speed = number / self.whole
        self.busy_s = 0.0
        self._free = self.whole
        self._ready: list[tuple[float, int, Process]] = []
        self._entered = 0
        self._least_s = 0.0

    def process(self, threads: int = 1) -> Process:
        """A new process on these cores."""
        return Process(self, threads)

    def enter(self, process: Process) -> None:
        """Queue a process that has work and an idle thread for a core."""
        # A process that slept does not save up turns.
        process.turn_s = max(process.turn_s, self._least_s - QUANTUM_S)
        self._entered += 1
        heappush(self._ready, (process.turn_s, self._entered, process))
        self._dispatch()

    def _dispatch(self) -> None:
        while self._free and self._ready:
            turn_s, _, process = heappop(self._ready)
            job = process.take()
            if job is not None:
                self._least_s = max(self._least_s, turn_s)
                self._free -= 1
                self._run(process, job)

    def _run(self, process: Process, job: _WorkItem) -> None:
        # A remainder that is only a rounding error gets no turn of its own.
        turn_s = QUANTUM_S if job.left_s > QUANTUM_S * (1 + 1e-9) else job.left_s
        job.left_s -= turn_s
        process.turn_s += turn_s
        self.busy_s += turn_s
        process.busy_s += turn_s
        turn = self.env.timeout(turn_s / self.speed)
        assert turn.callbacks is not None  # noqa: S101 - set until the event is processed
        turn.callbacks.append(lambda _event: self._ended(process, job))

    def _ended(self, process: Process, job: _WorkItem) -> None:
        self._free += 1
        if job.left_s <= 0:
            job.done.succeed()
        process.give_back(job)
        self._dispatch()


class Process:
    """A process whose ``threads`` threads each do one piece of work at a time, first come, first served."""

    def __init__(self, cores: Cores, threads: int) -> None:
        self.cores = cores
        self.busy_s = 0.0
        self.turn_s = 0.0
        self._idle = threads
        self._jobs: deque[_WorkItem] = deque()

    def work(self, seconds: float) -> Event:
        """Queue work of so much core time; the event is its completion."""
        job = _WorkItem(seconds, self.cores.env.event())
        if seconds <= 0:
            return job.done.succeed()
        self._jobs.append(job)
        if self._idle:
            self.cores.enter(self)
        return job.done

    def take(self) -> _WorkItem | None:
        """The next piece of work for a free core; None if there is no work or no idle thread."""
        if not self._jobs or not self._idle:
            return None
        self._idle -= 1
        return self._jobs.popleft()

    def give_back(self, job: _WorkItem) -> None:
        """End a turn; the rest of the work is first in the queue."""
        self._idle += 1
        if job.left_s > 0:
            self._jobs.appendleft(job)
        if self._jobs:
            self.cores.enter(self)


class Disk:
    """A disk. Requests that arrive during a flush share the next one."""

    def __init__(self, env: Environment, flush_s: float) -> None:
        self._env = env
        self._flush_s = flush_s
        self._waiting: list[Event] = []
        self._flushing = False

    def flush(self) -> Event:
        """Make durable what was written before; the event is its completion."""
        done = self._env.event()
        if self._flush_s <= 0:
            return done.succeed()
        self._waiting.append(done)
        if not self._flushing:
            self._start()
        return done

    def _start(self) -> None:
        self._flushing = True
        served, self._waiting = self._waiting, []
        ended = self._env.timeout(self._flush_s)
        assert ended.callbacks is not None  # noqa: S101 - set until the event is processed
        ended.callbacks.append(lambda _event: self._ended(served))

    def _ended(self, served: list[Event]) -> None:
        for event in served:
            event.succeed()
        self._flushing = False
        if self._waiting:
            self._start()


class Link:
    """A machine's outgoing link: ``bytes_s`` bytes per second, one message after another, and a latency."""

    def __init__(self, env: Environment, bytes_s: float, latency_s: float) -> None:
        self._env = env
        self._bytes_s = bytes_s
        self._latency_s = latency_s
        self._free_at = 0.0
        self.full_s = 0.0

    def send(self, size: float) -> Event:
        """Send a message of so many bytes; the event is its arrival."""
        now = self._env.now
        self.full_s += size / self._bytes_s
        self._free_at = max(now, self._free_at) + size / self._bytes_s
        return self._env.timeout(self._free_at - now + self._latency_s)


class Batches:
    """A queue that up to ``senders`` senders empty in batches of bounded size."""

    def __init__(self, env: Environment, limit: int, senders: int, send: Callable[[list[Any]], Steps]) -> None:
        self._env = env
        self._limit = limit
        self._idle = senders
        self._send = send
        self._queue: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, item: Any) -> None:
        """Queue an item, and start a sender if one is idle."""
        self._queue.append(item)
        if self._idle:
            self._idle -= 1
            self._env.process(self._run())

    def _run(self) -> Steps:
        # Begin after this moment, so that items of one moment share a batch.
        yield self._env.timeout(0)
        while self._queue:
            count = min(len(self._queue), self._limit)
            yield from self._send([self._queue.popleft() for _ in range(count)])
        self._idle += 1
