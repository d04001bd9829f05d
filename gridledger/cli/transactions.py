"""Commands that call chaincode: ``invoke`` and ``query``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gridledger.cli.options import DEFAULT_DIR, Chaincode, Channel, Json, Profile, User
from gridledger.cli.output import note, say_json
from gridledger.cli.words import ArgumentsCommand
from gridledger.command_line import EXIT_FAILED

if TYPE_CHECKING:
    from gridledger.cli.arguments import Types
    from gridledger.client import Contract, TransactionError

EXIT_REFUSED: Final = 3
"""The chaincode refused the call. Nothing was ordered."""
EXIT_INVALID: Final = 4
"""The transaction stands on the chain without effect."""
EXIT_UNKNOWN: Final = 5
"""It is not known whether the transaction takes effect."""

_REFUSED_CODE = "CHAINCODE_REFUSED"
_SENT_BEFORE_CODE = "DUPLICATE_TXID"
_FIRST_SERVER_ERROR = 500

_Function = Annotated[str, typer.Argument(metavar="FUNCTION", help="One of its functions.")]
_Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ARG...",
        help="The function's arguments: JSON or plain text; @FILE or - (standard input) for JSON from there.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (invoke, query):
        app.command(cls=ArgumentsCommand, rich_help_panel="Transactions")(command)


def invoke(
    channel: Channel,
    chaincode: Chaincode,
    function: _Function,
    arguments: _Words = None,
    *,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Submit a transaction, wait for its commit, and print what the function returned.

    The transaction's id and block go to standard error. Exit codes: 3 the chaincode refused, 4 the transaction is
    invalid, 5 its outcome is not known.

    \b
    Examples:
      gridledger invoke shard1 hello record m1 2.5
      gridledger invoke shard1 kv put limits '{"low": -5, "high": 5}' --user Org1/alice
      gridledger invoke shard1 kv put limits @limits.json --json
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import contract_at  # noqa: PLC0415
    from gridledger.client import TransactionError  # noqa: PLC0415

    async def work() -> dict[str, Any]:
        async with contract_at(directory, user, channel, chaincode) as contract:
            values = await _values(contract, function, arguments or [])
            payload, status = await contract.submit_with_status(function, *values)
            return {**status.to_dict(), "payload": payload}

    try:
        outcome = asyncio.run(work())
    except TransactionError as error:
        return _tell(error, channel)
    except KeyboardInterrupt:
        note("interrupted: a transaction that was sent may take effect all the same")
        raise
    if as_json:
        say_json(outcome)
    else:
        note(f"transaction {outcome['tx_id']} is committed in block {outcome['block']}")
        say_json(outcome["payload"])
    return 0


def query(
    channel: Channel,
    chaincode: Chaincode,
    function: _Function,
    arguments: _Words = None,
    *,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Run a function on one peer and print what it returned. Nothing is ordered, nothing is written.

    The exit code is 3 when the chaincode refused.

    \b
    Examples:
      gridledger query shard1 kv get limits
      gridledger query shard1 kv range a b --json
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import contract_at  # noqa: PLC0415
    from gridledger.client import TransactionError  # noqa: PLC0415

    async def work() -> Any:
        async with contract_at(directory, user, channel, chaincode) as contract:
            return await contract.evaluate_transaction(function, *await _values(contract, function, arguments or []))

    try:
        payload = asyncio.run(work())
    except TransactionError as error:
        return _tell(error, channel)
    say_json({"payload": payload} if as_json else payload)
    return 0


async def _values(contract: Contract, function: str, words: list[str]) -> list[Any]:
    from gridledger.cli.arguments import may_depend_on_types, read_arguments  # noqa: PLC0415

    types = await _declared_types(contract, function, len(words)) if may_depend_on_types(words) else []
    return read_arguments(words, types, sys.stdin.buffer, lambda text: note(f"note: {text}"))


async def _declared_types(contract: Contract, function: str, count: int) -> list[Types]:
    """The types of a function's first ``count`` parameters; none where the chaincode tells nothing of it."""
    from gridledger.cli.metadata import functions_of, read_metadata  # noqa: PLC0415

    described = functions_of(await read_metadata(contract)).get(function)
    return [] if described is None else described.types(count)


def _tell(error: TransactionError, channel: str) -> int:
    """Write why a call came to nothing, in one line on standard error; the exit code."""
    code = _exit_code(error)
    if code == EXIT_UNKNOWN:
        note(
            f"error: it is not known whether transaction {error.tx_id} takes effect ({error.message}); "
            f"ask with: gridledger tx {channel} {error.tx_id}"
        )
    elif code == EXIT_INVALID:
        note(f"error: transaction {error.tx_id} has no effect: {error.message}")
    else:
        note(f"error: {error.message}")
    return code


def _exit_code(error: TransactionError) -> int:
    from gridledger.client import CommitError, CommitStatusError, SubmitError  # noqa: PLC0415

    if isinstance(error, CommitError):
        return EXIT_INVALID
    if isinstance(error, CommitStatusError):
        return EXIT_UNKNOWN
    if isinstance(error, SubmitError):
        outcome = error.details.get("outcome")
        if outcome in {"not ordered", "unknown"}:
            return EXIT_UNKNOWN if outcome == "unknown" else EXIT_FAILED
        # What a gateway refuses (4xx) was not ordered; after any other error it may have been.
        refused = error.status < _FIRST_SERVER_ERROR and error.code != _SENT_BEFORE_CODE
        return EXIT_FAILED if refused else EXIT_UNKNOWN
    return EXIT_REFUSED if error.code == _REFUSED_CODE else EXIT_FAILED
