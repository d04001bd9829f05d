"""A study: a grid on a running network, its scenarios run one after the other from a program, and their results.

    study = Study(load_case("grid.m"), network="out/network")
    run = study.run("sag", [{"at": 5, "sag": {}}])
    run.to_frame("actions")

Calls block, also in a notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gridledger.client.blocking_loop import run as run_blocking
from gridledger.errors import InputError
from gridledger.grid.case import Case
from gridledger.grid.records import Profile
from services.feeder.results.run_folder import RunFolder
from services.feeder.scenario_file.reading import scenario_of_members
from services.feeder.set_up import Asked
from services.feeder.stream_command import StreamOptions, run_stream


class Study:
    """Runs scenarios of one grid. ``network`` is the folder of a running network, ``out`` is where runs go.

    ``groups``: how many automatic groups; None for the case's own number. ``tell`` is given a line about each step.
    """

    def __init__(
        self,
        case: Case | str,
        *,
        network: Path | str = "out/network",
        out: Path | str = "out/runs",
        groups: int | None = None,
        profile: Profile = "corrected",
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.case = case
        self.network, self.out = Path(network), Path(out)
        self.groups = groups
        self.profile = profile
        self._tell = tell

    def run(
        self,
        name: str,
        events: Iterable[Mapping[str, Any]] = (),
        *,
        vvc_mvar: float | Mapping[int, float] = 150.0,
        rate: float = 10.0,
        seconds: float = 20.0,
        **members: Any,
    ) -> RunFolder:
        """Stream from the case's own loads and fresh lists; the results, which are in ``out/NAME``.

        ``events`` and ``members`` are those of a scenario file (docs/feeder.md). ``vvc_mvar``: what every load bus may
        inject, or each of those named; 0 is a run without control. ``rate`` is in frames per second of each group.
        Raises InputError for what the grid does not have, and where ``out/NAME`` holds a run.
        """
        vvc = {"by_bus": dict(vvc_mvar)} if isinstance(vvc_mvar, Mapping) else {"mvar": vvc_mvar}
        file = scenario_of_members(
            {
                "name": name,
                "title": name,
                "vvc": vvc,
                "events": [dict(event) for event in events],
                "rate": rate,
                "duration": seconds,
                **members,
            }
        )
        folder = self.out / name
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder} holds a run already: give this one another name, or remove it")
        asked = Asked(self.case, self.groups, self.profile)
        run_blocking(run_stream(StreamOptions(file, asked, self.network, results=folder), self._tell))
        return RunFolder.at(folder)
