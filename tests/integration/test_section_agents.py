"""Agents in the network of three cities: all channels are anchored on general, and sections hear of the registry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.client import Contract
from gridledger.errors import GridLedgerError
from gridledger.transport.node_client import NodeClient
from services.anchor.ledger import anchors_ledger
from tests.support.events_channel import admitting
from tests.support.forensics_network import SECTIONS, ForensicsNetwork, forensics_description, forensics_network
from tests.support.registry_channel import proof_key, registering, rotating
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep]

OWNER = {"mspid": "SeverodonetskMSP"}
WITHIN_S = 10.0


async def told_by(world: ForensicsNetwork, agent: str) -> dict[str, Any]:
    """What an agent's page says."""
    settings = jsontext.loads((world.network.folder.companion(agent) / "config.json").read_bytes())
    url, network = f"https://127.0.0.1:{settings['port']}", world.network
    async with NodeClient(url, network.admin("Authority"), network.roots) as node:
        return dict(await node.get_json("/"))


async def within_bounds(contract: Contract, device: str, **wanted: str) -> None:
    """Wait until the section has a device so, 10 s at most."""

    async def so() -> bool:
        record = await contract.evaluate_transaction("GetDevice", {"device": device})
        return all(record[field] == value for field, value in wanted.items())

    began = time.monotonic()
    await eventually(so, within_s=WITHIN_S, what=f"{device} has {wanted} on its section")
    assert time.monotonic() - began < WITHIN_S


@pytest.mark.timeout(300)
async def test_all_channels_are_anchored_and_a_section_hears_of_the_registry(tmp_path: Path) -> None:
    with forensics_network(forensics_description({"anchor": {}}), tmp_path / "network") as world:
        registrar = await world.registrar("Severodonetsk")
        async with (
            world.network.gateway("peer-severodonetsk", registrar) as gateway,
            anchors_ledger(world.profile, await world.network.client("Lviv")) as anchors,
        ):
            registry = gateway.get_network("devices").get_contract("registry")
            section = gateway.get_network("section-plant").get_contract("events")
            for device in ("pmu-1", "pmu-2"):
                await registry.submit_transaction("RegisterDevice", registering(device, channel="devices"))
                await section.submit_transaction("AdmitDevice", admitting(device, **OWNER))
            await registry.submit_transaction("RotateKey", rotating("pmu-1", 1, 2, channel="devices"))
            await within_bounds(section, "pmu-1", proof_key=proof_key("pmu-1", 2))
            await registry.submit_transaction("Revoke", {"device": "pmu-1", "reason": "stolen"})
            await within_bounds(section, "pmu-1", status="suspended")
            await world.network.kill("anchor-severodonetsk")
            await registry.submit_transaction("Revoke", {"device": "pmu-2", "reason": "stolen"})
            await within_bounds(section, "pmu-2", status="suspended")

            async def anchored() -> bool:
                return {status.channel for status in await anchors.statuses() if status.size > 0} >= {
                    "devices",
                    "access",
                    *SECTIONS,
                }

            await eventually(anchored, within_s=60, what="all channels are anchored", ignore=(GridLedgerError,))
        page = await told_by(world, "anchor-authority")
        assert {one["channel"] for one in page["channels"]} == {"devices", "access", *SECTIONS}
        assert {one["section"] for one in page["devices"]} == set(SECTIONS)
