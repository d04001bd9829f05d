"""The substation that is measured: that of network-config, with a cluster of twenty holders in place of M2's seven."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import PROJECT
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.demonstration.network import clear
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.supervisor import running_network
from services.vault.described import base_identity, dealer_identity, described_vault
from services.vault.session import Session, open_session
from services.vault.setting_up import set_up

CLUSTERS: Final = {(2, 3): "M5", (3, 5): "M1", (5, 9): "M3", (11, 20): "M2"}
"""The cluster of each (t, n)."""
_LARGE: Final = 20
_LARGE_T: Final = 11
_SET_UP_WITHIN_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A network that runs: its base, and who deals in each cluster."""

    folder: NetworkFolder
    profile: ConnectionProfile
    config: NetworkConfig
    base: Session
    dealers: dict[str, Session]

    def share_file(self, holder: str, name: str, version: int = 1) -> Path:
        """Where a holder has its share of an object."""
        process = next(
            spec.name for spec in self.config.companions for identity in spec.identities if identity.name == holder
        )
        return self.folder.companion(process) / "data" / holder / "shares" / f"{name}.{version}"


def substation(port_offset: int, clusters: Sequence[str] = ()) -> NetworkConfig:
    """The description, with 20 holders in M2, of which 11 join; with ``clusters`` and the base alone, if any are."""
    raw = load_network_config(PROJECT / "network-config" / "substation-vault.yaml").model_dump(mode="json")
    names = ["m2-head", *(f"m2-sensor-{number}" for number in range(1, _LARGE))]
    identities = [
        {
            "name": name,
            "organisation": "Transformer",
            "attributes": {
                "vault.role": "sensor" if at else "head",
                "vault.cluster": "M2",
                "vault.id": str(201 + at),
            },
        }
        for at, name in enumerate(names)
    ]
    settings: dict[str, Any] = {"look_over_s": 600.0, "audit_every_s": 0.0}
    for spec in raw["companions"]:
        if spec["name"] == "m2":
            spec["identities"] = identities
        if spec["name"] == "base":
            spec["settings"] |= settings
    raw["applications"]["vault"]["clusters"]["M2"] |= {"t": _LARGE_T, "holders": names}
    if clusters:
        _keep(raw, clusters)
    return NetworkConfig.model_validate(raw).with_port_offset(port_offset)


def _keep(raw: dict[str, Any], clusters: Sequence[str]) -> None:
    """Leave out the organisations, peers and holders of all other clusters, and the layer of the heads."""
    vault = raw["applications"]["vault"]
    vault["clusters"] = {name: vault["clusters"][name] for name in clusters}
    kept = {"Orderer", vault["base"], *(each["organisation"] for each in vault["clusters"].values())}
    raw["organisations"] = [each for each in raw["organisations"] if each["name"] in kept]
    raw["peers"] = [each for each in raw["peers"] if each["organisation"] in kept]
    raw["channels"][vault["channel"]]["peers"] = [each["name"] for each in raw["peers"]]
    raw["companions"] = [
        each
        for each in raw["companions"]
        if {*each["organisations"], *(one["organisation"] for one in each["identities"])} <= kept
    ]


@asynccontextmanager
async def measured_network(folder: Path, port_offset: int, clusters: Sequence[str] = ()) -> AsyncIterator[Measured]:
    """The network, set up, while the block lasts. ``folder`` is an absolute path."""
    config, place = substation(port_offset, clusters), NetworkFolder(folder)
    clear(place)
    async with (
        running_network(config, place, project=PROJECT, sink=lambda _name, _line: None, companions=config.companions),
        AsyncExitStack() as stack,
    ):
        profile = load_profile(place.root)
        base = await stack.enter_async_context(open_session(profile, await base_identity(profile)))
        await set_up(base.ledger, profile, described_vault(profile), wait_s=_SET_UP_WITHIN_S)
        dealers = {
            cluster: await stack.enter_async_context(open_session(profile, await dealer_identity(profile, cluster)))
            for cluster in CLUSTERS.values()
            if cluster in described_vault(profile).clusters
        }
        yield Measured(place, profile, config, base, dealers)
