"""What a stretch of time came to: latencies, what was short at its end, processor time of each kind of process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.forensics.network import Section, Sizes
from benchmarks.forensics.node import Node, own_cpu_s
from benchmarks.measure.processes import usage_by_kind
from benchmarks.measure.results import Latency

_BEGUN = time.monotonic()


def tell(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", flush=True)


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor seconds by kind of process; the light node's are this process's."""

    seconds: dict[str, float]

    @classmethod
    def now(cls) -> Cpu:
        """So far."""
        used = {kind: usage.cpu_s for kind, usage in usage_by_kind().items()}
        return cls({**used, "light node and load": own_cpu_s()})

    def ms_since(self, before: Cpu, events: int) -> dict[str, float]:
        """Milliseconds an event, by kind and together."""
        parts = {
            kind: round(1000 * (used - before.seconds.get(kind, 0.0)) / max(events, 1), 2)
            for kind, used in self.seconds.items()
        }
        return {**dict(sorted(parts.items())), "all": round(sum(parts.values()), 2)}


def outcome(node: Node, numbers: Iterable[int], begin: float, end: float) -> dict[str, Any]:
    """Of the records that were due in a stretch: how long each took, and how many were not VALID at its end."""
    due = [number for number in numbers if begin <= node.due_at[number] < end]
    valid = [number for number in due if number in node.recorder.valid_at]
    latency = Latency.of([node.recorder.valid_at[number] - node.due_at[number] for number in valid])
    in_time = sum(node.recorder.valid_at[number] <= end for number in valid)
    ended = sum(begin <= at < end for at in node.recorder.valid_at.values())
    return {
        "seconds": round(end - begin, 1),
        "offered": len(due),
        "offered_per_s": round(len(due) / (end - begin), 1),
        "valid_per_s": round(ended / (end - begin), 1),
        "short_at_end": len(due) - in_time,
        "never_valid": len(due) - len(valid),
        "transactions": sum(begin <= at < end for at in node.recorder.transactions),
        "latency": latency.model_dump() if latency else None,
    }


def grown(section: Section, before: Sizes, count: int) -> dict[str, int]:
    """Bytes that each of so many events or batches took since then: in the blocks, and in the ledger's folder."""
    now = section.sizes()
    blocks = section.block_bytes(before.height, now.height)
    return {"blocks": round(blocks / max(count, 1)), "folder": round((now.folder - before.folder) / max(count, 1))}
