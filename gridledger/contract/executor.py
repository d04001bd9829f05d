"""The executor: runs one proposal against one snapshot and writes the result, the same on every peer to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridledger.contract.context import ClientIdentity, Context
from gridledger.contract.errors import ContractError
from gridledger.contract.loader import Chaincode
from gridledger.contract.reader import StateReader
from gridledger.contract.stub import Stub, json_text
from gridledger.errors import GridLedgerError, MalformedJSON
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result, write_result

SUCCESS: Final = 200
FAILED: Final = 500
MAX_MESSAGE_CHARACTERS: Final = 4096

FailureReport = Callable[[BaseException], None]


def execute(
    chaincode: Chaincode,
    proposal: Proposal,
    identity: ClientIdentity,
    reader: StateReader,
    transient: Mapping[str, Any] | None = None,
    *,
    on_failure: FailureReport | None = None,
) -> Result:
    """As :func:`run`; the result, read."""
    return Result.parse(run(chaincode, proposal, identity, reader, transient, on_failure=on_failure).decode())


def run(
    chaincode: Chaincode,
    proposal: Proposal,
    identity: ClientIdentity,
    reader: StateReader,
    transient: Mapping[str, Any] | None = None,
    *,
    on_failure: FailureReport | None = None,
) -> bytes:
    """The text of the result of ``proposal``. Nothing that the chaincode raises leaves this function.

    A :class:`ContractError` answers its status with its message; any other exception answers 500 with its type and
    message and goes to ``on_failure`` (for a log; the client sees no traceback). Neither writes anything. Errors of the
    ledger itself, which say nothing about the proposal, are raised.
    """
    contract, function = chaincode.find(proposal.function)
    stub = Stub(proposal, transient or {}, reader, readonly=function is not None and function.readonly)
    context = Context(stub, identity)
    try:
        contract.before_transaction(context)
        if function is None:
            returned = contract.unknown_transaction(context)
        else:
            returned = getattr(contract, function.attribute)(context, *function.check_arguments(proposal.args))
        contract.after_transaction(context, returned)
        payload = json_text(returned, f"what {proposal.function} returned")
    except ContractError as refusal:
        return _without_effect(proposal, refusal.status, refusal.message)
    except GridLedgerError:
        raise
    except (Exception, SystemExit) as failure:
        if on_failure is not None:
            on_failure(failure)
        return _without_effect(proposal, FAILED, f"{type(failure).__name__}: {failure}")
    return _text(
        proposal,
        reads=stub.collect_reads(),
        ranges=stub.collect_ranges(),
        writes=stub.collect_writes(),
        response=(SUCCESS, "", payload),
        event=stub.collect_event(),
    )


def _without_effect(proposal: Proposal, status: int, message: str) -> bytes:
    readable = message.encode("utf-8", "replace").decode()[:MAX_MESSAGE_CHARACTERS]
    return _text(proposal, response=(status, readable, b"null"))


def _text(proposal: Proposal, **parts: Any) -> bytes:
    try:
        return write_result(
            tx_id=proposal.tx_id,
            channel=proposal.channel,
            chaincode=proposal.chaincode,
            sequence=proposal.sequence,
            **parts,
        )
    except TypeError as error:  # a lone surrogate in an event's name
        raise MalformedJSON(f"the result cannot be written as JSON: {error}") from None
