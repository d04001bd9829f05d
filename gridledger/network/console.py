"""The console of ``gridledger up``: each line that a process writes, behind the process's name in its own colour.

A thread writes, so that a terminal that is stopped (Ctrl-S), slow or gone never keeps the supervisor from reading its
processes' output, which in turn would block them.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import TextIO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_RED, _YELLOW = 31, 33
_MAX_WAITING = 10_000
_LAST_WORDS_S = 2.0
_SHOWN_BY_PREFIX = ("time", "level", "service", "node", "logger", "message")


class ProcessConsole:
    """Prints lines; at most ``max_waiting`` wait to be printed, and those left out are counted and told of."""

    def __init__(self, output: TextIO | None = None, *, max_waiting: int = _MAX_WAITING) -> None:
        self._output = output or sys.stdout
        self._coloured = self._output.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {}
        self._lines: queue.Queue[str | None] = queue.Queue(max_waiting)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def line(self, name: str, line: str) -> None:
        """Show one line of a process's output; a JSON log line as a person reads it."""
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        self.say(f"{self._in_colour(f'{name:<9}|', colour)} {self._readable(line)}")

    def say(self, text: str) -> None:
        """Show a line of our own."""
        try:
            if self._left_out:
                self._lines.put_nowait(f"({self._left_out} lines left out here; logs/ has them)")
                self._left_out = 0
            self._lines.put_nowait(text)
        except queue.Full:
            self._left_out += 1

    def close(self) -> None:
        """Write what waits, unless the terminal does not take it."""
        try:
            self._lines.put(None, timeout=_LAST_WORDS_S)
        except queue.Full:
            return
        self._thread.join(_LAST_WORDS_S)

    def _write(self) -> None:
        open_ = True
        while (line := self._lines.get()) is not None:
            if not open_:
                continue
            try:
                self._output.write(line + "\n")
                self._output.flush()
            except (OSError, ValueError):
                open_ = False  # whoever read is gone; the logs go on

    def _in_colour(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _readable(self, line: str) -> str:
        try:
            record = json.loads(line)
            time, level, message = record["time"][11:23], record["level"], record["message"]
            more = "".join(f" {name}={value}" for name, value in record.items() if name not in _SHOWN_BY_PREFIX)
        except (ValueError, KeyError, TypeError, AttributeError):
            return line
        word = f"{level:<7}"
        if level in ("warning", "error"):
            word = self._in_colour(word, _YELLOW if level == "warning" else _RED)
        return f"{time} {word} {message}{more}"
