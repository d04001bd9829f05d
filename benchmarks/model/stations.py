"""What work waits for: cores shared by processes, a disk that flushes for all who wait, and a link. All in seconds.

Cores go to the process that had the least of them so far, in turns of ``QUANTUM_S``; who has slept saves up no more
than one turn. That is Linux's fair scheduler in steps: processor sharing, in which who needs little need not wait long.
What a saturated machine gets done hardly depends on it; latencies do, and through them the pace of blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from simpy import Environment, Event

QUANTUM_S = 0.003
"""A turn on a core: what Linux's scheduler gives a process before the next one's turn, by default."""

Steps = Generator[Event, Any, None]
"""A part of a model's process: what it waits for, one after another."""


@dataclass(slots=True)
class _Job:
    left_s: float
    done: Event


class Machine:
    """Some cores and the processes that share them. ``cores`` may be a fraction: work then takes longer in proportion,
    so that a machine of 3.6 cores is one of 4 cores that each do nine tenths."""

    def __init__(self, env: Environment, cores: float) -> None:
        self.env = env
        self.whole = max(1, round(cores + 0.499))
        self.speed = cores / self.whole
        self.busy_s = 0.0
        self._free = self.whole
        self._ready: list[tuple[float, int, Process]] = []
        self._entered = 0
        self._least_s = 0.0

    def process(self, threads: int = 1) -> Process:
        """A process that runs on this machine; one piece of work at a time for each of its threads."""
        return Process(self, threads)

    def enter(self, process: Process) -> None:
        """A process has work and an idle thread: give it a core now, or when its turn comes."""
        # Who has slept does not save up turns.
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

    def _run(self, process: Process, job: _Job) -> None:
        # A rest that is no more than rounding is not worth a turn.
        turn_s = QUANTUM_S if job.left_s > QUANTUM_S * (1 + 1e-9) else job.left_s
        job.left_s -= turn_s
        process.turn_s += turn_s
        self.busy_s += turn_s
        process.busy_s += turn_s
        turn = self.env.timeout(turn_s / self.speed)
        assert turn.callbacks is not None  # noqa: S101 - set until the event is processed
        turn.callbacks.append(lambda _event: self._ended(process, job))

    def _ended(self, process: Process, job: _Job) -> None:
        self._free += 1
        if job.left_s <= 0:
            job.done.succeed()
        process.give_back(job)
        self._dispatch()


class Process:
    """A process of ``threads`` threads, each of which does one piece of work at a time, first come, first served."""

    def __init__(self, machine: Machine, threads: int) -> None:
        self.machine = machine
        self.busy_s = 0.0
        self.turn_s = 0.0
        self._idle = threads
        self._jobs: deque[_Job] = deque()

    def work(self, seconds: float) -> Event:
        """So much core time; the event is when it is done."""
        job = _Job(seconds, self.machine.env.event())
        if seconds <= 0:
            return job.done.succeed()
        self._jobs.append(job)
        if self._idle:
            self.machine.enter(self)
        return job.done

    def take(self) -> _Job | None:
        """The next piece of work, for a core that is free; None if there is none or no thread for it."""
        if not self._jobs or not self._idle:
            return None
        self._idle -= 1
        return self._jobs.popleft()

    def give_back(self, job: _Job) -> None:
        """A turn is over: what is left of the work is the first to go on."""
        self._idle += 1
        if job.left_s > 0:
            self._jobs.appendleft(job)
        if self._jobs:
            self.machine.enter(self)


class Disk:
    """Flushes; who comes while one is under way waits for the next, which serves all of them."""

    def __init__(self, env: Environment, flush_s: float) -> None:
        self._env = env
        self._flush_s = flush_s
        self._waiting: list[Event] = []
        self._flushing = False

    def flush(self) -> Event:
        """Make durable what was written before."""
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
    """A machine's way out: ``bytes_s`` bytes per second, one message behind the other, and a latency."""

    def __init__(self, env: Environment, bytes_s: float, latency_s: float) -> None:
        self._env = env
        self._bytes_s = bytes_s
        self._latency_s = latency_s
        self._free_at = 0.0
        self.full_s = 0.0

    def send(self, size: float) -> Event:
        """A message of so many bytes; the event is its arrival."""
        now = self._env.now
        self.full_s += size / self._bytes_s
        self._free_at = max(now, self._free_at) + size / self._bytes_s
        return self._env.timeout(self._free_at - now + self._latency_s)


class Batches:
    """A queue, emptied in batches of bounded size by ``senders`` at once: what comes meanwhile is the next batch."""

    def __init__(self, env: Environment, limit: int, senders: int, send: Callable[[list[Any]], Steps]) -> None:
        self._env = env
        self._limit = limit
        self._idle = senders
        self._send = send
        self._queue: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, item: Any) -> None:
        """Queue it; a sender that is idle begins."""
        self._queue.append(item)
        if self._idle:
            self._idle -= 1
            self._env.process(self._run())

    def _run(self) -> Steps:
        # A moment later, so that what comes at the same time goes together.
        yield self._env.timeout(0)
        while self._queue:
            count = min(len(self._queue), self._limit)
            yield from self._send([self._queue.popleft() for _ in range(count)])
        self._idle += 1
