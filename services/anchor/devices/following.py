"""A section follows the registry: a device that is revoked or retired is suspended, one with a new key gets it.

The registry's events say at once which device to look at; all admitted devices are compared now and then besides. What
the section has and the registry does not is an alarm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Protocol

from gridledger.errors import GridLedgerError
from services.anchor.alarms import Alarms
from services.anchor.devices.deciding import Record, Rekey, Suspend, Wrong, due, turn_of
from services.anchor.devices.ledgers import REFUSED

EVENTS: Final = frozenset(("DeviceRevoked", "DeviceRetired", "KeyRotated"))
TURN_S: Final = 3.0
"""So much later each further organisation suspends a device whose own agent has not."""
TICK_S: Final = 1.0
COMPARE_EVERY_S: Final = 600.0
AGAIN_S: Final = 3.0
MAX_DUE: Final = 100_000
"""Devices that are to be looked at; of more the next comparison takes care."""
_SHOWN: Final = 5

_log = logging.getLogger(__name__)


class Registry(Protocol):
    """The registry, as :class:`~services.anchor.devices.ledgers.RegistryLedger` has it."""

    @property
    def channel(self) -> str:
        """Its channel."""

    async def device(self, device: str) -> Record | None:
        """A device, None where there is none."""

    async def keys(self, device: str) -> list[Any]:
        """Its keys, the first one first."""


class Section(Protocol):
    """A section, as :class:`~services.anchor.devices.ledgers.SectionLedger` has it."""

    @property
    def channel(self) -> str:
        """Its channel."""

    async def device(self, device: str) -> Record | None:
        """A device, None where it is not admitted."""

    def devices(self) -> AsyncIterator[Any]:
        """All that are admitted."""

    async def suspend(self, device: str, tx: str, revoked_us: int) -> Any:
        """Suspend a device."""

    async def rekey(self, device: str, channel: str, key: Mapping[str, Any]) -> Any:
        """Give a device another key."""

    async def organisations(self) -> tuple[str, ...]:
        """The organisations with a peer on the channel."""


class DeviceFollower:
    """One organisation's agent for one section. ``clock`` is monotonic, in seconds."""

    def __init__(
        self, mspid: str, registry: Registry, section: Section, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.alarms = Alarms(section.channel)
        self.told = 0
        self._mspid = mspid
        self._registry = registry
        self._section = section
        self._clock = clock
        self._due: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._wrong: dict[str, str] = {}
        self._compared_s = float("-inf")
        self._said = ""

    def note(self, event: str, payload: Any) -> None:
        """An event of the registry."""
        if event in EVENTS and isinstance(payload, dict) and isinstance(payload.get("device"), str):
            self._plan(payload["device"], self._clock())

    async def run(self) -> None:
        """Until this is cancelled."""
        while True:
            try:
                await self.once()
                self._said = ""
            except GridLedgerError as error:
                if error.message != self._said:
                    self._said = error.message
                    _log.info("%s: its devices cannot be looked at now: %s", self._section.channel, error.message)
            await asyncio.sleep(TICK_S)

    async def once(self) -> None:
        """Compare all, if it is time; then look at the devices that are due."""
        now_s = self._clock()
        if now_s - self._compared_s >= COMPARE_EVERY_S:
            async for record in self._section.devices():
                self._plan(str(record["device"]), now_s)
            self._compared_s = now_s
        for device in [name for name, at_s in self._due.items() if at_s <= now_s]:
            self._due[device] = now_s + AGAIN_S  # where what follows fails, it is looked at again
            await self._look_at(device)
        names = ", ".join(f"{name}: {why}" for name, why in sorted(self._wrong.items())[:_SHOWN])
        more = len(self._wrong) - _SHOWN
        self.alarms.set("devices", names + (f" and {more} more" if more > 0 else ""))

    def state(self) -> dict[str, Any]:
        """What the agent's page tells."""
        return {"section": self._section.channel, "due": len(self._due), "told": self.told, "alarms": self.alarms.on}

    def _plan(self, device: str, at_s: float) -> None:
        if len(self._due) < MAX_DUE or device in self._due:
            self._due[device] = at_s

    async def _look_at(self, device: str) -> None:
        section = await self._section.device(device)
        if section is None:
            self._done(device)
            return
        registered = await self._registry.device(device)
        wanted = due(section, registered, [] if registered is None else await self._registry.keys(device))
        if wanted is None:
            self._done(device)
        elif isinstance(wanted, Wrong):
            self._done(device)
            self._wrong[device] = wanted.why
        elif isinstance(wanted, Rekey):
            if section["mspid"] == self._mspid:
                await self._tell(device, self._section.rekey(device, self._registry.channel, wanted.key))
            else:  # its own organisation's agent alone may
                self._overdue(device, "the section has not got its new key")
        else:
            await self._suspend(wanted, str(section["mspid"]))

    async def _suspend(self, wanted: Suspend, owner: str) -> None:
        turn = turn_of(self._mspid, owner, await self._section.organisations())
        if turn is None:
            self._done(wanted.device)
            return
        since_s = self._seen.setdefault(wanted.device, self._clock())
        if self._clock() - since_s >= turn * TURN_S:
            await self._tell(wanted.device, self._section.suspend(*wanted))
        else:
            self._due[wanted.device] = since_s + turn * TURN_S

    async def _tell(self, device: str, call: Any) -> None:
        """Tell the section. A refusal means that another agent was first: it is looked at again."""
        self._due[device] = self._clock()
        try:
            await call
        except GridLedgerError as error:
            if error.code != REFUSED:
                raise
            self._due[device] = self._clock() + AGAIN_S
            self._overdue(device, f"the section refuses what the registry says: {error.message}")
            return
        self.told += 1
        self._wrong.pop(device, None)
        _log.info("%s: %s was told of what the registry says", self._section.channel, device)

    def _overdue(self, device: str, why: str) -> None:
        """Something that is not done for a while is an alarm."""
        since_s = self._seen.setdefault(device, self._clock())
        if self._clock() - since_s > 3 * TURN_S:
            self._wrong[device] = why

    def _done(self, device: str) -> None:
        self._due.pop(device, None)
        self._seen.pop(device, None)
        self._wrong.pop(device, None)
