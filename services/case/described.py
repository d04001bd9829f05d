"""What a network's description says of forensics, and the identities that its commands act as."""

from __future__ import annotations

from typing import Final

from pydantic import Field, ValidationError

from gridledger.client.anchors import application_of
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import NotFoundError, SettingsError
from gridledger.evidence.package import Roles
from gridledger.identity.signer import SigningIdentity
from gridledger.network.users import enroll_user
from gridledger.settings import SettingsPart
from services.case.attributes import AUTHORITY, INVESTIGATOR, REGISTRAR, ROLE

APPLICATION: Final = "forensics"


class Place(SettingsPart):
    """Where a contract is."""

    channel: str
    chaincode: str


class DescribedForensics(Place):
    """``applications.forensics`` of a description: the contract of cases, and where the others are."""

    devices: Place
    access: Place
    sections: dict[str, str] = Field(min_length=1, max_length=64)
    authority: str
    investigators: str

    def section(self, channel: str) -> Place:
        """The contract of a section; :class:`SettingsError` where the channel is none."""
        if channel not in self.sections:
            raise SettingsError(
                f"{channel!r:.80} is no section of this network; there are: {', '.join(sorted(self.sections))}"
            )
        return Place(channel=channel, chaincode=self.sections[channel])


def described_forensics(profile: ConnectionProfile) -> DescribedForensics:
    """What the description says; :class:`SettingsError` names the member that is wrong."""
    entry = profile.applications.get(APPLICATION)
    if entry is None:
        raise SettingsError(
            f"the network {profile.name} has no forensics: its description wants applications.{APPLICATION} with "
            "channel, chaincode, devices, access, sections, authority and investigators, as "
            "network-config/forensics.yaml has it"
        )
    try:
        return DescribedForensics.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("applications", APPLICATION, *first["loc"])))
        raise SettingsError(f"{where} of the network {profile.name}: {first['msg']}") from None


def described_roles(profile: ConnectionProfile) -> Roles:
    """The chaincodes on which evidence rests, as the description names them: of anchors; of devices and sections too
    where the network has forensics. :class:`SettingsError` where it has no anchors."""
    anchoring = application_of(profile)
    if APPLICATION not in profile.applications:
        return Roles(anchoring)
    forensics = described_forensics(profile)
    return Roles(anchoring, (forensics.devices.channel, forensics.devices.chaincode), dict(forensics.sections))


def organisation_of(profile: ConnectionProfile, mspid: str) -> str:
    """The name of the organisation of an MSP id; :class:`NotFoundError` where none with a peer has it."""
    for peer in profile.peers.values():
        if peer.mspid == mspid:
            return peer.organisation
    raise NotFoundError(f"no organisation of the network {profile.name} with a peer has the MSP {mspid}")


async def authority_identity(profile: ConnectionProfile) -> SigningIdentity:
    """Who approves cases and may revoke any device, enrolled by the authority's registrar where it is not yet."""
    return await _user(profile, described_forensics(profile).authority, "forensics-authority", AUTHORITY)


async def investigator_identity(profile: ConnectionProfile) -> SigningIdentity:
    """Who opens cases, enrolled where it is not yet."""
    return await _user(profile, described_forensics(profile).investigators, "forensics-investigator", INVESTIGATOR)


async def registrar_identity(profile: ConnectionProfile, organisation: str) -> SigningIdentity:
    """Who registers an organisation's devices, enrolled where it is not yet."""
    return await _user(profile, organisation, "forensics-registrar", REGISTRAR)


async def _user(profile: ConnectionProfile, organisation: str, name: str, role: str) -> SigningIdentity:
    return await enroll_user(profile, organisation, name, "client", {ROLE: role})
