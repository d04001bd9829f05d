"""Substations to measure: network-config's with so many servers, and the relay's registration that fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import PROJECT
from gridledger.errors import SettingsError
from gridledger.network.schema import CompanionSpec, NetworkConfig

CHANNEL, CHAINCODE, RELAY = "substation", "relay", "Rele_1"
SIMULATOR_KIND, SERVER_KIND = "relay-simulator", "relay"
MOST_SERVERS = 15

_CONFIGS = PROJECT / "network-config"
_SMALL = 4


def substation(
    servers: int,
    *,
    port_offset: int = 0,
    channels: Sequence[str] = (CHANNEL,),
    simulator: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
) -> NetworkConfig:
    """A network with so many servers, as many organisations and peers, under MAJORITY(all) with three orderers.

    Up to four servers it is substation.yaml with the first of its servers, beyond that substation-15.yaml's. The
    channels are alike. ``simulator`` and ``server`` are settings of the simulated relay and of each server.
    """
    if not 1 <= servers <= MOST_SERVERS:
        raise SettingsError(f"a substation has 1 to {MOST_SERVERS} servers here, not {servers}")
    raw = _read("substation.yaml" if servers <= _SMALL else "substation-15.yaml")
    kept = raw["peers"][:servers]
    owners = [peer["organisation"] for peer in kept]
    gone = {peer["organisation"] for peer in raw["peers"]} - set(owners)
    raw["name"] = f"substation-{servers}"
    raw["peers"] = kept
    raw["organisations"] = [item for item in raw["organisations"] if item["name"] not in gone]
    raw["companions"] = [item for item in raw["companions"] if not gone & set(item.get("organisations", ()))]
    channel = raw["channels"][CHANNEL] | {"peers": [peer["name"] for peer in kept]}
    raw["channels"] = dict.fromkeys(channels, channel)
    raw["applications"]["relay"]["channel"] = channels[0]
    for item in raw["companions"]:
        more = simulator if item["kind"] == SIMULATOR_KIND else server
        item["settings"] = {**item.get("settings", {}), **(more or {})}
    return NetworkConfig.model_validate(raw).with_port_offset(port_offset)


def registration(config: NetworkConfig) -> dict[str, Any]:
    """The record of the simulated relay, read by all servers of a network, of which over half confirm."""
    record: dict[str, Any] = _read("relays/rele1.yaml")
    servers = servers_of(config)
    return record | {
        "address": config.url(simulator_of(config)),
        "servers": [{"id": _id(item), "mspid": config.mspid(item.organisations[0])} for item in servers],
        "quorum": len(servers) // 2 + 1,
    }


def simulator_of(config: NetworkConfig) -> CompanionSpec:
    """The companion that is the relay."""
    return next(item for item in config.companions if item.kind == SIMULATOR_KIND)


def servers_of(config: NetworkConfig) -> list[CompanionSpec]:
    """The companions that are servers."""
    return [item for item in config.companions if item.kind == SERVER_KIND]


def peers_by_server(config: NetworkConfig) -> dict[str, str]:
    """The name of each server's own peer: that of its organisation."""
    peers = {peer.organisation: peer.name for peer in config.peers}
    return {_id(item): peers[item.organisations[0]] for item in servers_of(config)}


def _id(server: CompanionSpec) -> str:
    return server.attributes["relay.server"]


def _read(name: str) -> Any:
    return yaml.safe_load(Path(_CONFIGS / name).read_text(encoding="utf-8"))
