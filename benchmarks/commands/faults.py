"""The longest time without a commit that clients see when a node dies or hangs: ``python -m benchmarks.faults``.

Runs each kind of fault so many times under load, one after the other, on one network, and prints a table with the
machine and the commit. Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.faults import KINDS, running_faults
from benchmarks.measure.machine import this_machine
from gridledger import jsontext
from gridledger.files import write_atomically

_OF_30 = 28
"""So many of 30 repetitions must keep the second bar: so large a share of any number."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Bounds, in seconds: of the median, of 28 in 30, of all."""

    median: float
    most: float
    worst: float


BARS = {
    "killed leader": Bar(1.0, 1.5, 3.0),
    "killed leader of another channel": Bar(0.3, 0.3, 0.3),
    "hung leader": Bar(1.5, 2.5, 4.0),
    "hung leader of another channel": Bar(1.0, 1.0, 1.0),
    "hung follower": Bar(1.0, 1.0, 1.0),
    "hung peer: the longest wait for a refusal": Bar(1.0, 1.0, 1.0),
    "hung peer: refusals that do not name it": Bar(0, 0, 0),
    "hung peer: first commit after its return": Bar(0.5, 0.5, 0.5),
}


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one thing, in seconds."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def most(self) -> float:
        """What 28 of 30 do not exceed."""
        ordered = sorted(self.values)
        return ordered[max(0, -(-len(ordered) * _OF_30 // 30) - 1)]

    @property
    def keeps(self) -> bool:
        """Whether all bars are kept."""
        bar = BARS[self.name]
        return self.median <= bar.median and self.most <= bar.most and max(self.values) <= bar.worst

    def __str__(self) -> str:
        """The row of the table."""
        bar = BARS[self.name]
        bars = f"{bar.median:g} / {bar.most:g} / {bar.worst:g}"
        return (
            f"| {self.name} | {len(self.values)} | {self.median:.2f} | {self.most:.2f} | {max(self.values):.2f} "
            f"| {bars} | {'kept' if self.keeps else 'MISSED'} |"
        )


def rows_of(measured: Sequence[dict[str, float]]) -> list[Row]:
    """One row for each thing that was measured."""
    return [
        Row(name, tuple(item[name] for item in measured if name in item))
        for name in BARS
        if any(name in item for item in measured)
    ]


async def run(options: argparse.Namespace) -> list[dict[str, float]]:
    """Break the network so many times; what was measured each time."""
    folder = options.out.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    measured: list[dict[str, float]] = []
    async with running_faults(folder / "network", port_offset=options.port_offset, rate=options.rate) as faults:
        for kind in options.kinds:
            for number in range(1, options.repetitions + 1):
                seen = await KINDS[kind](faults)
                measured.append(seen)
                shown = ", ".join(f"{name} {value:.2f}" for name, value in seen.items())
                print(f"{kind} {number} of {options.repetitions}: {shown}", flush=True)
                await faults.settle()
    return measured


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--rate", type=float, default=100.0, help="transactions per second, of both channels together")
    parser.add_argument("--port-offset", type=int, default=12_000)
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    options = parser.parse_args(argv)
    rows = rows_of(asyncio.run(run(options)))
    table = [
        "| fault | n | median s | 28 of 30 s | worst s | bars s | |",
        "|---|---|---|---|---|---|---|",
        *map(str, rows),
        "",
        f"{options.rate:g} transactions/s; {this_machine()}",
    ]
    print("\n".join(table))
    result = {"machine": this_machine().to_dict(), "rate": options.rate, "seconds": {r.name: r.values for r in rows}}
    write_atomically(options.out / "faults.json", jsontext.dumps(result))
    write_atomically(options.out / "faults.md", ("\n".join(table) + "\n").encode())
    return 0 if all(row.keeps for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
