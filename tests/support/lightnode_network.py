"""A part of the network of network-config/forensics.yaml on free ports: one section with its light node."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.client import Contract
from gridledger.errors import GridLedgerError
from gridledger.evidence.events import text_hash
from gridledger.identity.signer import SigningIdentity
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.users import enroll_user
from gridledger.transport.node_client import NodeClient
from tests.support.local_network import LocalNetwork, local_network
from tests.support.processes import REPOSITORY, hold_ports
from tests.support.waiting import eventually

SECTION = "section-plant"
ORGANISATION, MSPID = "Severodonetsk", "SeverodonetskMSP"
NODE = "ln-plant"
DEVICES: Mapping[str, str] = {
    "relay-1": "relay",
    "relay-2": "relay",
    "pmu-1": "pmu",
    "meter-1": "meter",
    "charger-1": "charger",
    "rtu-1": "rtu",
}


def lightnode_description(
    devices: Mapping[str, str] = DEVICES, sources: Mapping[str, list[Any]] | None = None, **settings: Any
) -> NetworkConfig:
    """One orderer, three peers, the channels ``devices`` and ``section-plant``, and a light node with these devices."""
    described = load_network_config(REPOSITORY / "network-config/forensics.yaml").model_dump(mode="json")
    described["orderers"] = described["orderers"][:1]
    described["peers"] = [one for one in described["peers"] if one["name"] != "peer-lviv"]
    kept = {"Orderer", *(one["organisation"] for one in described["peers"])}
    described["organisations"] = [one for one in described["organisations"] if one["name"] in kept]
    described["channels"] = {name: described["channels"][name] for name in ("devices", SECTION)}
    for channel in described["channels"].values():
        channel["peers"] = [name for name in channel["peers"] if name != "peer-lviv"]
        channel.pop("organisations", None)
    described["applications"] = {
        "forensics": {
            "channel": "devices",
            "chaincode": "registry",
            "devices": {"channel": "devices", "chaincode": "registry"},
            "sections": {SECTION: "events"},
        }
    }
    of_section: list[dict[str, Any]] = [
        {"device": name, "type": kind, "section": SECTION, "sources": (sources or {}).get(name, [])}
        for name, kind in devices.items()
    ]
    described["companions"] = [
        {
            "name": NODE,
            "kind": "lightnode",
            "application": "forensics",
            "organisations": [ORGANISATION],
            "port": 5300,
            "attributes": {"forensics.role": "lightnode", "forensics.section": SECTION},
            "settings": {"devices": of_section, **settings},
        }
    ]
    config = NetworkConfig.model_validate(described)
    for offset in random.sample(range(2000, 25_000, 13), 100):
        moved = config.with_port_offset(offset)
        with suppress(OSError):
            companions = [one.port for one in moved.companions if one.port]
            hold_ports([moved.ca.port, *(node.port for node in (*moved.orderers, *moved.peers)), *companions])
            return moved
    raise AssertionError("no free ports")


class LightNodeNetwork:
    """A running network with a light node. Made by :func:`lightnode_network`."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        (companion,) = network.config.companions
        self.url = f"https://127.0.0.1:{companion.port}"
        self.data = network.folder.companion(NODE) / "data"

    async def user(self, name: str, organisation: str = ORGANISATION, **attributes: str) -> SigningIdentity:
        """A client with ``forensics`` attributes, enrolled when first asked for."""
        told = {f"forensics.{key}": value for key, value in attributes.items()}
        return await enroll_user(self.network.profile, organisation, name, "client", told)

    async def operator(self) -> SigningIdentity:
        """An operator's station of the node's organisation."""
        return await self.user("station", role="operator")

    @asynccontextmanager
    async def node(self, identity: SigningIdentity | None = None):
        """A connection to the light node, as an operator's station if nobody else."""
        async with NodeClient(self.url, identity or await self.operator(), self.network.roots) as node:
            yield node

    async def tell(self, node: NodeClient, device: str, kind: str, time_us: int | None = None, **body: Any) -> int:
        """Tell an event; its seq."""
        told = {"device": device, "kind": kind, "time_us": now_us() if time_us is None else time_us, "body": body}
        answer = jsontext.loads(await node.post("/events", jsontext.dumps(told)))
        assert answer["recorded"]
        return int(answer["seq"])

    async def devices(self) -> dict[str, dict[str, Any]]:
        """What the light node tells of its devices."""
        async with self.node() as node:
            return {item["device"]: item for item in (await node.get_json("/devices"))["items"]}

    @asynccontextmanager
    async def contract(self, channel: str, chaincode: str, identity: SigningIdentity, peer: str = "peer-kyiv"):
        """A contract as an identity calls it."""
        async with self.network.gateway(peer, identity) as gateway:
            yield gateway.get_network(channel).get_contract(chaincode)

    async def registrar(self) -> SigningIdentity:
        """The registrar of the node's organisation."""
        return await self.user("forensics-registrar", role="registrar")

    async def admit(self, devices: Sequence[str] | None = None) -> None:
        """Register the node's devices and admit them to their section."""
        registrar = await self.registrar()
        async with (
            self.contract("devices", "registry", registrar) as registry,
            self.contract(SECTION, "events", registrar) as events,
        ):
            for name, told in (await self.devices()).items():
                if devices is not None and name not in devices:
                    continue
                members = ("device", "type", "section", "site", "vendor", "model", "proof_key", "certificate", "proof")
                record = await registry.submit_transaction("RegisterDevice", {each: told[each] for each in members})
                admitted = {"mspid": MSPID} | {each: record[each] for each in ("device", "proof_key", "tx")}
                await events.submit_transaction("AdmitDevice", admitted)

    @asynccontextmanager
    async def events(self):
        """The section's contract, as a registrar calls it."""
        async with self.contract(SECTION, "events", await self.registrar()) as contract:
            yield contract

    async def on_ledger(self, contract: Contract, device: str) -> list[dict[str, Any]]:
        """A device's events on the ledger; each names the one before by the hash of its text."""
        items = await contract.collect("ListEvents", {"device": device})
        for before, after in pairwise(items):
            assert after["prev"] == text_hash(before["text"])
        return list(items)

    async def until_on_ledger(
        self, contract: Contract, device: str, count: int, within_s: float = 30
    ) -> list[dict[str, Any]]:
        """Wait until so many events of a device are on the ledger."""

        async def there() -> list[dict[str, Any]]:
            head = (await contract.evaluate_transaction("GetDevice", {"device": device}))["head"]
            return await self.on_ledger(contract, device) if head["seq"] >= count else []

        return await eventually(there, within_s=within_s, what=f"{count} events of {device}", ignore=(GridLedgerError,))


def now_us() -> int:
    """The time, microseconds since 1970."""
    return time.time_ns() // 1000


@contextmanager
def lightnode_network(config: NetworkConfig, folder: Path) -> Iterator[LightNodeNetwork]:
    """A started network with its light node, stopped at the end."""
    with local_network(config, folder, config.companions) as network:
        yield LightNodeNetwork(network)
