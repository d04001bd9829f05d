"""What a network's description says of its vault: the base's organisation, and the clusters that set-up makes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import NotFoundError, SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.users import enroll_user
from gridledger.settings import SettingsPart
from services.vault.attributes import BASE, CLUSTER, DEALER, ID, ROLE, SENSOR
from services.vault.cutting import HEADS
from services.vault.ledger import APPLICATION, application_of
from services.vault.settings import HolderName

_Cluster = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,15}$")]
BASE_USER = "vault-base"


class DescribedCluster(SettingsPart):
    """A cluster: ``t`` shares join, ``t + spare`` must be acknowledged. ``heads``, layer 1, has no organisation,
    head or holders: its members are the heads of the others."""

    organisation: str | None = None
    t: Annotated[int, Field(ge=2, le=63)]
    spare: Annotated[int, Field(ge=0, le=62)]
    profile: Literal["sealed", "article", "shamir", "copies"] = "sealed"
    head: HolderName | None = None
    holders: tuple[HolderName, ...] = Field(default=(), max_length=64)


class DescribedVault(SettingsPart):
    """``applications.vault`` of a description."""

    chaincode: str
    channel: str
    base: str | None = None
    clusters: dict[_Cluster, DescribedCluster] = Field(default={}, max_length=64)


def described_vault(profile: ConnectionProfile) -> DescribedVault:
    """What the description says; :class:`SettingsError` names the member that is wrong."""
    application_of(profile)
    try:
        vault = DescribedVault.model_validate(profile.applications[APPLICATION])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("applications", APPLICATION, *first["loc"])))
        raise SettingsError(f"{where} of the network {profile.name}: {first['msg']}") from None
    for name, cluster in vault.clusters.items():
        where = f"applications.{APPLICATION}.clusters.{name} of the network {profile.name}"
        given = (cluster.organisation, cluster.head, cluster.holders or None)
        if name == HEADS and any(given):
            raise SettingsError(f"{where} has no organisation, head or holders of its own")
        if name != HEADS and not all(given):
            raise SettingsError(f"{where} wants organisation, head and holders")
        if cluster.head is not None and cluster.head not in cluster.holders:
            raise SettingsError(f"{where}: its head {cluster.head} is none of its holders")
    return vault


def mspid_of(profile: ConnectionProfile, organisation: str) -> str:
    """The MSP id of an organisation that has a peer."""
    for peer in profile.peers.values():
        if peer.organisation == organisation:
            return peer.mspid
    raise NotFoundError(f"there is no organisation {organisation!r} with a peer in the network {profile.name}")


def organisation_of(profile: ConnectionProfile, mspid: str) -> str:
    """The name of the organisation of an MSP id."""
    for peer in profile.peers.values():
        if peer.mspid == mspid:
            return peer.organisation
    raise NotFoundError(f"no organisation of the network {profile.name} with a peer has the MSP {mspid}")


async def base_identity(profile: ConnectionProfile) -> SigningIdentity:
    """The identity of the base's operator, enrolled by the base's registrar where it is not yet."""
    organisation = described_vault(profile).base
    if organisation is None:
        raise SettingsError(
            f"applications.{APPLICATION}.base of the network {profile.name} is missing: name the base's organisation "
            "there, or give an identity by --user or --identity"
        )
    return await enroll_user(profile, organisation, BASE_USER, "client", {ROLE: BASE})


async def dealer_identity(profile: ConnectionProfile, cluster: str) -> SigningIdentity:
    """The identity that puts objects of a cluster, enrolled where it is not yet; of layer 1 the base's."""
    if cluster == HEADS:
        return await base_identity(profile)
    found = described_vault(profile).clusters.get(cluster)
    if found is None or found.organisation is None:
        there = ", ".join(described_vault(profile).clusters) or "none"
        raise NotFoundError(
            f"there is no cluster {cluster!r} in the description of {profile.name}; there are: {there}. For another "
            "one give the dealer's identity by --user or --identity"
        )
    attributes = {ROLE: DEALER, CLUSTER: cluster}
    return await enroll_user(profile, found.organisation, f"vault-dealer-{cluster}", "client", attributes)


async def sensor_identity(
    profile: ConnectionProfile, organisation: str, holder: str, *, cluster: str, x: str, host: str
) -> SigningIdentity:
    """The identity of a further holder, enrolled where it is not yet; its certificate is for ``host``, too."""
    attributes = {ROLE: SENSOR, CLUSTER: cluster, ID: x}
    hosts = (host, "localhost", "127.0.0.1")
    return await enroll_user(profile, organisation, holder, "client", attributes, hosts=hosts)
