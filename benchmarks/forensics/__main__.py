"""``python -m benchmarks.forensics NAME [options]``: each is a command with options of its own (``NAME --help``)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from gridledger.command_line import EXIT_USAGE, tell_error
from gridledger.errors import GridLedgerError
from gridledger.extras import require_extra


@dataclass(frozen=True, slots=True)
class Command:
    """``module`` has ``main(argv)``, which answers the exit code; ``extra`` is asked for before it is loaded."""

    module: str
    what: str
    extra: str | None = None


COMMANDS: Final = {
    "events": Command("events", "events of 2,000 devices, of one device, and of an outage's three hours"),
    "batches": Command("batches", "500 PMUs at 50 frames a second as batches of a minute", "forensics"),
    "rows": Command("rows", "bytes that a PMU's value takes in a Parquet file", "forensics"),
    "history": Command("history", "ledgers of a week with a million events, through the committer directly"),
    "search": Command("search", "the case desk's index of such ledgers, and how fast it answers"),
    "package": Command("packages", "a package of a thousand events of such ledgers, and its verification"),
    "year": Command("year", "bytes a year of each device, from what the others measured"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 1 where a bar is missed."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in COMMANDS:
        print(__doc__, *(f"  {name:10}{command.what}" for name, command in COMMANDS.items()), sep="\n", file=sys.stderr)
        return EXIT_USAGE
    command = COMMANDS[words[0]]
    try:
        if command.extra is not None:
            require_extra(command.extra, f"the benchmark {words[0]}")
    except GridLedgerError as error:
        return tell_error(error)
    code: int = import_module(f"benchmarks.forensics.{command.module}").main(words[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
