"""Command lines of commands and services: how an error is shown, and exit codes."""

from __future__ import annotations

import sys

from gridledger.errors import GridLedgerError, PortTaken

EXIT_FAILED = 1
"""An error of ours ended it: settings that cannot be used, a node that did not answer, ..."""
EXIT_USAGE = 2
"""The command line cannot be understood."""
EXIT_PORT_TAKEN = 98
"""Another process listens on the port (Linux's number of EADDRINUSE)."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells have it."""


def tell_error(error: GridLedgerError) -> int:
    """Write an error as one line on standard error; the exit code that goes with it."""
    sys.stderr.write(f"error: {one_line(error.message)}\n")
    return EXIT_PORT_TAKEN if isinstance(error, PortTaken) else EXIT_FAILED


def one_line(text: str) -> str:
    """A text from anywhere as one line that a terminal shows as it is: without breaks and control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
