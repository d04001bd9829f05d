"""The network of network-config/forensics.yaml on free ports: three cities, with the companions that a test names."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.client import Contract
from gridledger.client.anchors import AnchorsLedger, AnchorStatus
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.users import enroll_user
from gridledger.transport.node_client import NodeClient
from services.case.described import authority_identity, investigator_identity, registrar_identity
from tests.support.local_network import LocalNetwork, local_network
from tests.support.processes import REPOSITORY, hold_ports
from tests.support.waiting import eventually

CITIES = ("kyiv", "severodonetsk", "lviv")
ORGANISATIONS = ("Kyiv", "Severodonetsk", "Lviv", "Authority")
SECTIONS = ("section-plant", "section-transmission", "section-home")


def forensics_description(companions: Mapping[str, Mapping[str, Any]] | None = None) -> NetworkConfig:
    """The shipped description on free ports, with those of its companions alone that are named, by their names or their
    kind, each with further settings."""
    wanted = companions or {}
    described = load_network_config(REPOSITORY / "network-config/forensics.yaml").model_dump(mode="json")
    kept = [one for one in described["companions"] if {one["name"], one["kind"]} & set(wanted)]
    for one in kept:
        one["settings"] |= {**wanted.get(one["kind"], {}), **wanted.get(one["name"], {})}
    described["companions"] = kept
    config = NetworkConfig.model_validate(described)
    for offset in random.sample(range(2000, 25_000, 13), 100):
        moved = config.with_port_offset(offset)
        with suppress(OSError):
            own = [port for one in moved.companions for port in one.all_ports]
            hold_ports([moved.ca.port, *(node.port for node in (*moved.orderers, *moved.peers)), *own])
            return moved
    raise AssertionError("no free ports")


class ForensicsNetwork:
    """A running network of three cities. Made by :func:`forensics_network`."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network

    @property
    def profile(self) -> ConnectionProfile:
        """Its connection profile."""
        return self.network.profile

    @property
    def folder(self) -> Path:
        """Its folder, for commands' ``--dir``."""
        return self.network.folder.root

    async def user(self, organisation: str, name: str, role: str, **attributes: str) -> SigningIdentity:
        """A client with ``forensics.role``, and further ``forensics`` attributes; enrolled when first asked for."""
        told = {f"forensics.{key}": value for key, value in {"role": role, **attributes}.items()}
        return await enroll_user(self.profile, organisation, name, "client", told)

    async def operator(self, organisation: str, name: str) -> SigningIdentity:
        """Somebody who works at a terminal."""
        return await self.user(organisation, name, "operator")

    async def registrar(self, organisation: str) -> SigningIdentity:
        """An organisation's keeper of devices, as commands have it."""
        return await registrar_identity(self.profile, organisation)

    async def authority(self) -> SigningIdentity:
        """Who approves cases, as commands have it."""
        return await authority_identity(self.profile)

    async def investigator(self) -> SigningIdentity:
        """Who opens cases, as commands have it."""
        return await investigator_identity(self.profile)

    async def lose(self, city: str) -> None:
        """Kill all that runs in a city: its orderer, its peer, its companions."""
        await asyncio.gather(*(self.network.kill(name) for name in self._of(city)))

    async def rebuild(self, city: str) -> None:
        """Start what ran in a city again, and wait until it is healthy."""
        await asyncio.gather(*(self.network.start(name) for name in self._of(city)))

    def _of(self, city: str) -> list[str]:
        """What runs there: nodes by their names, companions by their organisation."""
        config = self.network.config
        nodes = [node.name for node in (*config.orderers, *config.peers) if node.name.endswith(f"-{city}")]
        return [*nodes, *(one.name for one in config.companions if one.organisations == (city.capitalize(),))]

    # Light nodes and anchors, where they run

    async def tell(self, node: str, device: str, count: int = 1) -> int:
        """Have a light node record alarms of a device; the seq of the last one."""
        spec = next(one for one in self.network.config.companions if one.name == node)
        station = await self.operator(spec.organisations[0], "station")
        async with NodeClient(self.network.config.url(spec), station, self.network.roots) as client:
            for number in range(count):
                told = {"device": device, "kind": "alarm", "time_us": time.time_ns() // 1000, "body": {"n": number}}
                seq = int(jsontext.loads(await client.post("/events", jsontext.dumps(told)))["seq"])
        return seq

    @asynccontextmanager
    async def section(self, channel: str, peer: str) -> AsyncIterator[Contract]:
        """A section's contract through one peer, as a registrar of its organisation reads it."""
        registrar = await self.registrar(self.network.entry(peer).organisation)
        async with self.network.gateway(peer, registrar) as gateway:
            yield gateway.get_network(channel).get_contract("events")

    async def until_logged(self, channel: str, peer: str, device: str, seq: int, within_s: float = 45) -> None:
        """Wait until a peer has so many events of a device."""
        async with self.section(channel, peer) as contract:

            async def there() -> bool:
                head = (await contract.evaluate_transaction("GetDevice", {"device": device}))["head"]
                return bool(head["seq"] >= seq)

            what = f"event {seq} of {device} on {peer}"
            await eventually(there, within_s=within_s, what=what, ignore=(GridLedgerError,))

    async def until_anchored(self, channel: str, peer: str, within_s: float = 45) -> int:
        """Wait until all that a peer has of a channel now is anchored, as that peer tells; the size."""
        height = int((await self.network.status(peer, channel))["height"])

        async def is_anchored() -> bool:
            return (await self.anchor_status(channel, peer)).size >= height

        what = f"{height} blocks of {channel} are anchored"
        await eventually(is_anchored, within_s=within_s, what=what, ignore=(GridLedgerError,))
        return height

    async def anchor_status(self, channel: str, peer: str) -> AnchorStatus:
        """What one peer says of a channel's anchors."""
        async with self.network.gateway(peer) as gateway:
            return await AnchorsLedger(gateway.get_network("general").get_contract("anchors")).status(channel)


@contextmanager
def forensics_network(config: NetworkConfig, folder: Path) -> Iterator[ForensicsNetwork]:
    """The network with its companions, stopped at the end."""
    with local_network(config, folder, companions=config.companions) as network:
        yield ForensicsNetwork(network)
