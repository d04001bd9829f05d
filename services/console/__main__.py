"""``python -m services.console``: what ``gridledger console`` runs."""

from __future__ import annotations

import sys

from gridledger import startup
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, one_line, tell_error
from gridledger.errors import GridLedgerError


def main(argv: list[str]) -> int:
    """Run the console; the exit code. An error of ours is one line."""
    startup.pause()
    from services.console.command import main as run  # noqa: PLC0415 -- these imports take a while

    startup.imports_are_done()
    try:
        return run(argv)
    except GridLedgerError as error:
        return tell_error(error)
    except OSError as error:
        sys.stderr.write(f"error: {one_line(str(error))}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
