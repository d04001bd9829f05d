"""``python -m services.relay``: a server of the companion kind ``relay`` (``--config FILE``), or one subcommand."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Final

from gridledger import startup
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, one_line, tell_error
from gridledger.errors import GridLedgerError
from gridledger.extras import require_server
from services.relay.ending import run_and_end


@dataclass(frozen=True, slots=True)
class Subcommand:
    """What a subcommand does, and the module whose ``main(argv)`` carries it out; it is imported when it is called.

    ``serves``: it needs what nodes need, the extra ``server`` and a POSIX system. The others run on the base install.
    """

    module: str
    does: str
    serves: bool = False


SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    "serve": Subcommand("services.relay.serve", "run a server: read relays, record, attest, conclude", serves=True),
    "simulate": Subcommand("services.relay.simulator.command", "run a simulated relay", serves=True),
    "register": Subcommand("services.relay.commands.register", "register a relay from a file"),
    "update": Subcommand("services.relay.commands.update", "put a relay's record anew from a file"),
    "status": Subcommand("services.relay.commands.status", "relays, their servers, and what is open"),
    "captures": Subcommand("services.relay.commands.captures", "list captures"),
    "show": Subcommand("services.relay.commands.show", "one capture with its attestations and verdict"),
    "gaps": Subcommand("services.relay.commands.gaps", "minutes without a capture"),
    "disputes": Subcommand("services.relay.commands.disputes", "captures on which the servers do not agree"),
    "statistics": Subcommand("services.relay.commands.statistics", "synopses of hours"),
    "watch": Subcommand("services.relay.commands.watch", "events as they come"),
    "faults": Subcommand("services.relay.commands.faults", "fault records that servers have stated"),
    "check-fault": Subcommand("services.relay.commands.check_fault", "compare a COMTRADE file with the ledger"),
    "export": Subcommand("services.relay.commands.export", "captures as the article's chain, CSV or Parquet"),
    "compare": Subcommand("services.relay.commands.compare", "an operator's report beside the ledger"),
    "parse": Subcommand("services.relay.commands.parse", "a capture's text as JSON"),
    "c37": Subcommand("services.relay.commands.c37", "frames of C37.118 (PMUs) as JSON"),
    "verify": Subcommand("services.relay.commands.verify", "verify a chain of the article's form"),
    "demo": Subcommand(
        "services.relay.demonstration.command", "the demonstration with four servers and its faults", serves=True
    ),
}


def main(argv: list[str]) -> int:
    """Run a server from its settings file, or a subcommand; the exit code. An error of ours is one line."""
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(_help())
        return 0 if argv else EXIT_USAGE
    if name.startswith("--config"):
        return _serve(argv)
    try:
        entry = SUBCOMMANDS.get(name)
        if entry is None:
            sys.stderr.write(f"error: there is no subcommand {name!r:.40}. See gridledger relay --help\n")
            return EXIT_USAGE
        if entry.serves:
            require_server(f"gridledger relay {name}")
        code: int = importlib.import_module(entry.module).main(argv[1:])
    except GridLedgerError as error:
        return tell_error(error)
    except BrokenPipeError:  # as in 'watch | head': whoever reads has what he wanted
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
    from services.relay.app import open_server  # noqa: PLC0415
    from services.relay.settings import RelaySettings  # noqa: PLC0415

    startup.imports_are_done()
    return run_service("relay", RelaySettings, open_server, argv)


def _help() -> str:
    width = max(map(len, SUBCOMMANDS), default=0)
    lines = [f"  {name:<{width}}  {entry.does}" for name, entry in SUBCOMMANDS.items()]
    return "\n".join(
        (
            "usage: gridledger relay SUBCOMMAND ...",
            "       python -m services.relay --config FILE",
            "",
            "Relay monitoring: several servers read a substation's relay, and the ledger has each minute once.",
            "",
            *lines,
            "",
            "'gridledger relay SUBCOMMAND --help' tells a subcommand's options.",
        )
    )


if __name__ == "__main__":
    run_and_end(main)
