"""The command ``gridledger simulate``: runs one function of a chaincode folder on a world state in a JSON file.

It needs no network and no keys. It starts fast because it imports no more than a contract needs; keep it so.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridledger import jsontext
from gridledger.contract.context import EVERY_ATTRIBUTE
from gridledger.contract.determinism import check_package
from gridledger.contract.loader import ChaincodeLoadError
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState, StateFileError
from gridledger.errors import ConflictError, GridLedgerError, InputError, MalformedJSON, SettingsError
from gridledger.files import write_atomically

MAX_ARGUMENT_BYTES: Final = 16 * 1024 * 1024
MAX_STATE_BYTES: Final = 1024 * 1024 * 1024
REFUSED: Final = 1
WRONG_USAGE: Final = 2
USAGE: Final = """\
usage: gridledger simulate CHAINCODE_DIR --state STATE.json [--mspid MSPID] FUNCTION [ARG ...]

Runs one function of the chaincode in CHAINCODE_DIR on the world state kept in STATE.json (created if absent), as a
caller of MSPID (SimulateMSP) who has every attribute, and prints {"status", "payload", "event", "reads", "writes"}.
Each ARG is a JSON text; @FILE reads one from a file, - from standard input. A refusal goes to standard error, changes
nothing, and exits 1.
"""


_PLAIN_TEXT: Final = re.compile(r"[A-Za-z][\w .-]*")
"""Words that are likely meant as texts."""


class _Command(NamedTuple):
    folder: Path
    state: Path
    function: str
    arguments: list[str]
    mspid: str | None


def main(argv: Sequence[str]) -> int:
    """Run the command with the arguments after ``gridledger simulate``; returns the exit code."""
    if any(argument in ("-h", "--help") for argument in argv):
        sys.stdout.write(USAGE)
        return 0
    try:
        command = _parse(argv)
    except SettingsError as error:
        sys.stderr.write(f"gridledger simulate: {error.message}\n{USAGE}")
        return WRONG_USAGE
    try:
        invocation = _run(command)
    except ChaincodeLoadError as error:
        if error.__cause__ is not None:
            _show_traceback(error.__cause__)
        return _refuse(error.message)
    except (GridLedgerError, OSError) as error:
        return _refuse(str(error))
    finally:
        for warning in check_package(command.folder):
            sys.stderr.write(f"gridledger simulate: warning: {warning}\n")
    if not invocation.successful:
        return _refuse(f"{command.function}: status {invocation.status}: {invocation.message}")
    _print(invocation)
    return 0


def _parse(argv: Sequence[str]) -> _Command:
    # By hand: argparse takes an argument such as -1e-3 for an option.
    options: dict[str, str | None] = {"--state": None, "--mspid": None}
    positional: list[str] = []
    rest = iter(argv)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in options:
            options[option] = value if equals else next(rest, None)
            if not options[option]:
                raise SettingsError(f"{option} needs a value")
        elif argument == "--":
            positional.extend(rest)
        elif argument.startswith("--"):
            raise SettingsError(f"unknown option {argument}")
        else:
            positional.append(argument)
    state = options["--state"]
    if not state:
        raise SettingsError("--state STATE.json is missing")
    if len(positional) < 2:  # noqa: PLR2004 - folder and function
        raise SettingsError("CHAINCODE_DIR and FUNCTION are missing")
    if positional.count("-") > 1:
        raise SettingsError("only one argument can be read from standard input")
    folder, function, *arguments = positional
    return _Command(Path(folder), Path(state), function, arguments, options["--mspid"])


def _run(command: _Command) -> Invocation:
    # Compiled files are told apart by size and second: an author's quick edit could run as what stood there before.
    sys.dont_write_bytecode = True
    args = [_read_argument(position, text) for position, text in enumerate(command.arguments, 1)]
    before = _read_state(command.state)
    simulator = Simulator(command.folder, _state_of(command.state, before or b""))
    height = simulator.state.height
    caller = EVERY_ATTRIBUTE if command.mspid is None else replace(EVERY_ATTRIBUTE, mspid=command.mspid)
    invocation = simulator.invoke(command.function, *args, caller=caller, on_failure=_show_traceback)
    if invocation.successful and (before is None or simulator.state.height != height):
        _replace_state(command.state, before, simulator.state.to_bytes())
    return invocation


def _read_argument(position: int, text: str) -> Any:
    try:
        if text == "-":
            return jsontext.loads(_bounded(sys.stdin.buffer.read(MAX_ARGUMENT_BYTES + 1)))
        if text.startswith("@"):
            with Path(text[1:]).open("rb") as file:
                return jsontext.loads(_bounded(file.read(MAX_ARGUMENT_BYTES + 1)))
        return _read_word(text)
    except (GridLedgerError, OSError) as error:
        raise InputError(f"argument {position}: {error}") from None


def _read_word(text: str) -> Any:
    try:
        return jsontext.loads(os.fsencode(text))
    except MalformedJSON as error:
        if not _PLAIN_TEXT.fullmatch(text):
            raise
        raise InputError(f"{error.message}; a text is written '\"{text}\"'") from None


def _bounded(text: bytes) -> bytes:
    if len(text) > MAX_ARGUMENT_BYTES:
        raise InputError(f"longer than {MAX_ARGUMENT_BYTES} bytes")
    return text


def _read_state(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_STATE_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(text) > MAX_STATE_BYTES:
        raise InputError(f"{path} is longer than {MAX_STATE_BYTES} bytes")
    return text


def _state_of(path: Path, text: bytes) -> MemoryState:
    try:
        return MemoryState.from_bytes(text)
    except GridLedgerError as error:
        raise StateFileError(f"the state file {path} cannot be used: {error.message}") from None


def _replace_state(path: Path, before: bytes | None, after: bytes) -> None:
    """Put the new text in the file's place, whole or not at all, unless another run was faster."""
    path = path.resolve()  # through a symbolic link, the file it names is replaced
    with _locked(path.parent):
        if _read_state(path) != before:
            raise ConflictError(f"{path} was changed by another run meanwhile; run again")
        write_atomically(path, after)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, where the system has such locks: between comparing and replacing nobody replaces."""
    try:
        from fcntl import LOCK_EX, flock  # noqa: PLC0415 - Windows has no fcntl
    except ModuleNotFoundError:
        yield  # two runs that end in the same instant may then lose one's writes
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _print(invocation: Invocation) -> None:
    shown = {
        "status": invocation.status,
        "payload": invocation.payload,
        "event": invocation.event,
        "reads": invocation.reads,
        "writes": invocation.writes,
    }
    with suppress(BrokenPipeError):
        sys.stdout.buffer.write(jsontext.dumps(shown) + b"\n")
        sys.stdout.buffer.flush()


def _refuse(message: str) -> int:
    sys.stderr.write(f"gridledger simulate: {message}\n")
    return REFUSED


def _show_traceback(error: BaseException) -> None:
    traceback.print_exception(error, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
