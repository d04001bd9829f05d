"""The output in the terminal, with the tables of scenarios."""

from __future__ import annotations

from collections.abc import Sequence

from gridledger.demonstration.console import Console
from services.feeder.scenario_run import ScenarioRun

_ROW = "  {:<9} {:<48} {:>4}   {:>6} {:>7}   {:>6} {:>7}   {:>5}  {}"


class ScenarioConsole(Console):
    """A console that shows scenarios, a row each."""

    def table_head(self, profile: str) -> None:
        """Above the rows of :meth:`run`."""
        self.title(f"Profile {profile}")
        head = _ROW.format("scenario", "what happens", "weak", "V", "", "VSI", "", "", "")
        second = _ROW.format("", "", "bus", "before", "after", "before", "after", "steps", "injections")
        self.line(self.dim(head.rstrip()))
        self.line(self.dim(second))

    def run(self, run: ScenarioRun, faults: Sequence[str]) -> None:
        """One scenario's row, and its faults."""
        bus = run.weak_bus
        verdict = self.red("x") if faults else self.green("ok")
        row = _ROW.format(
            run.scenario.name,
            run.scenario.title,
            bus,
            f"{run.voltage(run.before):.4f}",
            f"{run.voltage(run.after):.4f}",
            f"{run.before.vsi[bus]:.4f}",
            f"{run.after.vsi[bus]:.4f}",
            run.steps,
            ", ".join(f"{i.q_mvar:.3f} MVAr at {i.bus}" for i in run.injections) or "none",
        )
        self.line(f"{row}  {verdict}")
        if run.merges:
            self.line(
                self.dim(f"  {'':<9} {', then '.join(run.merges)}; VVC {run.vvc_before:.6f} p.u. before = ")
                + self.dim(f"{run.vvc_after:.6f} left + {run.injected_pu:.6f} injected")
            )
        for fault in faults:
            self.warn(f"{run.scenario.name} ({run.planner.profile}): {fault}")
