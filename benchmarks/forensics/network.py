"""One section of network-config/forensics.yaml to measure on: its three peers and all orderers, devices admitted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from benchmarks import PROJECT
from gridledger.client.application import network_through, peers_of
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.demonstration.network import clear
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.supervisor import running_network
from gridledger.network.users import enroll_user
from services.case.described import registrar_identity
from services.case.ledger import SectionLedger
from services.lightnode.ledger import EventsLedger

CHANNEL, CHAINCODE, ORGANISATION, OWN_PEER = "section-transmission", "events", "Kyiv", "peer-kyiv"
_ADMITTED_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Sizes:
    """A ledger's height, and the bytes of its folder on the disk: blocks (packed), world state and index."""

    height: int
    folder: int


@dataclass(frozen=True, slots=True)
class Section:
    """The section that runs."""

    folder: NetworkFolder
    profile: ConnectionProfile
    config: NetworkConfig

    @property
    def mspid(self) -> str:
        """Of the devices."""
        return self.config.mspid(ORGANISATION)

    @asynccontextmanager
    async def ledger(self, name: str) -> AsyncIterator[EventsLedger]:
        """The section's contract, as the light node ``name`` calls it through its organisation's peer."""
        signer = await enroll_user(self.profile, ORGANISATION, name, "client", {"forensics.role": "lightnode"})
        async with network_through(self.profile, CHANNEL, self._peers(signer), signer) as network:
            yield EventsLedger(network.get_contract(CHAINCODE), network)

    async def admit(self, proof_keys: Mapping[str, str]) -> None:
        """Admit devices, ``_ADMITTED_AT_ONCE`` at a time."""
        registrar = await registrar_identity(self.profile, ORGANISATION)
        async with network_through(self.profile, CHANNEL, self._peers(registrar), registrar) as network:
            ledger = SectionLedger(network.get_contract(CHAINCODE), network)
            free = asyncio.Semaphore(_ADMITTED_AT_ONCE)

            async def admit(device: str, proof_key: str) -> None:
                async with free:
                    # The registry is no part of this: no contract reads another channel, so any transaction's id does.
                    await ledger.admit_device(device, self.mspid, proof_key, sha256(device.encode()).hexdigest())

            await asyncio.gather(*(admit(device, key) for device, key in proof_keys.items()))

    def sizes(self) -> Sizes:
        """What the section's ledger takes on the own peer's disk now."""
        with Ledger.open(self._ledgers, CHANNEL, readonly=True) as ledger, ledger.snapshot() as snapshot:
            height = snapshot.height
        files = os.scandir(self._ledgers / CHANNEL)
        return Sizes(height, sum(file.stat().st_blocks * 512 for file in files))

    def block_bytes(self, first: int, end: int) -> int:
        """The bytes of the blocks from one number to before another, as they were ordered."""
        with Ledger.open(self._ledgers, CHANNEL, readonly=True) as ledger, ledger.snapshot() as snapshot:
            return sum(len(snapshot.block_bytes(number)) for number in range(first, end))

    @property
    def _ledgers(self) -> Path:
        return self.folder.node(OWN_PEER) / "data" / "ledger"

    def _peers(self, signer: SigningIdentity) -> list[str]:
        return peers_of(self.profile, CHANNEL, signer.mspid, OWN_PEER)


def description(port_offset: int) -> NetworkConfig:
    """The section's part of the shipped description, without companions."""
    raw: dict[str, Any] = load_network_config(PROJECT / "network-config" / "forensics.yaml").model_dump(mode="json")
    raw["channels"] = {CHANNEL: raw["channels"][CHANNEL]}
    peers = set(raw["channels"][CHANNEL]["peers"])
    raw["peers"] = [each for each in raw["peers"] if each["name"] in peers]
    members = {"Orderer", *(each["organisation"] for each in raw["peers"])}
    raw["organisations"] = [each for each in raw["organisations"] if each["name"] in members]
    raw["companions"] = []
    raw["applications"] = {"forensics": raw["applications"]["forensics"]}
    return NetworkConfig.model_validate(raw).with_port_offset(port_offset)


@asynccontextmanager
async def running_section(folder: Path, port_offset: int) -> AsyncIterator[Section]:
    """The section, while the block lasts. ``folder``, an absolute path, is cleared."""
    config, place = description(port_offset), NetworkFolder(folder)
    clear(place)
    async with running_network(config, place, project=PROJECT, sink=lambda _name, _line: None):
        yield Section(place, load_profile(place.root), config)
