"""The application: all commands together, and what becomes of their errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gridledger import __version__
from gridledger.cli import (
    blocks,
    chaincode,
    channels,
    config_verbs,
    dvs,
    events,
    identity,
    ledgers,
    network,
    orderers,
    organisations,
    peers,
    processes,
    revocations,
    searching,
    set_up,
    transactions,
)
from gridledger.cli.output import say
from gridledger.cli.own_parsers import run_own
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, one_line, tell_error
from gridledger.errors import GridLedgerError

_OWN_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    name="gridledger",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (
    network,
    processes,
    organisations,
    peers,
    orderers,
    dvs,
    set_up,
    chaincode,
    transactions,
    channels,
    config_verbs,
    blocks,
    searching,
    events,
    ledgers,
    identity,
    revocations,
):
    module.add_to(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. An error of ours, of the system's or of usage is one line on standard error."""
    try:
        code = _carry_out(arguments)
    except typer.TyperException as error:
        return _tell_usage(error)
    except GridLedgerError as error:
        return tell_error(error)
    except OSError as error:
        sys.stderr.write(f"error: {_reason(error)}\n")
        return EXIT_FAILED
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _carry_out(arguments: Sequence[str]) -> object:
    """What the command returns; of a group of errors the first is raised, which stands for all."""
    command = typer.main.get_command(app)
    try:
        return command.main(args=list(arguments), prog_name="gridledger", standalone_mode=False)
    except BaseExceptionGroup as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _tell_usage(error: typer.TyperException) -> int:
    if error.format_message():  # a group without a command has shown its help
        context = getattr(error, "ctx", None)
        where = "gridledger" if context is None else context.command_path
        message = one_line(error.format_message()).removesuffix(".")
        stop = "" if message.endswith("?") else "."
        sys.stderr.write(f"error: {message}{stop} See {where} --help\n")
    return error.exit_code


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _tell_version(asked: bool) -> None:
    if asked:
        say(f"gridledger {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A permissioned ledger for power grids.

    Commands that talk to a network use the one in out/network, or the one that --dir or the variable
    GRIDLEDGER_PROFILE names: a network's folder or a connection profile.
    """
    del version


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Chaincode")
def simulate(context: typer.Context) -> None:
    """Run one function of a chaincode on a state file, without a network."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def anchor(context: typer.Context) -> None:
    """Anchors: how far channels are anchored on another channel, and whether their chains are the anchored ones."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def feeder(context: typer.Context) -> None:
    """Drive the network with the power-flow feeder."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def relay(context: typer.Context) -> None:
    """Relay monitoring: servers that read a substation's relay, and what the ledger has of it."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def rest(context: typer.Context) -> None:
    """Run the REST bridge by itself, from a settings file; 'gridledger up --with rest' runs it with a network."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def vault(context: typer.Context) -> None:
    """Shard storage: data split among holders, and the ledger of who holds and reads them."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def case(context: typer.Context) -> None:
    """Investigations: what devices and operators left on the ledger, and the proofs of it."""
    raise typer.Exit(run_own(context.info_name or "", context.args))


@app.command(context_settings=_OWN_ARGUMENTS, add_help_option=False, rich_help_panel="Network")
def console(context: typer.Context) -> None:
    """The network, the ledger and the grid in a browser, on this machine and as your own identity."""
    raise typer.Exit(run_own(context.info_name or "", context.args))
