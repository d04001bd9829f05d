"""Descriptions of networks for tests, on ports that nobody else has."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

from gridledger.network.schema import NetworkConfig, load_network_config
from tests.support.processes import REPOSITORY, hold_ports

CHANNEL = "shard1"
"""The one channel of :func:`few_nodes`."""

_OFFSETS = range(2000, 25_000, 13)  # the ports stay below those that the kernel gives to connections


def with_free_ports(config: NetworkConfig) -> NetworkConfig:
    """The network with all ports moved to where nobody listens, and kept from others (see :func:`hold_ports`)."""
    for offset in random.sample(_OFFSETS, len(_OFFSETS)):
        moved = config.with_port_offset(offset)
        nodes = (*moved.orderers, *moved.peers)
        with suppress(OSError):
            hold_ports([moved.ca.port, *(node.port for node in nodes)])
            return moved
    raise AssertionError("no free ports")


def few_nodes(
    *,
    orderers: int = 1,
    peers: int = 1,
    endorsers: int | None = None,
    orderer_settings: dict[str, Any] | None = None,
    **peer_settings: Any,
) -> NetworkConfig:
    """Some orderers, and some peers of one organisation each, all of which or some ``endorsers`` of which endorse kv on
    one channel."""
    names = [f"peer{number}" for number in range(1, peers + 1)]
    policy = f"OutOf({endorsers or peers}, all)"
    described = {
        "name": "few-nodes",
        "organisations": [
            {"name": "Orderer", "mspid": "OrdererMSP"},
            *({"name": f"Org{number}", "mspid": f"Org{number}MSP"} for number in range(1, peers + 1)),
        ],
        "orderers": [
            {
                "name": f"orderer{number}",
                "organisation": "Orderer",
                "port": 7060 + number,
                "settings": orderer_settings or {},
            }
            for number in range(1, orderers + 1)
        ],
        "peers": [
            {"name": name, "organisation": f"Org{number}", "port": 7150 + number, "settings": peer_settings}
            for number, name in enumerate(names, 1)
        ],
        "channels": {
            CHANNEL: {
                "peers": names,
                "chaincodes": {"kv": {"path": "chaincode/kv", "policy": policy}},
            }
        },
    }
    return with_free_ports(NetworkConfig.model_validate(described))


def three_shards(policies: dict[str, str], **settings: Any) -> NetworkConfig:
    """network-config/three-shards.yaml with kv on ``policies``' channels beside dvs; ``settings`` are the peers'."""
    return _with_kv("three-shards", policies, settings)


def no_shard(policy: str, *, forwarders: tuple[str, ...] = (), **settings: Any) -> NetworkConfig:
    """network-config/no-shard.yaml with kv under ``policy`` beside dvs; ``settings`` are the peers'."""
    return _with_kv("no-shard", {"grid": policy}, settings, forwarders)


def _with_kv(
    name: str, policies: dict[str, str], settings: dict[str, Any], forwarders: tuple[str, ...] = ()
) -> NetworkConfig:
    config = load_network_config(REPOSITORY / "network-config" / f"{name}.yaml")
    changed = config.model_dump(mode="json")
    for channel, policy in policies.items():
        changed["channels"][channel]["chaincodes"]["kv"] = {"path": "chaincode/kv", "policy": policy}
        changed["channels"][channel]["forwarders"] = list(forwarders)
    for peer in changed["peers"]:
        peer["settings"] = settings
    return with_free_ports(NetworkConfig.model_validate(changed))
