"""The output in the terminal: progress lines, tables, the verdict. Colour only where a terminal takes it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from gridledger.network.status import NetworkState

_BOLD, _DIM, _GREEN, _RED, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class Console:
    """Writes to standard output, line by line."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, text: str) -> None:
        """One line of progress, with the seconds since the begin."""
        self.line(f"{self.dim(f'[{time.monotonic() - self._begun:5.1f} s]')} {text}")

    def line(self, text: str) -> None:
        """A line as it is."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        """One line about what went wrong."""
        self.line(f"  {self.red(text)}")

    def title(self, text: str) -> None:
        """A heading."""
        self.line(f"\n{_BOLD}{text}{_RESET}" if self._colour else f"\n{text}")

    def channels(self, state: NetworkState) -> None:
        """Heights and commit hashes of every channel's peers."""
        self.title("Ledgers")
        for name, channel in state.channels.items():
            verdict = self.green("peers agree") if channel.level else self.red("PEERS DIFFER")
            self.line(f"  {name:<10} {verdict}")
            for peer, found in sorted(channel.peers.items()):
                self.line(f"    {peer:<8} height {found.height:<6} commit hash {found.commit_hash[:32]}...")

    def latencies(self, what: str, percentiles: Mapping[str, float]) -> None:
        """One line of latencies. ``what`` was timed, from where to where."""
        shown = ", ".join(f"{name} {value:.1f} ms" for name, value in percentiles.items())
        self.line(f"\n  {what}: {shown}")

    def verdict(self, text: str, *, good: bool) -> None:
        """The last line."""
        self.line("\n" + (self.green(text) if good else self.red(text)))

    def dim(self, text: str) -> str:
        """Text that stands back."""
        return self._painted(_DIM, text)

    def green(self, text: str) -> str:
        """Text about what went well."""
        return self._painted(_GREEN, text)

    def red(self, text: str) -> str:
        """Text about what went wrong."""
        return self._painted(_RED, text)

    def _painted(self, code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if self._colour else text
