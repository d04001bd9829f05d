"""One relay that four servers read by three protocols: the same captures on the ledger."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridledger.network.schema import NetworkConfig
from services.relay.ledger import RelayLedger, operator_identity, relay_ledger
from tests.support.processes import REPOSITORY
from tests.support.relay_network import FAR, RelayNetwork, relay_network, substation
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep]

PROTOCOLS = {"Rele_1": "text", "Rele_2": "modbus", "Rele_3": "iec61850"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def speaking_three_protocols() -> tuple[NetworkConfig, dict[str, str]]:
    """The network, and the relay's address by protocol."""
    described = substation(4.0).model_dump(mode="json")
    relay = next(one for one in described["companions"] if one["kind"] == "relay-simulator")
    relay["ports"] = {"modbus_port": free_port(), "iec61850_port": free_port()}
    addresses = {
        "text": f"http://127.0.0.1:{relay['port']}",
        "modbus": f"127.0.0.1:{relay['ports']['modbus_port']}",
        "iec61850": f"127.0.0.1:{relay['ports']['iec61850_port']}",
    }
    return NetworkConfig.model_validate(described), addresses


async def register(place: RelayNetwork, addresses: dict[str, str]) -> None:
    record = yaml.safe_load((REPOSITORY / "network-config/relays/rele1.yaml").read_text())
    identity = await operator_identity(place.network.profile, "Server5004")
    async with relay_ledger(place.network.profile, identity) as ledger:
        for relay, protocol in PROTOCOLS.items():
            told = {"relay": relay, "protocol": protocol, "address": addresses[protocol]}
            await ledger.register_relay(record | told)


async def confirmed(ledger: RelayLedger, relay: str) -> dict[int, str]:
    """The minutes of which a quorum said the same, with the hash."""
    page: dict[str, Any] = await ledger.list_captures(relay, 0, FAR)
    return {item["minute"]: item["record_sha256"] for item in page["items"] if item["status"] == "confirmed"}


def test_three_protocols_give_the_ledger_the_same_captures(tmp_path: Path) -> None:
    config, addresses = speaking_three_protocols()
    with relay_network(config, tmp_path) as place:

        async def five_minutes_alike() -> None:
            await register(place, addresses)
            async with place.ledger() as ledger:

                async def alike() -> dict[int, str] | None:
                    found = [await confirmed(ledger, relay) for relay in PROTOCOLS]
                    common = set.intersection(*(set(one) for one in found))
                    assert all(one[minute] == found[0][minute] for one in found for minute in common)
                    return {minute: found[0][minute] for minute in common} if len(common) >= 5 else None

                same = await eventually(alike, within_s=90, what="five minutes by three protocols")
                told = place.completed()
                assert same is not None
                assert all(told[minute] == sha256 for minute, sha256 in same.items())

        asyncio.run(five_minutes_alike())
