"""Which chaincodes a package's proof rests on, and what their channels approved for them.

A chaincode's records are worth what its code lets in. A package names the channel and chaincode of each role, and that
is the packager's word: who names another chaincode, or a channel of his own, on which he may write a device's record,
would have a registration from nobody. So the roles are compared with those that the reader knows, and the packages'
SHA-256 with what each channel's configuration approved where the proof has its transactions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gridledger.evidence.chains import VerifiedBlock, VerifiedChannel
from gridledger.evidence.package import MANIFEST, Package, Roles, chain_file
from gridledger.evidence.report import Broken, Report
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.transaction import Transaction

STEP: Final = "roles"


@dataclass(frozen=True, slots=True)
class KnownRoles:
    """The roles that a reader knows, as he knows his roots, and by (channel, chaincode) the SHA-256 of the chaincode's
    packages that are to be believed; none where he does not know them."""

    roles: Roles
    packages: Mapping[tuple[str, str], frozenset[str]]


def roles_of(roles: Roles) -> Iterator[tuple[str, str, str]]:
    """(role, channel, chaincode) of each role."""
    yield ("anchoring", *roles.anchoring)
    if roles.devices is not None:
        yield ("devices", *roles.devices)
    for channel, chaincode in sorted(roles.sections.items()):
        yield ("section", channel, chaincode)


def check_names(package: Package, known: KnownRoles) -> None:
    """Compare the manifest's roles with those that are known; :class:`Broken`.

    A package may leave roles out that it does not need; not that a channel which it has is a section.
    """
    trusted = set(roles_of(known.roles))
    for role, channel, chaincode in roles_of(package.roles):
        if (role, channel, chaincode) not in trusted:
            right = sorted(f"{name} on {place}" for kind, place, name in trusted if kind == role)
            told = f"it takes {chaincode} on {channel} for the role {role}; known is {', '.join(right) or 'none'}"
            raise Broken(STEP, MANIFEST, told)
    hidden = sorted((known.roles.sections.keys() & package.channels.keys()) - package.roles.sections.keys())
    if hidden:
        raise Broken(STEP, MANIFEST, f"it does not say that {hidden[0]} is a section, whose events are to be verified")


def check_definitions(
    package: Package, channels: Mapping[str, VerifiedChannel], known: KnownRoles | None, report: Report
) -> None:
    """Tell what each role's channel approved; :class:`Broken` for a chaincode's package that is not among the known.

    Those definitions count that were in force for valid transactions of the chaincode in the package.
    """
    for role, channel, chaincode in roles_of(package.roles):
        if channel not in channels:
            continue
        believed = known.packages.get((channel, chaincode)) if known is not None else None
        for definition in definitions_of(channels[channel], chaincode):
            approved = f"{channel} approved the package {definition.package} and the policy {definition.policy}"
            told = f"for the role {role} stands the chaincode {chaincode} on {channel}: {approved}"
            if not believed:
                report.notes.append(f"{told}. What you trust does not have it: compare it with what a member tells.")
            elif definition.package in believed:
                report.passed(STEP, chain_file(channel), told)
            else:
                raise Broken(STEP, chain_file(channel), f"{told}; known is {', '.join(sorted(believed))}")


def definitions_of(channel: VerifiedChannel, chaincode: str) -> list[ChaincodeDefinition]:
    """The definitions of a chaincode under which the package's valid transactions of it were made, the first first."""
    found: dict[ChaincodeDefinition, None] = {}
    for held in channel.blocks.values():
        definition = held.config.chaincodes.get(chaincode)
        if definition is not None and definition not in found and _has_calls(held, chaincode):
            found[definition] = None
    return list(found)


def _has_calls(held: VerifiedBlock, chaincode: str) -> bool:
    for envelope, code in zip(held.block.envelopes, held.codes, strict=True):
        message = parse_envelope(envelope) if code is TxValidationCode.VALID else None
        if isinstance(message, Transaction) and message.proposal.chaincode == chaincode:
            return True
    return False
