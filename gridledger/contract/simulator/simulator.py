"""The simulator: runs a chaincode's functions one after the other on a state in memory, for authors and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import Any, Final

from gridledger.contract.context import EVERY_ATTRIBUTE, ClientIdentity
from gridledger.contract.executor import SUCCESS, FailureReport, execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result

CHANNEL: Final = "simulate"


@dataclass(frozen=True, slots=True)
class Invocation:
    """What one call of a function did. ``status`` 200: written to the state; else ``message`` says why nothing was.

    ``reads`` maps every key read (in ranges too) to its version [block, transaction], or None where it did not exist;
    ``writes`` maps every key written to its value, or None where it was deleted; ``event`` is
    {"name", "payload"} or None.
    """

    status: int
    message: str
    payload: Any
    event: dict[str, Any] | None
    reads: dict[str, list[int] | None]
    writes: dict[str, Any]

    @classmethod
    def of(cls, result: Result) -> Invocation:
        """What a result tells of the invocation."""
        every_read = [*result.reads, *(read for item in result.ranges for read in item.reads)]
        return cls(
            status=result.response.status,
            message=result.response.message,
            payload=result.response.payload,
            event=None if result.event is None else {"name": result.event.name, "payload": result.event.payload},
            reads={key: None if version is None else list(version) for key, version in every_read},
            writes=dict(result.writes),
        )

    @property
    def successful(self) -> bool:
        """Whether the function answered 200."""
        return self.status == SUCCESS


class Simulator:
    """One chaincode on one state. What a function writes is in the state before :meth:`invoke` returns."""

    def __init__(self, chaincode: Chaincode | Path, state: MemoryState | None = None) -> None:
        self.chaincode = load(chaincode) if isinstance(chaincode, Path) else chaincode
        self.state = state if state is not None else MemoryState()

    def invoke(
        self,
        function: str,
        *args: Any,
        caller: ClientIdentity = EVERY_ATTRIBUTE,
        time_us: int | None = None,
        transient: Mapping[str, Any] | None = None,
        on_failure: FailureReport | None = None,
    ) -> Invocation:
        """Run ``function`` for ``caller``. ``time_us``: the proposal's time; by default the state's clock, or now."""
        proposal = self._propose(function, args, time_us, transient)
        result = execute(self.chaincode, proposal, caller, self.state, transient, on_failure=on_failure)
        if result.response.status == SUCCESS and result.writes:
            self.state.commit(result, proposal.time_us)
        return Invocation.of(result)

    def evaluate(
        self,
        function: str,
        *args: Any,
        caller: ClientIdentity = EVERY_ATTRIBUTE,
        time_us: int | None = None,
        transient: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """As :meth:`invoke`, but what the function writes is kept nowhere: a peer's endorsement alone."""
        proposal = self._propose(function, args, time_us, transient)
        return Invocation.of(execute(self.chaincode, proposal, caller, self.state, transient))

    def _propose(
        self, function: str, args: tuple[Any, ...], time_us: int | None, transient: Mapping[str, Any] | None
    ) -> Proposal:
        if time_us is None:
            time_us = self.state.clock_us if self.state.clock_us is not None else time_ns() // 1000
        return Proposal.build(
            channel=CHANNEL,
            chaincode=CHANNEL,
            sequence=1,
            function=function,
            args=args,
            creator=CHANNEL,
            # A nonce that follows from the state: with a fixed clock, a run can be repeated to the bit.
            nonce=sha256(str(self.state.height).encode()).hexdigest(),
            time_us=time_us,
            transient=transient,
        )
