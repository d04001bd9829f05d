"""The port to the ledger: the little that the feeder's logic needs of it. The SDK satisfies it, and so does a test.

Errors are the SDK's: :func:`is_refusal` and :func:`may_pass` say what they mean to the feeder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gridledger.client import Status
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError
from gridledger.grid.layout import Layout

REFUSED: Final = "CHAINCODE_REFUSED"
"""The code of a refusal by the contract."""
_CONFLICTS: Final = frozenset(("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT", "ENDORSEMENT_MISMATCH"))
_BUSY_AWAY_OR_LATE: Final = frozenset((429, 503, 504))


def is_refusal(error: GridLedgerError) -> bool:
    """Whether the contract refused: nothing was written, and asking the same again will be refused again."""
    return error.code == REFUSED


def is_conflict(code: str) -> bool:
    """Whether an error's code says that another transaction changed what this one had read."""
    return code in _CONFLICTS


def may_pass(error: GridLedgerError) -> bool:
    """Whether the same may succeed later: a conflict with another transaction, or the network is busy or away.

    The outcome can be unknown: ask the ledger before doing anything that must not be done twice.
    """
    return is_conflict(error.code) or error.status in _BUSY_AWAY_OR_LATE


@dataclass(frozen=True, slots=True)
class Preview:
    """What a function would answer, and whether it would write anything. Nothing was ordered."""

    payload: Any
    writes: bool


class Ledger(Protocol):
    """One caller's way to the channels that it is a member of. All three raise GridLedgerError."""

    async def submit(self, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        """Run a function and wait until it is committed and valid: its payload and the transaction's status."""

    async def evaluate(self, channel: str, function: str, argument: Mapping[str, Any]) -> Any:
        """The payload of a function that is run on one peer and written nowhere."""

    async def preview(self, channel: str, function: str, argument: Mapping[str, Any]) -> Preview:
        """Have a function endorsed, as for submit, but do not submit it."""


class Callers(Protocol):
    """The identities at hand: a planner for every channel, and an aggregator for each of some groups.

    Raises NotFoundError for a group whose certificate is not at hand.
    """

    def planner(self, channel: str) -> Ledger:
        """A caller with grid.role=planner who may submit on ``channel``."""

    def aggregator(self, group: str) -> Ledger:
        """The caller with grid.role=aggregator and grid.group=``group``, on its own channel and on the main channel.

        For a merged group that of its first component.
        """

    async def following(self, profile: ConnectionProfile, layout: Layout, group: str) -> Callers:
        """The same callers, with those that a single group needs where another layout has it."""
