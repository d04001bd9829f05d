"""The measured window of a load, and what happened in it.

Throughput and latencies are those of transactions that *ended* in the window: a backlog that is worked off after it
adds nothing, and transactions sent in the warm-up are counted if they end in the window. ``sent``, ``codes`` and
``refused`` are those of transactions that were *intended* in the window, whenever they ended, so the codes of both add
up to ``sent``. Where the bound is a number of transactions, the window lasts from the end of the warm-up until the last
of them has ended, and only they count.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load.plan import LoadSpec
from benchmarks.load.transaction_log import GOOD, TransactionLog
from benchmarks.measure.processes import GENERATOR, Samples
from benchmarks.measure.results import BlockSizes, Latency, ProcessUse, Second, percentile


@dataclass(frozen=True, slots=True)
class Window:
    """``begin_s`` and ``end_s`` count from the load's begin, ``begin_at`` is the window's begin in seconds since 1970.
    ``counted``: only transactions that were also intended in the window count."""

    begin_s: float
    end_s: float
    begin_at: float
    counted: bool = False

    @property
    def lasts_s(self) -> float:
        """Its length."""
        return self.end_s - self.begin_s

    @property
    def end_at(self) -> float:
        """Its end in seconds since 1970."""
        return self.begin_at + self.lasts_s


@dataclass(frozen=True, slots=True)
class CutBlock:
    """When a block was cut, and how many transactions it has."""

    timestamp_us: int
    transactions: int


@dataclass(slots=True)
class LoadOutcome:
    """What happened in a window. ``ended`` has the second and the latency in seconds of each VALID transaction,
    ``late`` how many seconds after its intended time each transaction was sent."""

    sent: int = 0
    answered: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ended: list[tuple[int, float]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    sent_at: Counter[int] = field(default_factory=Counter)
    refused_at: Counter[int] = field(default_factory=Counter)

    @property
    def valid(self) -> int:
        """The number of transactions that became VALID, or of queries that were answered."""
        return len(self.ended)

    @property
    def latency(self) -> Latency | None:
        """Latency of what became VALID."""
        return Latency.of([latency for _, latency in self.ended])

    @property
    def failed(self) -> dict[str, int]:
        """The codes of all that did not become VALID: committed as invalid, or refused."""
        return {code: count for code, count in (self.codes + self.refused).items() if code not in GOOD}

    def late_p99_ms(self) -> float:
        """How late the generator sent one transaction in a hundred, or later."""
        return 1000 * percentile(sorted(self.late), 0.99) if self.late else 0.0

    def seconds(self, window: Window) -> list[Second]:
        """The window second by second."""
        by_second: dict[int, list[float]] = defaultdict(list)
        for second, latency in self.ended:
            by_second[second].append(latency)
        rows = []
        for second in range(math.ceil(window.lasts_s)):
            times = Latency.of(by_second[second])
            rows.append(
                Second(
                    at_s=second,
                    sent=self.sent_at[second],
                    valid=len(by_second[second]),
                    refused=self.refused_at[second],
                    p50_ms=times.p50_ms if times else None,
                    p99_ms=times.p99_ms if times else None,
                )
            )
        return rows


class EngineLogs:
    """The transaction logs of all engines, which began together at ``begin_at`` (seconds since 1970)."""

    def __init__(self, begin_at: float, logs: list[TransactionLog]) -> None:
        self.begin_at = begin_at
        self._logs = logs

    @classmethod
    def read(cls, paths: Iterable[Path]) -> EngineLogs:
        """Read the engines' files. OSError where one is missing."""
        files = [TransactionLog.read(path) for path in paths]
        return cls(min(begin_at for _, begin_at in files), [log for log, _ in files])

    def last_end(self, begin_s: float) -> float:
        """The end of the last transaction that was intended at or after ``begin_s``."""
        ends = [ended for log in self._logs for intended, _, ended, _ in log.rows() if intended >= begin_s]
        return max(ends, default=begin_s)

    def window(self, spec: LoadSpec) -> Window:
        """The window in which a load is measured."""
        begin_s, counted = spec.warmup_s, spec.transactions is not None
        end_s = self.last_end(begin_s) if counted else begin_s + (spec.duration_s or 0.0)
        return Window(begin_s, max(end_s, begin_s + 1e-3), self.begin_at + begin_s, counted)

    def outcome(self, window: Window) -> LoadOutcome:
        """What happened in a window."""
        outcome = LoadOutcome()
        for log in self._logs:
            for intended, sent, ended, code in log.rows():
                sent_in = window.begin_s <= intended < window.end_s
                ended_in = window.begin_s <= ended <= window.end_s and (sent_in or not window.counted)
                if sent_in:
                    outcome.sent += 1
                    outcome.late.append(sent - intended)
                    outcome.sent_at[int(intended - window.begin_s)] += 1
                if ended_in:
                    outcome.answered += 1
                    if code in GOOD:
                        outcome.ended.append((int(ended - window.begin_s), ended - intended))
                if sent_in and (code in log.committed or code in GOOD):
                    outcome.codes[code] += 1
                elif sent_in:
                    outcome.refused[code] += 1
                    outcome.refused_at[int(min(ended, window.end_s) - window.begin_s)] += 1
        return outcome


def offered_tx_s(spec: LoadSpec, sent: int, window: Window) -> float | None:
    """The mean rate of a schedule, as stated or as it was; None for a closed loop."""
    if spec.closed:
        return None
    if spec.controller.type == "fixed-rate":
        return float(spec.controller.opts["tps"])
    return sent / window.lasts_s


def process_uses(samples: Samples, window: Window) -> list[ProcessUse]:
    """Each process in the window: cores between its first and its last sample there, memory in its samples there."""
    inside = [sample for sample in samples if window.begin_at <= sample[0] <= window.end_at]
    earlier = [sample for sample in samples if sample[0] < window.begin_at][-1:]
    later = [sample for sample in samples if sample[0] > window.end_at][:1]
    chosen = inside if len(inside) > 1 else [*earlier, *inside, *later]
    found = []
    for pid in sorted({pid for _, processes in chosen for pid in processes}):
        mine = [(at, processes[pid]) for at, processes in chosen if pid in processes]
        (first_at, first), (last_at, last) = mine[0], mine[-1]
        if last_at <= first_at:
            continue
        sizes = [sample.rss_bytes for _, sample in mine]
        found.append(
            ProcessUse(
                name=last.name,
                kind=last.kind,
                pid=pid,
                cores=(last.cpu_s - first.cpu_s) / (last_at - first_at),
                rss_first_bytes=sizes[0],
                rss_last_bytes=sizes[-1],
                rss_max_bytes=max(sizes),
            )
        )
    return sorted(found, key=lambda use: (use.kind, use.name, use.pid))


def generator_use(processes: list[ProcessUse], window: Window, answered: int) -> tuple[float, float]:
    """Cores of Locust and its engines together, and their microseconds for each transaction that ended."""
    cores = sum(process.cores for process in processes if process.kind in GENERATOR)
    return cores, cores * window.lasts_s * 1e6 / max(1, answered)


def block_sizes(cut: dict[str, list[CutBlock]], window: Window) -> list[BlockSizes]:
    """The sizes of the blocks that each channel cut in the window."""
    found = []
    for channel, blocks in cut.items():
        begin_us, end_us = window.begin_at * 1e6, window.end_at * 1e6
        sizes = sorted(block.transactions for block in blocks if begin_us <= block.timestamp_us <= end_us)
        if sizes:
            found.append(
                BlockSizes(
                    channel=channel,
                    blocks=len(sizes),
                    transactions=sum(sizes),
                    mean=sum(sizes) / len(sizes),
                    p50=int(percentile(sizes, 0.5)),
                    max=sizes[-1],
                )
            )
    return found
