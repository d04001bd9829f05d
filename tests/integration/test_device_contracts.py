"""The contracts ``registry`` and ``events`` on a small network: from a device's registration to its suspension."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gridledger.client import Contract, EndorseError
from gridledger.evidence.bloom import Bloom
from gridledger.network.schema import NetworkConfig
from gridledger.network.users import enroll_user
from tests.support.contract_channel import S
from tests.support.events_channel import Device, admitting
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes, with_free_ports
from tests.support.registry_channel import proof_key, registering, rotating

pytestmark = [pytest.mark.integration, pytest.mark.deep]


def three_organisations() -> NetworkConfig:
    """Three organisations with a peer each, two of which must endorse."""
    described = few_nodes(peers=3).model_dump(mode="json")
    described["channels"][CHANNEL]["chaincodes"] = {
        "registry": {"path": "chaincode/registry", "policy": "MAJORITY(all)"},
        "events": {"path": "chaincode/events", "policy": "OutOf(2, all)"},
    }
    return with_free_ports(NetworkConfig.model_validate(described))


@asynccontextmanager
async def contracts_of(
    network: LocalNetwork, organisation: str, name: str, **attributes: str
) -> AsyncIterator[tuple[Contract, Contract]]:
    """Both contracts for a client of an organisation; ``forensics_role`` stands for the attribute forensics.role."""
    given = {key.replace("_", "."): value for key, value in attributes.items()}
    signer = await enroll_user(network.profile, organisation, name, "client", given)
    async with network.gateway("peer1", signer) as gateway:
        channel = gateway.get_network(CHANNEL)
        yield channel.get_contract("registry"), channel.get_contract("events")


async def refused(contract: Contract, function: str, argument: Any) -> str:
    """The message of a refusal."""
    with pytest.raises(EndorseError) as caught:
        await contract.submit_transaction(function, argument)
    return str(caught.value)


async def test_a_device_from_its_registration_to_its_suspension(tmp_path: Path) -> None:
    with local_network(three_organisations(), tmp_path) as network:
        async with (
            contracts_of(network, "Org1", "devices-registrar", forensics_role="registrar") as (registry, section),
            contracts_of(network, "Org1", "lightnode", forensics_role="lightnode") as (_, events),
            contracts_of(network, "Org2", "agent", anchor_role="agent") as (_, other),
        ):
            registered = await registry.submit_transaction("RegisterDevice", registering(channel=CHANNEL))
            page = {"epoch": 1, "m": 1024, "k": 3, "from": "", "limit": 2000}
            assert (await registry.submit_transaction("PublishFilter", page))["next"] is None
            told = await registry.evaluate_transaction("GetFilter", {"part": 0})
            filled = Bloom(1024, 3)
            filled.add("pmu-1")
            assert (told["devices"], told["bits_sha256"], told["since"]) == (1, sha256(filled.bits).hexdigest(), [])
            await section.submit_transaction("AdmitDevice", admitting(mspid="Org1MSP", tx=registered["tx"]))
            device = Device(channel=CHANNEL)
            await log_all_kinds(events, device)
            await rekey(registry, section)
            assert "proof: does not hold" in await refused(events, "LogEvent", copied(device).argument())
            device.key = 2
            await events.submit_transaction("LogEvent", device.argument("logout", now_us()))
            suspending = {"device": "pmu-1", "tx": registered["tx"], "revoked_us": now_us()}
            await other.submit_transaction("SuspendDevice", suspending)
            message = await refused(events, "LogEvent", device.argument("login", now_us()))
            assert "device: pmu-1 is suspended by Org2MSP" in message
            head = (await events.evaluate_transaction("GetDevice", {"device": "pmu-1"}))["head"]
            assert head["seq"] == 67
            await network.agree(CHANNEL)


async def log_all_kinds(events: Contract, device: Device) -> None:
    """One event, 64, a batch; and that the ledger tells where each was logged."""
    answer = await events.submit_transaction("LogEvent", device.argument("login", now_us()))
    event = await events.evaluate_transaction("GetEvent", {"device": "pmu-1", "seq": 1})
    assert (event["tx"], event["sha256"], event["marks"]) == (answer["tx"], device.prev, {})
    many = {"device": "pmu-1", "events": [device.tell("alarm", now_us()) for _ in range(64)]}
    await events.submit_transaction("LogEvents", many)
    batch = device.tell_batch(now_us() - 60 * S, now_us())
    assert (await events.submit_transaction("LogBatch", batch))["sha256"] == device.prev
    listed = await events.evaluate_transaction("ListEvents", {"device": "pmu-1", "limit": 100})
    assert [each["seq"] for each in listed["items"]] == list(range(1, 67))


async def rekey(registry: Contract, section: Contract) -> None:
    """A new key at the registry, handed over to the section as an agent does."""
    await registry.submit_transaction("RotateKey", rotating(channel=CHANNEL))
    (_, key) = (await registry.evaluate_transaction("GetKeys", {"device": "pmu-1"}))["items"]
    handed = {name: key[name] for name in ("proof_key", "certificate_sha256", "tx", "proof_old", "proof_new")}
    record = await section.submit_transaction("RekeyDevice", {"device": "pmu-1", "channel": CHANNEL, **handed})
    assert record["proof_key"] == proof_key("pmu-1", 2)


def copied(device: Device) -> Device:
    """The same device in the same place of its chain."""
    copy = Device(device.name, device.channel)
    copy.seq, copy.prev, copy.key = device.seq, device.prev, device.key
    return copy


def now_us() -> int:
    return time.time_ns() // 1000
