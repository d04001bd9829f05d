"""What the feeder's logic knows of a ledger: submit and evaluate, as one caller. The SDK and a test both satisfy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gridledger.errors import BusyError, ConflictError, GridLedgerError, InputError, TimeoutExceeded, UnavailableError
from gridledger.grid.grouping import components


class Refused(InputError):
    """The contract refused; nothing was written, and asking the same again will be refused again."""

    code = "CONTRACT_REFUSED"


class Superseded(ConflictError):
    """The transaction met a concurrent one and was not valid; nothing was written. Measure again, then ask again."""

    code = "SUPERSEDED"


# What may pass by itself. The outcome can be unknown: ask the ledger before doing anything else.
PASSING: Final[tuple[type[GridLedgerError], ...]] = (Superseded, UnavailableError, TimeoutExceeded, BusyError)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A committed, valid transaction: its id and what the contract answered."""

    tx_id: str
    payload: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a function would answer, and whether it would write anything. Nothing was ordered."""

    payload: Any
    writes: bool


class Ledger(Protocol):
    """One caller's way to the channels that it is a member of.

    All three raise Refused for a refusal and one of PASSING where it may work later.
    """

    async def submit(self, channel: str, function: str, argument: Mapping[str, Any]) -> Receipt:
        """Run a function and wait until it is committed and valid."""

    async def evaluate(self, channel: str, function: str, argument: Mapping[str, Any]) -> Any:
        """The answer of a function that is run on one peer and written nowhere."""

    async def preview(self, channel: str, function: str, argument: Mapping[str, Any]) -> Preview:
        """Have a function endorsed, as for submit, and let it be."""


class Clock(Protocol):
    """Time as the feeder knows it."""

    def now_us(self) -> int:
        """Microseconds since 1970."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which channel serves what: group n runs on groups[(n - 1) % len]; merges run on main."""

    main: str
    groups: Sequence[str]
    chaincode: str = "dvs"

    def channel_of(self, group: str) -> str:
        """The channel of a single group; that of a merged one is the main channel."""
        if "_" in group:
            return self.main
        return self.groups[(int(group) - 1) % len(self.groups)]

    def channels_using(self, group: str) -> tuple[str, ...]:
        """The channels that need the record of a group: its own, and the main channel."""
        return tuple(dict.fromkeys((self.channel_of(group), self.main)))

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel, once."""
        return tuple(dict.fromkeys((self.main, *self.groups)))


class Callers(Protocol):
    """The identities at hand: a planner for every channel, and an aggregator for each of some groups.

    Raises NotFoundError for a group whose certificate is not at hand.
    """

    def planner(self, channel: str) -> Ledger:
        """A caller with grid.role=planner who may submit on ``channel``."""

    def aggregator(self, group: str) -> Ledger:
        """The caller with grid.role=aggregator, grid.group=``group``: on its own channel and on the main channel."""


def speaker(group: str) -> str:
    """The component whose aggregator speaks for a single or merged group: the first."""
    return components(group)[0]
