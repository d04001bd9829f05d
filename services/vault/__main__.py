"""``python -m services.vault SUBCOMMAND``: the commands of shard storage, ``gridledger vault``."""

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
    """What a subcommand does, and the module whose ``main(argv)`` carries it out; it is imported when it is called.

    ``serves``: it needs what nodes need, the extra ``server`` and a POSIX system. The others run on the base install;
    where one needs pyeclib (profile ``sealed``), it says so itself.
    """

    module: str
    does: str
    serves: bool = False


SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    "split": Subcommand("services.vault.commands.split", "split a file or JSON into shares, offline"),
    "join": Subcommand("services.vault.commands.join", "join shares to what was split, offline"),
    "leak": Subcommand("services.vault.commands.leak", "what shares of the profile article tell"),
    "set-up": Subcommand(
        "services.vault.commands.set_up", "the clusters of the description, their holders, the first cycle"
    ),
    "put": Subcommand("services.vault.commands.put", "share a file among a cluster's holders"),
    "get": Subcommand("services.vault.commands.get", "read an object"),
    "ls": Subcommand("services.vault.commands.ls", "list the objects"),
    "show": Subcommand("services.vault.commands.show", "what the ledger has of an object"),
    "health": Subcommand("services.vault.commands.health", "how many holders of objects can be counted on"),
    "holders": Subcommand("services.vault.commands.holders", "list the holders, those that wait included"),
    "join-holder": Subcommand("services.vault.commands.join_holder", "have a further holder ask to join", serves=True),
    "admit": Subcommand("services.vault.commands.admit", "let holders in that asked to join"),
    "revoke": Subcommand("services.vault.commands.revoke", "revoke a holder or a reader, for good"),
    "cycle": Subcommand("services.vault.commands.cycle", "begin the next cycle, and reshare"),
    "reshare": Subcommand("services.vault.commands.reshare", "give objects new keys and shares"),
    "layer": Subcommand("services.vault.commands.layer", "as a head: share a share of layer 1 again among the cluster"),
    "audit": Subcommand("services.vault.commands.audit", "have holders prove that they have their shares"),
    "repair": Subcommand("services.vault.commands.repair", "put a holder's share together again"),
    "reads": Subcommand("services.vault.commands.reads", "who read, repaired or reshared an object"),
    "report-lost": Subcommand("services.vault.commands.report_lost", "say that a holder is suspected"),
    "abandon": Subcommand("services.vault.commands.abandon", "give an object up, for good"),
    "emergency": Subcommand(
        "services.vault.commands.emergency", "read without the ledger, by the hands of t operators"
    ),
    "sample": Subcommand("services.vault.commands.sample", "monitoring data of a substation, to try the vault with"),
    "demo": Subcommand(
        "services.vault.demonstration.command", "what befalls a substation's holders, with a report", serves=True
    ),
    "serve": Subcommand("services.vault.commands.serve", "run a process of holders, or the base", serves=True),
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
            sys.stderr.write(f"error: there is no subcommand {name!r:.40}. See gridledger vault --help\n")
            return EXIT_USAGE
        if entry.serves:
            require_server(f"gridledger vault {name}")
        code: int = importlib.import_module(entry.module).main(argv[1:])
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
            "usage: gridledger vault SUBCOMMAND ...",
            "",
            "Shard storage: data are split into shares, one a holder; any t of n give them back.",
            "",
            *lines,
            "",
            "'gridledger vault SUBCOMMAND --help' tells a subcommand's options.",
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
