"""The contract ``relay`` on a small network: who may call it, and what a peer that alters a text comes to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gridledger.client import Contract, EndorseError
from gridledger.network.schema import NetworkConfig
from gridledger.network.users import enroll_user
from tests.support.altering_peer import ALTERED, TOLD
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes, with_free_ports
from tests.support.relay_channel import RECORD, recording, told

pytestmark = pytest.mark.integration

SERVERS = ["5004", "5005", "5006"]


def three_servers() -> NetworkConfig:
    """Three organisations with a peer each, two of which must endorse, and one that reads."""
    described = few_nodes(peers=3).model_dump(mode="json")
    described["organisations"].append({"name": "Customers", "mspid": "CustomersMSP", "kind": "observer"})
    channel = described["channels"][CHANNEL]
    channel["chaincodes"] = {"relay": {"path": "chaincode/relay", "policy": "MAJORITY(all)"}}
    channel["readers"] = ["Customers"]
    return with_free_ports(NetworkConfig.model_validate(described))


@asynccontextmanager
async def contract_of(
    network: LocalNetwork, organisation: str, name: str, peer: str = "peer1", **attributes: str
) -> AsyncIterator[Contract]:
    """The contract for a client of an organisation; ``relay_role`` stands for the attribute relay.role."""
    given = {key.replace("_", "."): value for key, value in attributes.items()}
    signer = await enroll_user(network.profile, organisation, name, "client", given)
    async with network.gateway(peer, signer) as gateway:
        yield gateway.get_network(CHANNEL).get_contract("relay")


async def refused(contract: Contract, function: str, argument: Any, **options: Any) -> EndorseError:
    """The error that nothing was ordered for."""
    with pytest.raises(EndorseError) as caught:
        await contract.submit_transaction(function, argument, **options)
    return caught.value


async def test_an_altered_text_is_not_endorsed_nor_is_a_stranger(tmp_path: Path) -> None:
    minute = int(time.time()) // 60 - 10
    servers = [{"id": server, "mspid": f"Org{number}MSP"} for number, server in enumerate(SERVERS, 1)]
    with local_network(three_servers(), tmp_path) as network:
        await network.stop("peer3")
        await network.start("peer3", "tests.support.altering_peer")
        async with contract_of(network, "Org1", "operator", relay_role="operator") as operator:
            await operator.submit_transaction("RegisterRelay", RECORD | {"servers": servers, "quorum": 2})
        async with (
            contract_of(network, "Org1", "s5004", relay_role="server", relay_server="5004") as first,
            contract_of(network, "Org2", "s5005", "peer2", relay_role="server", relay_server="5005") as second,
        ):
            await check_alteration(first, told(minute))
            honest = told(minute, seed=29)
            recorded = await first.submit_transaction("RecordCapture", recording(honest))
            assert TOLD in honest
            lost = await refused(second, "RecordCapture", recording(honest))
            assert lost.message.startswith("ALREADY_RECORDED by 5004 at 20")
            at = {"relay": "Rele_1", "minute": minute}
            await second.submit_transaction("AttestCapture", at | {"sha256": recorded["sha256"]})
            assert (await second.submit_transaction("Conclude", at))["status"] == "confirmed"
        await check_strangers(network, minute + 1)
        async with contract_of(network, "Customers", "reader") as reader:
            assert (await reader.evaluate_transaction("GetCapture", at))["record"]["text"] == honest
            assert (await refused(reader, "Conclude", at)).code == "PERMISSION_DENIED"
            await check_queries(reader, minute)
        await network.agree(CHANNEL)


async def check_alteration(server: Contract, text: str) -> None:
    """Where the altering peer must endorse, nothing is ordered, and the client is told what differs."""
    error = await refused(server, "RecordCapture", recording(text), endorsing_organisations=["Org1MSP", "Org3MSP"])
    assert (error.status, error.code) == (409, "ENDORSEMENT_MISMATCH")
    shown = {peer: str(what["writes"]) for peer, what in error.details["peers"].items()}
    assert shown.keys() == {"peer1", "peer3"}
    assert (TOLD in shown["peer1"], ALTERED in shown["peer3"]) == (True, True)


async def check_queries(reader: Contract, minute: int) -> None:
    """What one captured minute shows in the queries that read ranges."""
    span = {"relay": "Rele_1", "from": minute - 1, "to": minute + 2}
    listed = await reader.evaluate_transaction("ListCaptures", span | {"texts": True})
    assert [(item["minute"], item["status"]) for item in listed["items"]] == [(minute, "confirmed")]
    gaps = await reader.evaluate_transaction("GetGaps", span)
    assert gaps == {"gaps": [[minute - 1, minute], [minute + 1, minute + 2]], "captures": 1, "bookmark": None}
    relays = await reader.evaluate_transaction("ListRelays", {})
    assert [(item["relay"], item["operator_msp"]) for item in relays["items"]] == [("Rele_1", "Org1MSP")]
    for query in ("GetDisputes", "GetFaults", "GetSilences"):
        assert await reader.evaluate_transaction(query, {"relay": "Rele_1"}) == {"items": [], "bookmark": None}


async def check_strangers(network: LocalNetwork, minute: int) -> None:
    """Who is no server of the relay records nothing, whatever a CA puts into the certificate."""
    for organisation, peer, attributes, why in [
        ("Org1", "peer1", {}, "must have attribute relay.role = 'server'; it has no such attribute"),
        ("Org2", "peer2", {"relay_role": "server", "relay_server": "5004"}, "relay.server = '5005'; it has '5004'"),
        ("Org3", "peer3", {"relay_role": "server", "relay_server": "5009"}, "relay.server = '5006'; it has '5009'"),
        ("Orderer", "peer1", {"relay_role": "server", "relay_server": "5004"}, "may not use peer/Propose"),
        ("Customers", "peer1", {"relay_role": "server", "relay_server": "5004"}, "may not use peer/Propose"),
    ]:
        async with contract_of(network, organisation, f"stranger-{peer}", peer, **attributes) as stranger:
            error = await refused(stranger, "RecordCapture", recording(told(minute)))
            assert why in error.message
