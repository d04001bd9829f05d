"""``python -m services.case SUBCOMMAND``: the commands of investigations, ``gridledger case``."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Final

from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, one_line, tell_error
from gridledger.errors import GridLedgerError
from gridledger.extras import require_server


@dataclass(frozen=True, slots=True)
class Subcommand:
    """What a subcommand does, and the module whose ``function(argv)`` carries it out; it is imported when it is called.

    ``serves``: it needs what nodes need, the extra ``server`` and a POSIX system. The others run on the base install;
    where one needs packages of the extra ``forensics``, it says so itself.
    """

    module: str
    does: str
    serves: bool = False
    function: str = "main"


SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    "set-up": Subcommand("services.case.commands.set_up", "the authority, and the devices of the light nodes"),
    "device": Subcommand("services.case.commands.device", "list, register, rotate, retire, revoke devices"),
    "sessions": Subcommand("services.case.commands.access_log", "operators' sessions", function="sessions"),
    "commands": Subcommand("services.case.commands.access_log", "operators' commands", function="commands"),
    "denials": Subcommand("services.case.commands.access_log", "who was not let in", function="denials"),
    "open": Subcommand("services.case.commands.open_case", "open a case: purpose and scope"),
    "approve": Subcommand("services.case.commands.approve", "let a case be searched"),
    "close": Subcommand("services.case.commands.close_case", "end a case"),
    "show": Subcommand("services.case.commands.show", "a case as the ledger has it"),
    "list": Subcommand("services.case.commands.list_cases", "list the cases"),
    "queries": Subcommand("services.case.commands.case_log", "what was asked in a case", function="queries"),
    "findings": Subcommand("services.case.commands.case_log", "what was found in a case", function="findings"),
    "roots": Subcommand("services.case.commands.roots", "write what a verifier of packages trusts"),
    "verify": Subcommand("services.case.commands.verify", "verify an evidence package, offline"),
    "stamp": Subcommand("services.case.commands.stamp", "have a package stamped by a time stamp authority"),
    "search": Subcommand("services.case.commands.search", "find rows in a case's scope", function="search"),
    "timeline": Subcommand("services.case.commands.search", "what happened, in order", function="timeline"),
    "export": Subcommand("services.case.commands.export", "rows for Timesketch, or as CSV"),
    "rules": Subcommand("services.case.commands.rules", "what the rules find in a case"),
    "report": Subcommand("services.case.commands.report", "a case on one HTML page"),
    "package": Subcommand("services.case.commands.package", "the evidence package of what a question finds"),
    "enf": Subcommand("services.case.commands.enf", "when a recording was made, and its edits, by the mains' hum"),
    "check": Subcommand("services.case.commands.check", "check one proof, or a filter's bits, from JSON, offline"),
    "demo": Subcommand(
        "services.case.demonstration.command", "the attack of 2015, played, investigated, proved", serves=True
    ),
}


def main(argv: list[str]) -> int:
    """Run a subcommand; the exit code. An error of ours is one line."""
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(_help())
        return 0 if argv else EXIT_USAGE
    try:
        entry = SUBCOMMANDS.get(name)
        if entry is None:
            sys.stderr.write(f"error: there is no subcommand {name!r:.40}. See gridledger case --help\n")
            return EXIT_USAGE
        if entry.serves:
            require_server(f"gridledger case {name}")
        code: int = getattr(importlib.import_module(entry.module), entry.function)(argv[1:])
    except GridLedgerError as error:
        return tell_error(error)
    except BrokenPipeError:  # whoever reads has what he wanted
        _let_output_go()
        return EXIT_FAILED
    except OSError as error:
        sys.stderr.write(f"error: {one_line(str(error))}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code


def _let_output_go() -> None:
    """What is buffered would be told as an error when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _help() -> str:
    width = max(map(len, SUBCOMMANDS), default=0)
    lines = [f"  {name:<{width}}  {entry.does}" for name, entry in SUBCOMMANDS.items()]
    return "\n".join(
        (
            "usage: gridledger case SUBCOMMAND ...",
            "",
            "Investigations: what devices and operators left on the ledger, and the proofs of it.",
            "",
            *lines,
            "",
            "'gridledger case SUBCOMMAND --help' tells a subcommand's options.",
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
