"""The channels of forensics through the SDK, as a light node calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from gridledger.client import Network, Retry, SigningIdentity
from gridledger.client.anchors import AnchorsLedger
from gridledger.client.application import Answer, ContractCalls, network_through, peers_of
from gridledger.client.errors import EndorseError
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import SettingsError
from services.lightnode.sending import Logged, LoggedEvent, OnSection, Place

APPLICATION, ANCHORS = "forensics", "anchors"

_BUSY_ONLY: Final = Retry(attempts=4, total_s=10.0, conflicts=False)
"""A transaction that lost to another one is not made anew: what it was made for is no longer so."""


@dataclass(frozen=True, slots=True)
class Application:
    """Where the network's description has forensics: channels and chaincodes."""

    sections: Mapping[str, str]
    """Channel and chaincode of each section."""
    devices: tuple[str, str]
    anchors: tuple[str, str] | None

    @classmethod
    def of(cls, profile: ConnectionProfile) -> Application:
        """By the connection profile; :class:`SettingsError` where it has no such application."""
        entry = profile.applications.get(APPLICATION)
        if entry is None:
            raise SettingsError(
                f"the network {profile.name} has no forensics: its description wants applications.{APPLICATION} with "
                "devices and sections"
            )
        try:
            devices = (str(entry["devices"]["channel"]), str(entry["devices"]["chaincode"]))
            sections = {str(channel): str(chaincode) for channel, chaincode in entry["sections"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise SettingsError(f"applications.{APPLICATION} of the network {profile.name} lacks {error}") from None
        anchors = profile.applications.get(ANCHORS)
        where = None if anchors is None else (str(anchors["channel"]), str(anchors["chaincode"]))
        return cls(sections, devices, where)


class EventsLedger(ContractCalls):
    """The contract ``events`` of a section."""

    again = _BUSY_ONLY

    async def device(self, device: str) -> OnSection | None:
        """A device with the end of its chain; None where the section does not know it."""
        try:
            record = await self._evaluate("GetDevice", {"device": device})
        except EndorseError as error:
            if error.code == "CHAINCODE_REFUSED" and error.message.startswith("device:"):
                return None
            raise
        head = record["head"]
        return OnSection(record["status"], record["proof_key"], Place(head["seq"], head["sha256"]))

    async def event(self, device: str, seq: int) -> LoggedEvent:
        """An event."""
        event = await self._evaluate("GetEvent", {"device": device, "seq": seq})
        return LoggedEvent(event["sha256"], event["tx"], event["block"])

    async def log(self, device: str, events: Sequence[Answer]) -> Logged:
        """LogEvent or LogBatch of one, LogEvents of several."""
        if len(events) > 1:
            return await self._log("LogEvents", {"device": device, "events": list(events)})
        (event,) = events
        return await self._log("LogBatch" if "synopsis" in event else "LogEvent", {"device": device, **event})

    async def log_devices(self, events: Mapping[str, Sequence[Answer]]) -> Logged:
        """LogDevices."""
        devices = [{"device": device, "events": list(told)} for device, told in events.items()]
        return await self._log("LogDevices", {"devices": devices})

    async def _log(self, function: str, argument: Answer) -> Logged:
        _, status = await self.contract.submit_with_status(function, argument, retry=self.again)
        return Logged(status.tx_id, status.block)


class RegistryLedger(ContractCalls):
    """The contract ``registry``, read only."""

    async def filter(self, **asked: Any) -> Answer:
        """GetFilter: {epoch, m, k, parts, bits, since, bookmark, ...}."""
        return await self._evaluate("GetFilter", asked)


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What a light node has open."""

    sections: Mapping[str, EventsLedger]
    registry: RegistryLedger
    anchors: AnchorsLedger | None


@asynccontextmanager
async def open_ledgers(
    profile: ConnectionProfile, identity: SigningIdentity, channels: Sequence[str], own_peer: str | None
) -> AsyncIterator[Ledgers]:
    """The sections, the registry and the anchors, each through all peers of its channel: the organisation's own first,
    another one where those fail."""
    application = Application.of(profile)
    async with AsyncExitStack() as stack:

        async def network(channel: str) -> Network:
            entry = profile.channels.get(channel)
            own = own_peer if entry is not None and own_peer in entry.peers else None
            peers = peers_of(profile, channel, identity.mspid, own)
            return await stack.enter_async_context(network_through(profile, channel, peers, identity))

        sections: dict[str, EventsLedger] = {}
        for channel in channels:
            if channel not in application.sections:
                raise SettingsError(f"{channel} is no section: applications.forensics.sections does not name it")
            opened = await network(channel)
            sections[channel] = EventsLedger(opened.get_contract(application.sections[channel]), opened)
        channel, chaincode = application.devices
        opened = await network(channel)
        registry = RegistryLedger(opened.get_contract(chaincode), opened)
        anchors = None
        if application.anchors is not None:
            channel, chaincode = application.anchors
            opened = await network(channel)
            anchors = AnchorsLedger(opened.get_contract(chaincode), opened)
        yield Ledgers(sections, registry, anchors)
