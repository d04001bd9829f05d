"""``python -m services.anchor``: an agent of the companion kind ``anchor`` (``--config FILE``), or one subcommand."""

from __future__ import annotations

import importlib
import sys
from typing import Final

from gridledger import startup
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, one_line, tell_error
from gridledger.errors import GridLedgerError
from gridledger.extras import require_server

SUBCOMMANDS: Final = {
    "status": ("services.anchor.commands.status", "how far each channel is anchored, and what is wrong"),
    "verify": ("services.anchor.commands.verify", "compare the chains of peers with what was anchored"),
    "forks": ("services.anchor.commands.forks", "sizes at which organisations attested different heads"),
}


def main(argv: list[str]) -> int:
    """Run an agent from its settings file, or a subcommand; the exit code. An error of ours is one line."""
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(_help())
        return 0 if argv else EXIT_USAGE
    try:
        if name.startswith("--config"):
            require_server("an agent of anchors")
            return _serve(argv)
        if name not in SUBCOMMANDS:
            sys.stderr.write(f"error: there is no subcommand {name!r:.40}. See gridledger anchor --help\n")
            return EXIT_USAGE
        code: int = importlib.import_module(SUBCOMMANDS[name][0]).main(argv[1:])
    except GridLedgerError as error:
        return tell_error(error)
    except BrokenPipeError:
        return EXIT_FAILED
    except OSError as error:
        sys.stderr.write(f"error: {one_line(str(error))}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code


def _serve(argv: list[str]) -> int:
    startup.pause()
    from gridledger.web import run_service  # noqa: PLC0415 -- these take a while; --help does without
    from services.anchor.app import open_agent  # noqa: PLC0415
    from services.anchor.settings import AnchorSettings  # noqa: PLC0415

    startup.imports_are_done()
    return run_service("anchor", AnchorSettings, open_agent, argv)


def _help() -> str:
    width = max(map(len, SUBCOMMANDS))
    return "\n".join(
        (
            "usage: gridledger anchor SUBCOMMAND ...",
            "       python -m services.anchor --config FILE",
            "",
            "Anchors: the heads of channels' block trees, which another channel keeps.",
            "",
            *(f"  {name:<{width}}  {does}" for name, (_, does) in SUBCOMMANDS.items()),
            "",
            "'gridledger anchor SUBCOMMAND --help' tells a subcommand's options.",
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
