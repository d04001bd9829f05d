"""Signatures under a config update: whose are needed, and which of these admins' keys lie in a network's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_authority import Verdict, check_authority, verdicts
from gridledger.protocol.config_update import ConfigUpdate

ADMIN = "admin"
"""The user of an organisation whose key signs."""

Signer = tuple[str, str]
"""(MSP id, role)."""


@dataclass(frozen=True, slots=True)
class Admins:
    """The identities that can sign here, by MSP id: their names (``Org1/admin``), their keys, what they are to the
    channel; and why those that the channel does not take (expired, revoked) cannot."""

    names: Mapping[str, str]
    identities: Mapping[str, SigningIdentity]
    signers: Mapping[str, Signer]
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, profile: ConnectionProfile, current: ChannelConfig, at_us: int, user: str | None = None) -> Admins:
        """The admins whose keys lie in the folder; with ``user`` (as ``Org1/admin``) that one alone."""
        users = profile.users()
        wanted = [user] if user is not None else [name for name in users if name.endswith(f"/{ADMIN}")]
        names: dict[str, str] = {}
        identities: dict[str, SigningIdentity] = {}
        signers: dict[str, Signer] = {}
        refused: dict[str, str] = {}
        for name in wanted:
            identity = SigningIdentity.load(profile.user_folder(name))
            try:
                found = current.msps.identify(identity.certificate, at_us)
            except GridLedgerError as error:
                refused[identity.mspid] = f"{name}: {error.message}"
                continue
            names[found.mspid], identities[found.mspid] = name, identity
            signers[found.mspid] = (found.mspid, found.role)
        return cls(names, identities, signers, refused)


@dataclass(frozen=True, slots=True)
class SignedUpdate:
    """An update with the signatures that could be had here: who gave them, as ``Org1/admin``, and what is not met."""

    update: ConfigUpdate
    names: tuple[str, ...]
    unmet: tuple[Verdict, ...]


def sign(current: ChannelConfig, following: ChannelConfig, admins: Admins, time_us: int) -> SignedUpdate:
    """The update that makes ``following``, made at ``time_us``, signed by as few of the admins as meet the policies; by
    all whom these still name where that is not enough."""
    mspids = needed_signers(current, following, admins.signers)
    update = ConfigUpdate.build(following, [admins.identities[mspid] for mspid in mspids], time_us=time_us)
    judged = _judge(current, following, [admins.signers[mspid] for mspid in mspids])
    return SignedUpdate(
        update,
        tuple(admins.names[mspid] for mspid in mspids),
        tuple(verdict for verdict in judged if not verdict.met),
    )


def needed_signers(current: ChannelConfig, following: ChannelConfig, at_hand: Mapping[str, Signer]) -> list[str]:
    """The MSP ids, of those ``at_hand``, whose admins are to sign."""
    chosen: list[str] = []
    while True:
        judged = _judge(current, following, [at_hand[mspid] for mspid in chosen])
        missing = (mspid for verdict in judged if not verdict.met for mspid in verdict.missing)
        fresh = next((mspid for mspid in missing if mspid in at_hand and mspid not in chosen), None)
        if fresh is None:
            break
        chosen.append(fresh)
    if not all(verdict.met for verdict in judged):
        return sorted(chosen)
    for mspid in list(chosen):  # a later choice, for another policy, may have made an earlier one needless
        rest = [other for other in chosen if other != mspid]
        if all(verdict.met for verdict in _judge(current, following, [at_hand[other] for other in rest])):
            chosen = rest
    return sorted(chosen)


def check_complete(current: ChannelConfig, following: ChannelConfig, signed: SignedUpdate, admins: Admins) -> None:
    """Raise :class:`PermissionDeniedError`, whose details name ``path``, ``policy`` and the organisations that are
    ``missing``, where the signatures that could be had here are not enough."""
    if not signed.unmet:
        return
    mspids = [identity.mspid for identity in admins.identities.values() if admins.names[identity.mspid] in signed.names]
    try:
        check_authority(
            current.plain, following.plain, current.channel_policies, [admins.signers[mspid] for mspid in mspids]
        )
    except PermissionDeniedError as error:
        if not error.details["policy"]:
            raise
        said = "".join(f"; {reason}" for mspid, reason in admins.refused.items() if mspid in error.details["missing"])
        by = f"signed here by {', '.join(signed.names)}" if signed.names else "nobody here can sign"
        raise PermissionDeniedError(
            f"{error.message} ({by}{said}): write the update into a file (--output) and have the others sign it with "
            "'gridledger channel update sign'",
            **error.details,
        ) from None


def _judge(current: ChannelConfig, following: ChannelConfig, signers: list[Signer]) -> list[Verdict]:
    return list(verdicts(current.plain, following.plain, current.channel_policies, signers))
