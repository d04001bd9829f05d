"""The contracts ``registry`` and ``events`` as an agent calls them, through its own organisation's peers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from gridledger.client import Gateway
from gridledger.client.application import Answer, ContractCalls, each_item, given
from gridledger.client.profile import ConnectionProfile
from gridledger.client.retry import Retry
from gridledger.errors import GridLedgerError, SettingsError

APPLICATION: Final = "forensics"
REFUSED: Final = "CHAINCODE_REFUSED"

_AGAIN: Final = Retry(attempts=4, total_s=10.0)


class RegistryLedger(ContractCalls):
    """What the registry says of a device."""

    @property
    def channel(self) -> str:
        """The channel that the registry is on; proofs of keys name it."""
        return self.network.channel

    async def device(self, device: str) -> Answer | None:
        """GetDevice; None where nobody has registered it."""
        return await _unless_refused(self, device)

    async def keys(self, device: str) -> list[Answer]:
        """GetKeys: all of its keys, the first one first."""

        async def page(bookmark: str | None) -> Answer:
            return await self._evaluate("GetKeys", {"device": device, **given(bookmark=bookmark)})

        return [item async for item in each_item(page)]


class SectionLedger(ContractCalls):
    """The devices of a section."""

    again = _AGAIN

    @property
    def channel(self) -> str:
        """The section's channel."""
        return self.network.channel

    async def device(self, device: str) -> Answer | None:
        """GetDevice; None where it is not admitted."""
        return await _unless_refused(self, device)

    async def devices(self) -> AsyncIterator[Answer]:
        """ListDevices: all that are admitted."""

        async def page(bookmark: str | None) -> Answer:
            return await self._evaluate("ListDevices", given(bookmark=bookmark))

        async for item in each_item(page):
            yield item

    async def suspend(self, device: str, tx: str, revoked_us: int) -> Answer:
        """SuspendDevice."""
        return await self._submit("SuspendDevice", {"device": device, "tx": tx, "revoked_us": revoked_us})

    async def rekey(self, device: str, channel: str, key: Mapping[str, Any]) -> Answer:
        """RekeyDevice, with a key as the registry's GetKeys has it."""
        fields = ("proof_key", "certificate_sha256", "tx", "proof_old", "proof_new")
        argument = {"device": device, "channel": channel, **{field: key[field] for field in fields}}
        return await self._submit("RekeyDevice", argument)

    async def organisations(self) -> tuple[str, ...]:
        """The organisations with a peer on the channel."""
        return (await self.network.get_config()).peer_organisations


def ledgers(
    profile: ConnectionProfile, own: Gateway, channels: list[str]
) -> tuple[RegistryLedger, list[SectionLedger]] | None:
    """The registry, and the sections among ``channels``; None where the network has no forensics, or the own peers have
    not both. Raises :class:`SettingsError` where the description of forensics lacks something."""
    entry = profile.applications.get(APPLICATION)
    if entry is None:
        return None
    try:
        where = entry["devices"]["channel"], entry["devices"]["chaincode"]
        sections = dict(entry["sections"])
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"applications.{APPLICATION} of the network {profile.name} lacks {error}") from None
    if where[0] not in channels:
        return None
    network = own.get_network(str(where[0]))
    registry = RegistryLedger(network.get_contract(str(where[1])), network)
    found = []
    for channel, chaincode in sections.items():
        if channel in channels:
            network = own.get_network(channel)
            found.append(SectionLedger(network.get_contract(str(chaincode)), network))
    return (registry, found) if found else None


async def _unless_refused(ledger: ContractCalls, device: str) -> Answer | None:
    try:
        return await ledger._evaluate("GetDevice", {"device": device})  # noqa: SLF001 - of both classes here
    except GridLedgerError as error:
        if error.code == REFUSED:
            return None
        raise
