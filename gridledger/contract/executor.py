"""Run one proposal against one snapshot and write down what happened, the same on every peer, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridledger.contract.api import ContractError
from gridledger.contract.context import ClientIdentity, Context
from gridledger.contract.loader import Chaincode
from gridledger.contract.reader import StateReader
from gridledger.contract.stub import Call, Stub, json_text
from gridledger.errors import GridLedgerError
from gridledger.jsontext import loads_trusted
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Response, Result

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
    """The result of ``proposal``. Nothing that the chaincode raises leaves this function.

    A :class:`ContractError` answers its status with its message; any other exception answers 500 with its type and
    message and goes to ``on_failure`` (for a log; the client sees no traceback). Neither writes anything. Errors of the
    ledger itself, which say nothing about the proposal, are raised.
    """
    contract, function = chaincode.find(proposal.function)
    call = Call(
        channel=proposal.channel,
        namespace=proposal.chaincode,
        tx_id=proposal.tx_id,
        function=proposal.function,
        args=proposal.args,
        timestamp_us=proposal.time_us,
        creator=proposal.creator,
        transient=transient or {},
    )
    stub = Stub(call, reader, readonly=function is not None and function.readonly)
    context = Context(stub, identity)
    try:
        contract.before_transaction(context)
        if function is None:
            returned = contract.unknown_transaction(context)
        else:
            function.check_arguments(proposal.args)
            returned = getattr(contract, function.attribute)(context, *proposal.args)
        contract.after_transaction(context, returned)
        payload = loads_trusted(json_text(returned, f"what {proposal.function} returned"))
    except ContractError as refusal:
        return _without_effect(proposal, refusal.status, refusal.message)
    except GridLedgerError:
        raise
    except (Exception, SystemExit) as failure:
        if on_failure is not None:
            on_failure(failure)
        return _without_effect(proposal, FAILED, f"{type(failure).__name__}: {failure}")
    return Result.build(
        tx_id=proposal.tx_id,
        channel=proposal.channel,
        chaincode=proposal.chaincode,
        sequence=proposal.sequence,
        reads=stub.collect_reads(),
        ranges=stub.collect_ranges(),
        writes=stub.collect_writes(),
        response=Response(SUCCESS, "", payload),
        event=stub.collect_event(),
    )


def _without_effect(proposal: Proposal, status: int, message: str) -> Result:
    readable = message.encode("utf-8", "replace").decode()[:MAX_MESSAGE_CHARACTERS]
    return Result.build(
        tx_id=proposal.tx_id,
        channel=proposal.channel,
        chaincode=proposal.chaincode,
        sequence=proposal.sequence,
        response=Response(status, readable, None),
    )
