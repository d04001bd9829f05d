"""``python -m tests.mutants``: make each mistake in a copy of the tree, run the tests, tell which were seen."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.drawn import draw
from tests.mutants.mutation import ROOT, Mutation
from tests.mutants.survivors import reason_for
from tests.mutants.written import WRITTEN

TIMEOUT_S = 600.0
LEAST_CAUGHT = 0.85
"""Of those that are drawn. Those written by hand must all be caught, or their survival have a reason."""
_TREE = ("gridledger", "services", "chaincode", "benchmarks", "tests", "network-config", "docs", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a mutation: the test that saw it, None for a survivor."""

    kind: str
    mutation: Mutation
    seen_by: str | None
    took_s: float

    @property
    def reason(self) -> str | None:
        """Why its survival is right, None where it is not known to be."""
        return reason_for(self.mutation)


def main(arguments: Sequence[str]) -> int:
    """Make the mutations, print one line each and a table; 1 when one survived that should not have."""
    options = _parser().parse_args(arguments)
    mutations = [("written", mutation) for mutation in WRITTEN]
    mutations += [("drawn", mutation) for mutation in draw(options.drawn, options.seed)]
    if options.only:
        mutations = [(kind, each) for kind, each in mutations if options.only in (kind, each.path)]
    print(f"{len(mutations)} mutations; drawn with seed {options.seed}; {options.jobs} at a time", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        outcomes = _make_all(mutations, Path(folder), options.jobs)
    if options.out:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        Path(options.out).write_text(json.dumps([_row(outcome) for outcome in outcomes], indent=1) + "\n")
    return _verdict(outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--drawn", type=int, default=50, help="how many are drawn (default 50)")
    parser.add_argument("--seed", type=int, default=12, help="what they are drawn from (default 12)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many run side by side")
    parser.add_argument("--only", help="'written', 'drawn', or the path of one file")
    parser.add_argument("--out", help="a JSON file for the outcomes")
    return parser


def _make_all(mutations: Sequence[tuple[str, Mutation]], folder: Path, jobs: int) -> list[Outcome]:
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        trees.put(_copied_tree(folder / str(number)))

    def make(kind: str, mutation: Mutation) -> Outcome:
        tree = trees.get()
        try:
            outcome = _make(kind, mutation, tree)
        finally:
            trees.put(tree)
        print(_line(outcome), flush=True)
        return outcome

    with ThreadPoolExecutor(jobs) as workers:
        return list(workers.map(lambda pair: make(*pair), mutations))


def _copied_tree(tree: Path) -> Path:
    tree.mkdir(parents=True)
    for name in _TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tree / name)
    return tree


def _make(kind: str, mutation: Mutation, tree: Path) -> Outcome:
    file = tree / mutation.path
    source = file.read_text()
    started = time.monotonic()
    file.write_text(mutation.applied(source))
    try:
        seen_by = next((seen for tests in mutation.tests if (seen := _failure(tests, tree))), None)
    finally:
        file.write_text(source)
    return Outcome(kind, mutation, seen_by, time.monotonic() - started)


def _failure(tests: str, tree: Path) -> str | None:
    """The first test that fails, None where all pass."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "60", tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".hypothesis")}
    try:
        run = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{tests}: more than {TIMEOUT_S:.0f} s"
    if run.returncode == 0:
        return None
    lines = run.stdout.splitlines()
    failed = [line.split(" ")[1] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return failed[0] if failed else (lines[-1:] or run.stderr.splitlines()[-1:] or ["?"])[0]


def _line(outcome: Outcome) -> str:
    mutation = outcome.mutation
    if outcome.seen_by:
        return f"caught    {outcome.took_s:5.0f} s  {mutation.path}: {mutation.says}\n            {outcome.seen_by}"
    changed = "\n".join(f"            {line}" for line in mutation.changed_lines((ROOT / mutation.path).read_text()))
    why = outcome.reason or "NO REASON IS KNOWN"
    return f"survived  {outcome.took_s:5.0f} s  {mutation.path}: {mutation.says}\n{changed}\n            {why}"


def _row(outcome: Outcome) -> dict[str, object]:
    mutation = outcome.mutation
    return {
        "kind": outcome.kind,
        "path": mutation.path,
        "says": mutation.says,
        "changed": mutation.changed_lines((ROOT / mutation.path).read_text()),
        "seen_by": outcome.seen_by,
        "reason": None if outcome.seen_by else outcome.reason,
        "took_s": round(outcome.took_s, 1),
    }


def _verdict(outcomes: Sequence[Outcome]) -> int:
    wrong = 0
    for kind in ("written", "drawn"):
        made = [outcome for outcome in outcomes if outcome.kind == kind]
        if not made:
            continue
        caught = sum(outcome.seen_by is not None for outcome in made)
        unexplained = [outcome for outcome in made if outcome.seen_by is None and outcome.reason is None]
        print(f"{kind}: {caught} of {len(made)} caught ({caught / len(made):.0%}); {len(unexplained)} without a reason")
        wrong += len(unexplained) + (kind == "drawn" and caught / len(made) < LEAST_CAUGHT)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
