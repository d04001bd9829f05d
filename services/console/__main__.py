"""``python -m services.console``: what ``gridledger console`` runs; with ``--config FILE`` a control room's console."""

from __future__ import annotations

import sys

from gridledger import startup
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, one_line, tell_error
from gridledger.errors import GridLedgerError
from gridledger.extras import require_extra, require_server


def main(argv: list[str]) -> int:
    """Run the console, or log in to one; the exit code. An error of ours is one line."""
    if argv and argv[0].startswith("--config"):
        return _serve(argv)
    startup.pause()
    try:
        if argv and argv[0] == "login":
            from services.console.login_command import main as run  # noqa: PLC0415 -- these imports take a while

            del argv[0]
        else:
            require_server("gridledger console")
            require_extra("console", "gridledger console")
            from services.console.command import main as run  # noqa: PLC0415

        startup.imports_are_done()
        return run(argv)
    except GridLedgerError as error:
        return tell_error(error)
    except OSError as error:
        sys.stderr.write(f"error: {one_line(str(error))}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _serve(argv: list[str]) -> int:
    startup.pause()
    from gridledger.web import run_service  # noqa: PLC0415
    from services.console.service import open_server  # noqa: PLC0415
    from services.console.settings import ConsoleSettings  # noqa: PLC0415

    startup.imports_are_done()
    return run_service("console", ConsoleSettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
