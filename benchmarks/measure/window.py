"""From what was recorded to what is reported: the measured window, and what happened in it.

Throughput, codes and latencies are those of transactions that *ended* in the window, so that a backlog which is worked
off later adds nothing, and what was sent in the warm-up leaves nothing out. ``sent`` and ``refused`` are of those that
were *intended* in the window, whenever they ended. Where a number of transactions is the bound, the window is from the
warm-up's end until the last of them has ended, and only they count.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load.plan import LoadSpec
from benchmarks.load.transaction_log import GOOD, Records
from benchmarks.measure.processes import GENERATOR, Sample
from benchmarks.measure.results import BlockSizes, Latency, ProcessUse, Second


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds since the load's begin; ``begin_at``: the window's begin by the clock, seconds since 1970."""

    begin_s: float
    end_s: float
    begin_at: float
    counted: bool

    @property
    def lasts_s(self) -> float:
        """Its length."""
        return self.end_s - self.begin_s

    @property
    def end_at(self) -> float:
        """Its end by the clock."""
        return self.begin_at + self.lasts_s


@dataclass(frozen=True, slots=True)
class Cut:
    """A block: when it was cut, and how many transactions are in it."""

    timestamp_us: int
    transactions: int


@dataclass(slots=True)
class Found:
    """What happened in a window. Latencies in seconds with the second in which they ended; ``late`` is how long, in
    seconds, after its intended time each was sent."""

    sent: int = 0
    valid: int = 0
    answered: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    ended: list[tuple[int, float]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    sent_at: Counter[int] = field(default_factory=Counter)
    refused_at: Counter[int] = field(default_factory=Counter)

    def latency(self) -> Latency | None:
        """Of all that became VALID."""
        return latency_of(sorted(latency * 1000 for _, latency in self.ended))

    def late_p99_ms(self) -> float:
        """How late the generator was with the latest in a hundred."""
        return 1000 * percentile(sorted(self.late), 0.99) if self.late else 0.0

    def seconds(self, window: Window) -> list[Second]:
        """Second by second."""
        by_second: dict[int, list[float]] = defaultdict(list)
        for second, latency in self.ended:
            by_second[second].append(latency * 1000)
        rows = []
        for second in range(math.ceil(window.lasts_s)):
            latencies = sorted(by_second[second])
            rows.append(
                Second(
                    at_s=second,
                    sent=self.sent_at[second],
                    valid=len(latencies),
                    refused=self.refused_at[second],
                    p50_ms=percentile(latencies, 0.50) if latencies else None,
                    p99_ms=percentile(latencies, 0.99) if latencies else None,
                )
            )
        return rows


class Outcomes:
    """The records of all engines."""

    def __init__(self, begin_at: float, records: list[Records]) -> None:
        self.begin_at = begin_at
        self._records = records

    @classmethod
    def of(cls, files: list[tuple[Records, dict[str, Any]]]) -> Outcomes:
        """From what was read. Engines begin together; the first one's begin is everyone's."""
        return cls(min(head["begin_at"] for _, head in files), [records for records, _ in files])

    def last_end(self, begin_s: float) -> float:
        """When the last transaction ended that was intended at or after ``begin_s``."""
        ends = [ended for records in self._records for intended, _, ended, _ in records.rows() if intended >= begin_s]
        return max(ends, default=begin_s)

    def in_window(self, window: Window) -> Found:
        """What happened in a window."""
        found, codes, refused = Found(), Counter[str](), Counter[str]()
        for records in self._records:
            for intended, sent, ended, code in records.rows():
                sent_in = window.begin_s <= intended < window.end_s
                ended_in = window.begin_s <= ended <= window.end_s and (sent_in or not window.counted)
                if sent_in:
                    found.sent += 1
                    found.late.append(sent - intended)
                    found.sent_at[int(intended - window.begin_s)] += 1
                if ended_in:
                    found.answered += 1
                if code in records.committed or code in GOOD:
                    if ended_in:
                        codes[code] += 1
                        if code in GOOD:
                            found.valid += 1
                            found.ended.append((int(ended - window.begin_s), ended - intended))
                elif sent_in:
                    refused[code] += 1
                    found.refused_at[int(min(ended, window.end_s) - window.begin_s)] += 1
        found.codes, found.refused = dict(codes), dict(refused)
        return found


def window_of(spec: LoadSpec, outcomes: Outcomes) -> Window:
    """What is measured of a load."""
    begin_s, counted = spec.warmup_s, spec.transactions is not None
    end_s = outcomes.last_end(begin_s) if counted else begin_s + (spec.duration_s or 0.0)
    return Window(begin_s, max(end_s, begin_s + 1e-3), outcomes.begin_at + begin_s, counted)


def offered(spec: LoadSpec, sent: int, window: Window) -> float:
    """The mean rate of a schedule: as stated, or as it was."""
    if spec.controller.type == "fixed-rate":
        return float(spec.controller.opts["tps"])
    return sent / window.lasts_s


def uses(samples: list[tuple[float, dict[int, Sample]]], window: Window) -> list[ProcessUse]:
    """Each process in the window: cores between the first and the last sample in it, memory at and between them."""
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
    """Cores of Locust and its engines together, and microseconds of them for each transaction that ended."""
    cores = sum(process.cores for process in processes if process.kind in GENERATOR)
    return cores, cores * window.lasts_s * 1e6 / max(1, answered)


def block_sizes(cut: dict[str, list[Cut]], window: Window) -> list[BlockSizes]:
    """Of the blocks that were cut in the window, by channel."""
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
                    p50=sizes[len(sizes) // 2],
                    max=sizes[-1],
                )
            )
    return found


def percentile(ordered: list[float], share: float) -> float:
    """The value below which ``share`` of the ordered values lie, NaN of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def latency_of(ordered_ms: list[float]) -> Latency | None:
    """Mean and percentiles of ordered latencies."""
    if not ordered_ms:
        return None
    return Latency(
        mean_ms=sum(ordered_ms) / len(ordered_ms),
        p50_ms=percentile(ordered_ms, 0.50),
        p95_ms=percentile(ordered_ms, 0.95),
        p99_ms=percentile(ordered_ms, 0.99),
        max_ms=ordered_ms[-1],
    )
