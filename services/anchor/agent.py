"""One organisation's agent: it finds the channels of its own peers, and keeps each of them anchored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.client import Gateway
from gridledger.client.anchors import AnchorsLedger
from gridledger.client.application import ContractCalls
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.protocol.statements import Statement
from services.anchor.anchoring import Anchoring
from services.anchor.chain import PeerChain
from services.anchor.cosigning import Cosigner
from services.anchor.deciding import Pace
from services.anchor.devices.following import DeviceFollower
from services.anchor.devices.ledgers import ledgers
from services.anchor.leaves import LeafFile
from services.anchor.work import ChannelWork

CHANNELS_EVERY_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent works: as which organisation, in which network, with its files below ``folder``."""

    mspid: str
    profile: ConnectionProfile
    folder: Path


class Agent:
    """``own`` are the peers of the agent's organisation, ``ledger`` the contract on the anchoring channel."""

    def __init__(
        self,
        place: Place,
        own: Gateway,
        ledger: AnchorsLedger,
        pace: Pace,
        cosigner: Cosigner,
        *,
        max_channels: int = 64,
    ) -> None:
        self._place = place
        self._mspid = place.mspid
        self._own = own
        self._ledger = ledger
        self._pace = pace
        self._cosigner = cosigner
        self._max_channels = max_channels
        self._work: dict[str, ChannelWork] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._devices: dict[str, DeviceFollower] = {}

    def state(self) -> dict[str, Any]:
        """What the agent's page tells."""
        channels = [self._work[name].state() for name in sorted(self._work)]
        told = {"mspid": self._mspid, "anchoring_channel": self._ledger.network.channel, "channels": channels}
        return {**told, "devices": [self._devices[name].state() for name in sorted(self._devices)]}

    def chain(self, channel: str) -> PeerChain:
        """A channel that is followed; :class:`NotFoundError`."""
        return self._work_of(channel).chain

    async def statement(self, asker: str, channel: str, size: int, base: int) -> Statement:
        """What the own organisation says of a channel at a size, for the agent of another one."""
        return await self._work_of(channel).statement(asker, size, base)

    async def hand_over(self, one: Mapping[str, Any]) -> dict[str, Any]:
        """Hand a round of any channel to the contract; what became of it."""
        return await self._cosigner.collect(one)

    def _work_of(self, channel: str) -> ChannelWork:
        work = self._work.get(channel)
        if work is None:
            there = ", ".join(sorted(self._work)) or "none"
            raise NotFoundError(f"this agent does not follow the channel {channel!r}; it follows: {there}")
        return work

    async def run(self) -> None:
        """Until this is cancelled; a channel's defect ends it."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        try:
            while True:
                try:
                    await self._find_channels()
                    pause_s = CHANNELS_EVERY_S
                    backoff.succeeded()
                except GridLedgerError as error:
                    pause_s = backoff.failed()
                    _log.info("the own peers' channels are not known yet: %s", error.message)
                await self._pause(pause_s)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            for work in self._work.values():
                work.chain.close()

    async def listen(self) -> None:
        """Look at a channel as soon as something is said of it. Without events each is looked at once an interval."""

        def heard(name: str, payload: Any) -> None:
            if name == "AgentSet":
                self._cosigner.register.note()
            for channel in _channels_of(payload):
                if (work := self._work.get(channel)) is not None:
                    work.wake()

        await _listen(self._ledger, heard)

    async def _find_channels(self) -> None:
        anchoring = self._ledger.network.channel
        names = sorted(await self._own.channels())
        self._find_sections(names)
        for name in names:
            if name == anchoring or name in self._work:
                continue
            if len(self._work) >= self._max_channels:
                _log.warning("the channel %s is not anchored: there are %d, as many as may be", name, len(self._work))
                return
            network = self._own.get_network(name)
            if self._mspid not in (await network.get_config()).peer_organisations:
                continue
            leaves = await asyncio.to_thread(LeafFile, self._place.folder / f"{name}.leaves")
            chain = await asyncio.to_thread(PeerChain, name, network, leaves)
            one = Anchoring(self._mspid, chain, self._ledger, self._pace, cosigner=self._cosigner)
            work = ChannelWork(chain, one, self._pace)
            self._work[name] = work
            self._tasks[name] = asyncio.create_task(work.run(), name=f"anchor {name}")
            _log.info("%s is followed from block %d on", name, chain.tree.size)

    async def _pause(self, seconds: float) -> None:
        """Wait; raises what ended a channel's work."""
        if not self._tasks:
            await asyncio.sleep(seconds)
            return
        done, _ = await asyncio.wait(self._tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def _find_sections(self, names: list[str]) -> None:
        """Follow the registry for the sections among the own peers' channels."""
        found = ledgers(self._place.profile, self._own, names)
        if found is None:
            return
        registry, sections = found
        for section in sections:
            if section.channel not in self._devices:
                follower = DeviceFollower(self._mspid, registry, section)
                self._devices[section.channel] = follower
                self._tasks[f"devices of {section.channel}"] = asyncio.create_task(follower.run())
        if "registry" not in self._tasks:
            self._tasks["registry"] = asyncio.create_task(_listen(registry, self._note_device))

    def _note_device(self, event: str, payload: Any) -> None:
        for follower in self._devices.values():
            follower.note(event, payload)


def _channels_of(payload: Any) -> list[str]:
    """The channels that an event of the contract is of: Cosigned has a list of rounds."""
    told = payload if isinstance(payload, dict) else {}
    rounds = told.get("rounds")
    found = [told, *rounds] if isinstance(rounds, list) else [told]
    return [str(one.get("channel")) for one in found if isinstance(one, dict)]


async def _listen(ledger: ContractCalls, heard: Callable[[str, Any], None]) -> None:
    """Hear the events of a contract, by name and payload, until this is cancelled."""
    backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
    while True:
        try:
            async for event in ledger.network.chaincode_events(ledger.contract.chaincode):
                backoff.succeeded()
                heard(event.name, event.payload)
        except GridLedgerError as error:
            _log.debug("the events of %s: %s", ledger.network.channel, error.message)
        await asyncio.sleep(backoff.failed())
