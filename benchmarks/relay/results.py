"""Results of the relay benchmarks: a file for each mode, written after every run, so that one can be stopped."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure.machine import this_machine
from gridledger.files import write_atomically

Report = dict[str, Any]


class Results:
    """The runs of one mode, each under the configuration that it had, at this commit on this machine."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        self._path = path
        self._machine = this_machine()
        self._runs: list[Report] = []
        if path.exists() and not anew:
            stored = json.loads(path.read_bytes())
            if stored["machine"]["commit"] == self._machine.commit:
                self._runs = stored["runs"]

    async def of(self, configuration: Mapping[str, Any], measure: Callable[[], Awaitable[Report]]) -> Report:
        """The run of a configuration: as it is stored, or measured now and stored."""
        wanted = json.loads(json.dumps(dict(configuration)))
        for run in self._runs:
            if run["configuration"] == wanted:
                return run
        run = {"configuration": wanted, **json.loads(json.dumps(await measure()))}
        self._runs.append(run)
        self.write()
        return run

    def write(self) -> None:
        """Write the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        report = {"machine": self._machine.to_dict(), "runs": self._runs}
        write_atomically(self._path, json.dumps(report, indent=1).encode())

    def write_table(self, text: str) -> None:
        """Write the Markdown beside it, with the machine, and print it."""
        told = f"{text}\n\n{self._machine}\n"
        write_atomically(self._path.with_suffix(".md"), told.encode())
        print(f"\n{told}", flush=True)
