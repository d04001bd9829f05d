"""The output in the terminal: progress lines and tables. Colour only where a terminal takes it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from gridledger.network.status import NetworkState
from services.feeder.scenario_run import ScenarioRun

_BOLD, _DIM, _GREEN, _RED, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"
_ROW = "  {:<9} {:<48} {:>4}   {:>6} {:>7}   {:>6} {:>7}   {:>5}  {}"


class Console:
    """Writes to standard output, line by line."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, text: str) -> None:
        """One line of progress, with the seconds since the begin."""
        self._print(f"{self._dim(f'[{time.monotonic() - self._begun:5.1f} s]')} {text}")

    def line(self, text: str) -> None:
        """A line as it is."""
        self._print(text)

    def warn(self, text: str) -> None:
        """One line about what went wrong."""
        self._print(f"  {self._red(text)}")

    def title(self, text: str) -> None:
        """A heading."""
        self._print(f"\n{_BOLD}{text}{_RESET}" if self._colour else f"\n{text}")

    def table_head(self, profile: str) -> None:
        """Above the rows of :meth:`run`."""
        self.title(f"Profile {profile}")
        head = _ROW.format("scenario", "what happens", "weak", "V", "", "VSI", "", "", "")
        second = _ROW.format("", "", "bus", "before", "after", "before", "after", "steps", "injections")
        self._print(self._dim(head.rstrip()))
        self._print(self._dim(second))

    def run(self, run: ScenarioRun, faults: Sequence[str]) -> None:
        """One scenario's row, and its faults."""
        bus = run.weak_bus
        verdict = self._red("x") if faults else self._green("ok")
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
        self._print(f"{row}  {verdict}")
        if run.merges:
            self._print(
                self._dim(f"  {'':<9} {', then '.join(run.merges)}; VVC {run.vvc_before:.6f} p.u. before = ")
                + self._dim(f"{run.vvc_after:.6f} left + {run.injected_pu:.6f} injected")
            )
        for fault in faults:
            self.warn(f"{run.scenario.name} ({run.planner.profile}): {fault}")

    def channels(self, state: NetworkState) -> None:
        """Heights and commit hashes of every channel's peers."""
        self.title("Ledgers")
        for name, channel in state.channels.items():
            verdict = self._green("peers agree") if channel.level else self._red("PEERS DIFFER")
            self._print(f"  {name:<10} {verdict}")
            for peer, found in sorted(channel.peers.items()):
                self._print(f"    {peer:<8} height {found.height:<6} commit hash {found.commit_hash[:32]}...")

    def latencies(self, percentiles: dict[str, float]) -> None:
        """One line of latencies."""
        shown = ", ".join(f"{name} {value:.1f} ms" for name, value in percentiles.items())
        self._print(f"\n  frame to durable commit: {shown}")

    def verdict(self, text: str, *, good: bool) -> None:
        """The last line."""
        self._print("\n" + (self._green(text) if good else self._red(text)))

    @staticmethod
    def _print(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _dim(self, text: str) -> str:
        return f"{_DIM}{text}{_RESET}" if self._colour else text

    def _green(self, text: str) -> str:
        return f"{_GREEN}{text}{_RESET}" if self._colour else text

    def _red(self, text: str) -> str:
        return f"{_RED}{text}{_RESET}" if self._colour else text
