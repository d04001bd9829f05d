"""The network of network-config/substation.yaml with relay and servers, on free ports; the relay has a fast clock."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from gridledger.network.schema import NetworkConfig, load_network_config
from services.relay.ledger import RelayLedger, operator_identity, relay_ledger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.processes import REPOSITORY, hold_ports

SERVERS = ("5004", "5005", "5006", "5007")
RELAY = "Rele_1"
FAR = 10**9


def substation(minute_s: float, **server_settings: Any) -> NetworkConfig:
    """The description, with a relay whose minutes last ``minute_s``."""
    described = load_network_config(REPOSITORY / "network-config/substation.yaml").model_dump(mode="json")
    for companion in described["companions"]:
        companion["settings"]["minute_s"] = minute_s
        if companion["kind"] == "relay":
            companion["settings"] |= server_settings
        else:
            companion["ports"] = {}
            companion["settings"]["seed"] = 1
    config = NetworkConfig.model_validate(described)
    for offset in random.sample(range(2000, 25_000, 13), 100):
        moved = config.with_port_offset(offset)
        with suppress(OSError):
            companions = [one.port for one in moved.companions if one.port]
            hold_ports([moved.ca.port, *(node.port for node in (*moved.orderers, *moved.peers)), *companions])
            return moved
    raise AssertionError("no free ports")


class RelayNetwork:
    """A running network with a relay that is registered. Made by :func:`relay_network`."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.ports = {one.name: one.port for one in network.config.companions}

    async def register(self) -> None:
        """Register the relay, as its operator."""
        record = yaml.safe_load((REPOSITORY / "network-config/relays/rele1.yaml").read_text())
        record["address"] = f"http://127.0.0.1:{self.ports['rele1']}"
        identity = await operator_identity(self.network.profile, "Server5004")
        async with relay_ledger(self.network.profile, identity) as ledger:
            await ledger.register_relay(record)

    @asynccontextmanager
    async def ledger(self, organisation: str = "Customers") -> AsyncIterator[RelayLedger]:
        """The ledger as an organisation's admin reads it."""
        async with relay_ledger(self.network.profile, self.network.admin(organisation)) as ledger:
            yield ledger

    def completed(self) -> dict[int, str]:
        """The minutes that the relay has completed, each with its text's SHA-256."""
        file = self.network.folder.companion("rele1") / "data" / "renames.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        found = {}
        for line in lines:
            with suppress(ValueError):  # the last line may be half written
                one = json.loads(line)
                found[int(one["minute"])] = str(one["sha256"])
        return found

    @staticmethod
    async def captures(ledger: RelayLedger) -> dict[int, dict[str, Any]]:
        """All captures on the ledger, by minute."""
        found: dict[int, dict[str, Any]] = {}
        bookmark = None
        while True:
            page = await ledger.list_captures(RELAY, 0, FAR, limit=500, bookmark=bookmark)
            for item in page["items"]:
                assert item["minute"] not in found
                found[item["minute"]] = item
            bookmark = page["bookmark"]
            if not bookmark:
                return found

    def url(self, server: str, path: str) -> str:
        """A path of a server's page."""
        return f"https://127.0.0.1:{self.ports[f'server{server}']}{path}"


@contextmanager
def relay_network(config: NetworkConfig, folder: Path) -> Iterator[RelayNetwork]:
    """The network with its relay and servers, stopped at the end."""
    with local_network(config, folder, companions=config.companions) as network:
        yield RelayNetwork(network)
