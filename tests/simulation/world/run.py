"""Run seeds of the simulated world, and say what came of them (``make simulate``).

Fails where a seed breaks what must hold, where fewer than 95 of 100 seeds count, and, of ``LEAST_SEEDS`` seeds and
more, where a kind of fault came to pass in fewer than one of 100.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.simulation.world.faults import KINDS as FAULTS
from tests.simulation.world.membership import CHANGED, LEAST_CHANGED
from tests.simulation.world.membership import KINDS as CHANGES
from tests.simulation.world.world import Outcome, World, write_identities

KINDS = (*FAULTS, *CHANGES)
LEAST_SEEDS = 300
LEAST_SHARE = 0.01
LEAST_COUNTED = 0.95
PROGRESS_S = 15.0
MAX_TOLD = 20


@contextmanager
def world_folder() -> Iterator[Path]:
    """A folder with the files that the world's orderers read at their start."""
    with tempfile.TemporaryDirectory(prefix="gridledger-world-") as made:
        write_identities(Path(made))
        yield Path(made)


def run_seed(seed: int, *, whole_trace: bool = False) -> Outcome:
    """One seed's outcome."""
    with world_folder() as folder:
        return World(seed, folder, whole_trace=whole_trace).run()


@dataclass
class Tally:
    """What came of all seeds so far."""

    seeds: int = 0
    counted: int = 0
    acknowledged: int = 0
    blocks: int = 0
    simulated_s: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    violated: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.counted += outcome.counts
        self.acknowledged += outcome.acknowledged
        self.blocks += outcome.blocks
        self.simulated_s += outcome.simulated_s
        self.fired.update(outcome.fired.keys())
        if outcome.violation:
            self.violated.append(outcome)

    def shortcomings(self) -> list[str]:
        """Why this run does not count as passed."""
        said = [f"{len(self.violated)} seeds broke what must hold"] if self.violated else []
        if self.counted < LEAST_COUNTED * self.seeds:
            said.append(f"only {self.counted} of {self.seeds} seeds count")
        if self.seeds >= LEAST_SEEDS:
            seldom = [kind for kind in KINDS if self.fired[kind] < LEAST_SHARE * self.seeds]
            if seldom:
                said.append(f"in fewer than {LEAST_SHARE:.0%} of the seeds: {', '.join(seldom)}")
            if self.fired[CHANGED] < LEAST_CHANGED * self.seeds:
                said.append(f"in fewer than {LEAST_CHANGED:.0%} of the seeds: {CHANGED}")
        return said


def main(argv: list[str]) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--processes", type=int, default=1, help="side by side")
    parser.add_argument("--trace", action="store_true", help="print what happened in each seed")
    given = parser.parse_args(argv)
    tally, began, told = Tally(), time.monotonic(), 0.0
    seeds = range(given.first, given.first + given.seeds)
    for outcome in _outcomes(seeds, given.processes, whole_trace=given.trace):
        tally.add(outcome)
        if given.trace or (outcome.violation and len(tally.violated) <= MAX_TOLD):
            _tell(outcome, whole=given.trace)
        if time.monotonic() - told >= PROGRESS_S or tally.seeds == given.seeds:
            told = time.monotonic()
            _progress(tally, given.seeds, told - began)
    return _conclude(tally)


def _outcomes(seeds: range, processes: int, *, whole_trace: bool) -> Iterator[Outcome]:
    if processes == 1:
        with world_folder() as folder:
            for seed in seeds:
                yield World(seed, folder, whole_trace=whole_trace).run()
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(partial(run_seed, whole_trace=whole_trace), seeds, chunksize=5)


def _tell(outcome: Outcome, *, whole: bool) -> None:
    print("\n".join(outcome.recent if whole else outcome.recent[-30:]))
    said = f"BROKEN: {outcome.violation}" if outcome.violation else "holds"
    print(f"seed {outcome.seed}: {said}; trace {outcome.digest}")
    print(f"replay: make simulate SEEDS=1 FROM={outcome.seed} ARGS=--trace", flush=True)


def _progress(tally: Tally, seeds: int, took_s: float) -> None:
    rate = tally.seeds / took_s * 60
    print(
        f"{tally.seeds} of {seeds} seeds, {tally.counted} count, {len(tally.violated)} broken, "
        f"{rate:.0f} a minute, {(seeds - tally.seeds) / max(rate, 0.001):.0f} minutes to go",
        flush=True,
    )


def _conclude(tally: Tally) -> int:
    print(
        f"{tally.acknowledged} transactions acknowledged, {tally.blocks} blocks, "
        f"{tally.simulated_s / 3600:.1f} hours simulated; seeds in which a fault came to pass:"
    )
    for kind in (*KINDS, CHANGED):
        print(f"  {tally.fired[kind] / max(1, tally.seeds):6.1%}  {kind}")
    unknown = sorted(tally.fired.keys() - {*KINDS, CHANGED})
    shortcomings = tally.shortcomings() + ([f"kinds without a place in KINDS: {unknown}"] if unknown else [])
    for said in shortcomings:
        print(f"FAILED: {said}")
    if tally.violated:
        print(f"broken seeds: {[outcome.seed for outcome in tally.violated]}")
    return 1 if shortcomings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
