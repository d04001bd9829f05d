"""Calls on their way through a pool: asked for alone or many together, run in batches, each answered by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gridledger.contract.context import ClientIdentity
from gridledger.contract.hosting.host_process import HostProcess
from gridledger.contract.hosting.wire import Request
from gridledger.errors import GridLedgerError
from gridledger.identity import Identity
from gridledger.protocol.proposal import Proposal

Outcome = str | GridLedgerError
"""A result's text, or why there is none."""

Deliver = Callable[[list[tuple[int, Outcome]]], None]
"""Takes outcomes of calls, each with the call's position among those that were asked for together."""


class Wanted(NamedTuple):
    """A proposal to be run, who signed it, and its transient data."""

    proposal: Proposal
    caller: Identity | ClientIdentity
    transient: Mapping[str, Any] | None = None


class Calls:
    """Calls that were asked for together. ``deliver`` gets each outcome once, as soon as it is known, several at a
    time where they are; nothing after :meth:`give_up`."""

    __slots__ = ("_deliver", "given_up")

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self.given_up = False

    def give_up(self) -> None:
        """Nobody waits for the rest any more. What a host runs already, it finishes."""
        self.given_up = True

    def deliver(self, outcomes: list[tuple[int, Outcome]]) -> None:
        """Hand over outcomes."""
        if not self.given_up:
            self._deliver(outcomes)


@dataclass(eq=False, slots=True)
class Call:
    """One call. ``deadline`` (the loop's clock) is when it has waited long enough for a host."""

    calls: Calls
    position: int
    channel: str
    tx_id: str
    request: Request
    size: int
    deadline: float
    attempts: int = 0
    alone: bool = False
    done: bool = False


@dataclass(eq=False, slots=True)
class Errand:
    """A batch at a host. ``answered`` calls, the first ones, have been; ``patience`` runs while others wait behind a
    call that may hang; then those at the positions ``taken_back`` run elsewhere."""

    host: HostProcess
    calls: list[Call]
    begun: float
    answered: int = 0
    seen: int = 0
    replace_host: bool = False
    taken_back: frozenset[int] = frozenset()
    patience: asyncio.TimerHandle | None = None

    def open(self) -> list[tuple[int, Call]]:
        """The calls that are not answered, with their positions in the batch."""
        return [(position, self.calls[position]) for position in range(self.answered, len(self.calls))]


def settle(outcomes: Iterable[tuple[Call, Outcome]]) -> None:
    """Deliver outcomes, those that were asked for together together. A call that is done already keeps its first."""
    together: dict[Calls, list[tuple[int, Outcome]]] = {}
    for call, outcome in outcomes:
        if not call.done:
            call.done = True
            together.setdefault(call.calls, []).append((call.position, outcome))
    for calls, mine in together.items():
        calls.deliver(mine)
