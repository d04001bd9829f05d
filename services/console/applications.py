"""Applications on the channels that somebody here reads: relay monitoring, shard storage, cases. A page of one that is
nowhere is not shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gridledger.client.application import Answer, each_item, given
from gridledger.errors import GridLedgerError, NotFoundError
from services.console.viewers import Viewer, Viewers

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Application:
    """An application: its name in a network's description, its page's title and address, and the chaincode's name where
    the description says none."""

    name: str
    title: str
    href: str
    chaincode: str


GRID: Final = Application("dvs", "Grid", "/grid", "dvs")
RELAY: Final = Application("relay", "Relay", "/relay", "relay")
VAULT: Final = Application("vault", "Vault", "/vault", "vault")
CASES: Final = Application("forensics", "Cases", "/cases", "cases")
APPLICATIONS: Final = (RELAY, VAULT, CASES)
"""Beside the grid, whose pages stand first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an application's contract is, and as whom it is asked."""

    channel: str
    chaincode: str
    viewer: Viewer

    async def ask(self, function: str, **argument: Any) -> Answer:
        """Evaluate a query, which takes one JSON object; members that are None are left out. Errors are the SDK's."""
        contract = self.viewer.network(self.channel).get_contract(self.chaincode)
        async with self.viewer.turns:
            answer: Answer = await contract.evaluate_transaction(function, given(**argument))
        return answer

    async def items(self, function: str, most: int, **argument: Any) -> tuple[list[Answer], bool]:
        """The items of all pages of a query, at most so many, and whether there are more."""
        found: list[Answer] = []
        async for item in self._each(function, argument):
            if len(found) == most:
                return found, True
            found.append(item)
        return found, False

    def _each(self, function: str, argument: dict[str, Any]) -> AsyncIterator[Answer]:
        return each_item(lambda bookmark: self.ask(function, **argument, bookmark=bookmark))


def places(viewers: Viewers, application: Application) -> list[Place]:
    """Where an application is, by channel: where the description says, and on each channel with a chaincode of its
    usual name."""
    described = viewers.profile.applications.get(application.name, {})
    found = []
    for channel, viewer in viewers.channels.items():
        name = application.chaincode
        if described.get("channel") == channel:
            name = str(described.get("chaincode", name))
        if name in viewer.configs[channel].chaincodes:
            found.append(Place(channel, name, viewer))
    return found


async def of_each(there: Sequence[Place], read: Callable[[Place], Awaitable[list[_T]]]) -> tuple[list[_T], list[str]]:
    """What ``read`` gives of every place, one behind the other, and the faults of those of which it gives nothing.

    A chaincode of the application's name may be another one, and answer whatever it likes: it spoils no other place.
    """
    found: list[_T] = []
    faults: list[str] = []
    for place, answer in zip(there, await asyncio.gather(*(_read(place, read) for place in there)), strict=True):
        if isinstance(answer, str):
            faults.append(f"{place.chaincode} on {place.channel} cannot be read: {answer}")
        else:
            found += answer
    return found, faults


async def _read(place: Place, read: Callable[[Place], Awaitable[list[_T]]]) -> list[_T] | str:
    try:
        return await read(place)
    except GridLedgerError as error:
        return error.message
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        _log.info("%s on %s does not answer as expected", place.chaincode, place.channel, exc_info=error)
        return "its answers are not those of this application"


def place_on(viewers: Viewers, application: Application, channel: str) -> Place:
    """Where it is on one channel; :class:`NotFoundError` where it is not there, or nobody here reads the channel."""
    viewers.of(channel)
    found = next((place for place in places(viewers, application) if place.channel == channel), None)
    if found is None:
        raise NotFoundError(f"the channel {channel!r:.80} has no chaincode {application.chaincode}")
    return found
